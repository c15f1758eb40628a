import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { generatedSchemas } from '../../scripts/module/schemas.ts';
import { PREDICATES, type PredicateName, SignatureRefused } from '../../scripts/publish/cosign.ts';
import { LayoutReader } from '../../scripts/publish/layout-reader.ts';
import { provenance } from '../../scripts/publish/provenance.ts';
import { Registry } from '../../scripts/publish/registry.ts';
import { type PublishedArtifact, publishRelease } from '../../scripts/publish/release.ts';
import { ARTIFACT_NAMES, repositoryOf } from '../../scripts/publish/release-names.ts';
import { type Expectation, verifyRelease, verifySubjects } from '../../scripts/publish/verification.ts';
import { run } from '../../scripts/run.ts';
import { Cache } from '../../scripts/test-cluster/cache.ts';
import { goProgram } from '../../scripts/tools/go-program.ts';
import { LocalRegistry } from './local-registry.ts';
import {
  cosign,
  cosignEnvironment,
  type Key,
  makeKey,
  orderOf,
  scratchFolder,
  smallParts,
} from './small-release.ts';

const VERSION = '1.1.0';
const COMMIT = 'a'.repeat(40);

let local: LocalRegistry;
let registry: Registry;
let folder: Awaited<ReturnType<typeof scratchFolder>>;
let key: Key;
let at: string;
let released: readonly PublishedArtifact[];

beforeAll(async () => {
  const cache = new Cache();
  local = await LocalRegistry.start();
  registry = new Registry(await goProgram('crane', cache));
  folder = await scratchFolder();
  key = await makeKey(folder.path, 'release');
  at = `${local.host}/project`;
  const tools = { registry, cosign: await cosign() };
  const schemas = await generatedSchemas(cache);
  for (const version of ['1.0.0', VERSION]) {
    const order = orderOf(at, version, key);
    const work = join(folder.path, version);
    released = await publishRelease(order, smallParts(order, schemas), work, tools, () => {});
  }
}, 120_000);

