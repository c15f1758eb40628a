import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  KEY_SET_PATH,
  keySetDifference,
  type PublicKey,
  parseKeySet,
} from '../../server/kubernetes/cluster-keys.ts';
import { Field } from '../../server/kubernetes/field.ts';
import { DISCOVERY_PATH } from '../provider/cluster-issuer.ts';
import { Failure } from '../provider/failure.ts';
import type { IssuerDocuments } from './documents.ts';

/**
 * Writes the documents below `folder`, whole or not at all, the keys first: a verifier that reads in between finds a
 * pair that fits. Returns what it did, for a person. Throws a {@link Failure}, and then changes nothing, if the folder
 * has something else in it.
 */
export async function writeDocuments(
  folder: string,
  issuer: string,
  documents: IssuerDocuments,
  keys: readonly PublicKey[],
): Promise<readonly string[]> {
  const before = await existing(folder);
  if (before.issuer !== undefined && before.issuer !== issuer) {
    throw new Failure(
      `${folder} has the documents of another issuer, ${before.issuer}.`,
      'Choose another folder with --output. Nothing was changed.',
    );
  }
  const { added, removed } = keySetDifference(before.keys, keys);
  const written: string[] = [];
  for (const path of [KEY_SET_PATH, DISCOVERY_PATH] as const) {
    const file = join(folder, path);
    if ((await textOf(file)) === documents[path]) continue;
    await replaceFile(file, documents[path]);
    written.push(`wrote ${file}`);
  }
  return [
    ...(before.issuer === undefined ? [] : added.map((kid) => `added the key ${kid}`)),
    ...removed.map(
      (kid) =>
        `removed the key ${kid}, which the cluster does not have: clouds will refuse the tokens that it signed`,
    ),
    ...(written.length > 0 ? written : [`${folder} is up to date: nothing was changed`]),
  ];
}

interface Existing {
  readonly issuer: string | undefined;
  readonly keys: readonly PublicKey[];
}

async function existing(folder: string): Promise<Existing> {
  const kind = await stat(folder).catch(() => undefined);
  if (kind !== undefined && !kind.isDirectory()) {
    throw new Failure(`${folder} is not a folder.`, 'Choose another with --output. Nothing was changed.');
  }
  const configuration = await textOf(join(folder, DISCOVERY_PATH));
  const keySet = await textOf(join(folder, KEY_SET_PATH));
  try {
    return {
      issuer:
        configuration === undefined
          ? undefined
          : new Field(JSON.parse(configuration), 'document').at('issuer').text(),
      keys: keySet === undefined ? [] : await parseKeySet(new Field(JSON.parse(keySet), 'JWKS')),
    };
  } catch {
    throw new Failure(
      `${folder} has files of these names that are not an issuer's documents.`,
      'Choose another folder with --output. Nothing was changed.',
    );
  }
}

async function textOf(file: string): Promise<string | undefined> {
  const handle = Bun.file(file);
  return (await handle.exists()) ? handle.text() : undefined;
}

async function replaceFile(file: string, text: string): Promise<void> {
  const partial = `${file}.${crypto.randomUUID().slice(0, 8)}`;
  await mkdir(dirname(file), { recursive: true });
  try {
    await Bun.write(partial, text);
    await rename(partial, file);
  } finally {
    await rm(partial, { force: true });
  }
}
