import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { version as packageVersion } from '../package.json';
import { sourceVersion } from './image/source-version.ts';
import { buildHere } from './publish/provenance.ts';
import { publishRelease, type ReleaseOrder } from './publish/release.ts';
import {
  certificateSigner,
  KEY_OPTION,
  parseRegistry,
  releaseCommand,
  releaseTools,
  type SignerOptions,
} from './publish/release-command.ts';
import { writeReleaseFiles } from './publish/release-files.ts';
import { releaseParts } from './publish/release-parts.ts';
import { callerKey, describeError, runScript } from './script.ts';
import { Cache } from './tools/cache.ts';

const command = releaseCommand('scripts/release')
  .description(
    'Publishes a release: the image for both platforms, the Timoni module, manifests for Flux and the Helm chart. ' +
      'Each is pushed by its digest, attested (bill of materials, provenance), signed and verified as a user would; ' +
      'if all are good, they get their tags, VERSION and latest. If anything fails before that, nothing is tagged, and ' +
      'the same command continues where it stopped. An existing version is never replaced. Digests, checksums and ' +
      'downloads are written to dist/release/VERSION.\n\n' +
      'Log in to the registry first: crane and cosign use the logins of Docker and Podman. Signing is keyless by ' +
      'default, with the identity of the workflow that runs this. COSIGN_PASSWORD is the password of a key; secrets are ' +
      'never arguments. It needs Linux, Go and mmdebstrap; tools are compiled once and kept in the cache folder.',
  )
  .requiredOption('--registry <host/path>', 'where to publish', parseRegistry)
  .option(KEY_OPTION, "sign with this private key: a file, env://VARIABLE, or a KMS's URI", callerKey)
  .action(async (version: string, options: SignerOptions & { readonly registry: string }) => {
    const folder = await mkdtemp(join(tmpdir(), 'release-'));
    try {
      await release(version, options, folder);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

const report = (line: string) => console.error(line);

async function release(version: string, options: SignerOptions & { registry: string }, folder: string) {
  if (version !== packageVersion) {
    throw new Error(
      `package.json says ${packageVersion}: a program says the version that it is released as. Set it first.`,
    );
  }
  const { revision, created } = await sourceVersion(process.env, { version });
  if (revision === undefined || revision.endsWith('-dirty')) {
    throw new Error('A release is made of a commit: commit or remove what is changed here (git status).');
  }
  const { source: url, registry, key: privateKey } = options;
  const cache = new Cache(undefined, report);
  const tools = await releaseTools(cache, process.env);
  const build = buildHere(process.env, url, revision, () => crypto.randomUUID());
  const base = { registry, source: { version, commit: revision, created, url }, build };
  const order: ReleaseOrder =
    privateKey === undefined
      ? { ...base, signer: certificateSigner(version, options) }
      : { ...base, privateKey, signer: { key: await publicKeyFile(privateKey) } };

  async function publicKeyFile(key: string): Promise<string> {
    const file = join(folder, 'cosign.pub');
    await Bun.write(file, await tools.cosign.publicKey(key));
    return file;
  }

  const parts = await releaseParts(order.source, cache, report);
  const artifacts = await publishRelease(order, parts, join(folder, 'layouts'), tools, report);
  const files = join('dist/release', version);
  await writeReleaseFiles(files, { version, commit: revision }, artifacts, (file, bundle) =>
    tools.cosign.signFile(file, bundle, privateKey),
  );
  for (const { repository, digest } of artifacts) console.log(`${repository}:${version}@${digest}`);
  report(`${version} is published. For the release page: ${files}`);
}

await runScript(
  command,
  (error) =>
    `${describeError(error)}\ndocs/releasing.md says what to do. The same command continues where this one stopped.`,
);