afterAll(async () => {
  await local[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

const sourceURL = 'https://git.example.test/project';

async function findings(changes: Partial<Expectation> = {}) {
  const tools = { registry, cosign: await cosign() };
  return verifyRelease(at, { version: VERSION, sourceURL, signer: key.signer, ...changes }, tools);
}

/** What is wrong, by artifact and kind. */
async function problems(changes: Partial<Expectation> = {}) {
  const bad = (await findings(changes)).filter(({ isGood }) => !isGood);
  return bad.map(({ artifact, what, finding }) => `${artifact}: ${what}: ${finding}`);
}

/** The tag of an artifact for a while at something else. */
async function withTagAt(repository: string, reference: string, look: () => Promise<void>) {
  const digest = await registry.digestOf(repository, VERSION);
  await registry.tag(reference, VERSION);
  try {
    await look();
  } finally {
    await registry.tag(`${repository}@${digest}`, VERSION);
  }
}

test('a good release: every check of every artifact, each with what was found', async () => {
  const checks = await findings();
  expect(checks.filter(({ isGood }) => !isGood)).toEqual([]);
  const kinds = (name: string) => checks.filter(({ artifact }) => artifact === name).map(({ what }) => what);
  const everything = ['tag', 'content', 'signature', 'SBOM', 'provenance'] as const;
  for (const name of ARTIFACT_NAMES) {
    expect(kinds(name)).toEqual([...everything, ...(name === 'image' ? [] : (['image'] as const))]);
  }
  expect(checks.find(({ what }) => what === 'provenance')?.finding).toContain(`${sourceURL} at ${COMMIT}`);
});

describe('is noticed', () => {
  test('another key: nothing that it would have signed is there', async () => {
    const other = await makeKey(folder.path, 'other');
    const bad = await problems({ signer: other.signer });
    for (const name of ARTIFACT_NAMES) {
      for (const what of ['signature', 'SBOM', 'provenance']) {
        expect(bad).toContainEqual(expect.stringContaining(`${name}: ${what}: `));
      }
    }
    expect(bad).toHaveLength(3 * ARTIFACT_NAMES.length);
  });

  test('a version that is none', async () => {
    const bad = await problems({ version: '9.9.9' });
    expect(bad).toEqual(
      ARTIFACT_NAMES.map((name) => `${name}: tag: ${repositoryOf(name, at)} has no tag 9.9.9`),
    );
  });

  test('sources in another repository', async () => {
    const bad = await problems({ sourceURL: 'https://git.example.test/fork' });
    expect(bad).toEqual(
      ARTIFACT_NAMES.map(
        (name) =>
          `${name}: provenance: its sourceURL is ${sourceURL}, expected https://git.example.test/fork`,
      ),
    );
  });

  test('a tag moved to what was signed too: another version', async () => {
    const chart = repositoryOf('chart', at);
    await withTagAt(chart, `${chart}:1.0.0`, async () => {
      expect(await problems()).toEqual([
        `chart: provenance: its version is 1.0.0, expected ${VERSION}`,
        expect.stringContaining('chart: image: it runs'),
      ]);
    });
  });

  test('a tag moved to what nobody signed', async () => {
    const manifests = repositoryOf('manifests', at);
    const order = orderOf(at, VERSION, key, 'c'.repeat(40));
    const [, write] = smallParts(order, '').others;
    const layout = join(folder.path, 'unsigned');
    const image = { repository: repositoryOf('image', at), tag: VERSION, digest: digestOf('image') };
    await write?.write(layout, image);
    const reference = `${manifests}@${(await LayoutReader.open(layout)).entry.digest}`;
    await registry.push(layout, reference);
    await withTagAt(manifests, reference, async () => {
      expect(await problems()).toEqual([
        'manifests: signature: no signatures found',
        'manifests: SBOM: no matching attestations',
        'manifests: provenance: no matching attestations',
      ]);
    });
  });

  test('a tag moved to another kind of artifact of the same release', async () => {
    const manifests = repositoryOf('manifests', at);
    const chart = released.find(({ name }) => name === 'chart');
    const reference = `${manifests}@${chart?.digest}`;
    await registry.push(chart?.layout ?? '', reference);
    const order = orderOf(at, VERSION, key);
    const signing = await cosign();
    // whoever can write to the registry can copy what was signed elsewhere
    await signing.sign(reference, key.privateKey);
    await signing.attest(reference, key.privateKey, 'sbom', { bomFormat: 'CycloneDX' });
    await signing.attest(reference, key.privateKey, 'provenance', provenance('chart', VERSION, order.build));
    await withTagAt(manifests, reference, async () => {
      expect(await problems()).toEqual([
        'manifests: provenance: its artifact is chart, expected manifests',
        'manifests: image: it names no image',
      ]);
    });
  });

  test('a layer with other bytes', async () => {
    const module = released.find(({ name }) => name === 'module');
    const [manifest] = await (await LayoutReader.open(module?.layout ?? '')).manifests();
    const digest = manifest?.layers.at(-1)?.digest ?? '';
    const hex = digest.slice('sha256:'.length);
    const kept = (await readdir(local.blobs, { recursive: true })).find((path) => path.endsWith(hex));
    const file = Bun.file(join(local.blobs, kept ?? ''));
    const good = await file.bytes();
    const tampered = good.slice();
    tampered[tampered.length - 1] = (tampered.at(-1) ?? 0) ^ 1;
    await Bun.write(file, tampered);
    try {
      expect(await problems()).toEqual([
        expect.stringMatching(/^module: content: .*sha256/),
        'module: image: it cannot be read',
      ]);
    } finally {
      await Bun.write(file, good);
    }
    expect(await problems()).toEqual([]);
  });

  const kinds = Object.keys(PREDICATES) as PredicateName[]; // its own keys
  test.each([...kinds, 'signature'] as const)('no %s', async (missing) => {
    const image = released.find(({ name }) => name === 'image');
    const repository = `${local.host}/without-${missing}/gke-metadata-server`;
    const subject = { name: 'image', repository, digest: digestOf('image') } as const;
    const reference = `${repository}@${subject.digest}`;
    await registry.push(image?.layout ?? '', reference);
    const signing = await cosign();
    const { build } = orderOf(at, VERSION, key);
    const predicates = {
      sbom: { bomFormat: 'CycloneDX' },
      provenance: provenance('image', VERSION, build),
    };
    for (const kind of kinds.filter((each) => each !== missing)) {
      await signing.attest(reference, key.privateKey, kind, predicates[kind]);
    }
    if (missing !== 'signature') await signing.sign(reference, key.privateKey);
    const expectation = { version: VERSION, sourceURL, signer: key.signer };
    const bad = (await verifySubjects([subject], expectation, { registry, cosign: signing })).filter(
      ({ isGood }) => !isGood,
    );
    const what = { sbom: 'SBOM', provenance: 'provenance', signature: 'signature' } as const;
    expect(bad.map((check) => check.what)).toEqual([what[missing]]);
  });

  test('provenance of two commits in one release', async () => {
    const expectation = { version: VERSION, sourceURL, signer: key.signer, commit: 'd'.repeat(40) };
    const bad = (await verifySubjects(released, expectation, { registry, cosign: await cosign() })).filter(
      ({ isGood }) => !isGood,
    );
    expect(bad.map(({ artifact, what }) => `${artifact}: ${what}`)).toEqual(
      ARTIFACT_NAMES.map((name) => `${name}: provenance`),
    );
  });
});

test('without a key, nothing signed by one is believed', async () => {
  const signer = { identity: 'https://ci.example.test/release', issuer: 'https://issuer.example.test' };
  const reference = `${repositoryOf('image', at)}@${digestOf('image')}`;
  await expect((await cosign()).verify(reference, signer)).rejects.toThrow(SignatureRefused);
});

describe('scripts/verify-release', () => {
  const verify = (...args: readonly string[]) =>
    run([process.execPath, 'scripts/verify-release.ts', ...args], {
      cwd: join(import.meta.dir, '../..'),
      env: { ...process.env, ...cosignEnvironment() },
    });

  test('says a line each, and ends well', async () => {
    const args = [VERSION, '--registry', at, '--source', sourceURL, '--key', key.signer.key];
    const { exitCode, stdout } = await verify(...args);
    const lines = stdout.trimEnd().split('\n');
    expect(lines.at(-1)).toBe(`${VERSION} is good.`);
    expect(lines.slice(0, -1).every((line) => line.startsWith('✓ '))).toBe(true);
    expect(exitCode).toBe(0);
  });

  test('fails where anything does, and says so last', async () => {
    const { exitCode, stdout } = await verify(VERSION, '--registry', at, '--key', key.signer.key);
    expect(stdout).toContain('✗ image: provenance: its sourceURL is');
    expect(stdout.trimEnd().split('\n').at(-1)).toBe(`${VERSION} is NOT to be trusted: 4 checks failed.`);
    expect(exitCode).toBe(1);
  });

  test.each([
    [],
    ['v1.0.0'],
    ['1.0.0', '--registry', 'https://example.test'],
    ['1.0.0', '--source', 'example.test'],
    ['1.0.0', '--nothing-such'],
  ])('bad use: %j', async (...args) => {
    expect((await verify(...args)).exitCode).toBe(2);
  });
});

function digestOf(name: string): string {
  return released.find((artifact) => artifact.name === name)?.digest ?? '';
}
