import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { PREDICATES, type PredicateName } from '../../scripts/publish/cosign.ts';
import { LayoutReader } from '../../scripts/publish/layout-reader.ts';
import { provenance } from '../../scripts/publish/provenance.ts';
import { ARTIFACT_NAMES, type ArtifactName, repositoryOf } from '../../scripts/publish/release-names.ts';
import { type Subject, verifySubjects } from '../../scripts/publish/verification.ts';
import { OLD_VERSION, PublishedProject, SOURCE_URL, VERSION } from './published-project.ts';
import { cosign, type Key, makeKey, orderOf, smallParts } from './small-release.ts';

// each runs a hundred programs, on a machine that may have other things to do
setDefaultTimeout(600_000);

const COMMIT = 'a'.repeat(40);
const kinds = Object.keys(PREDICATES) as PredicateName[]; // its own keys

let project: PublishedProject;

beforeAll(async () => {
  project = await PublishedProject.start();
});
afterAll(() => project[Symbol.asyncDispose]());

/** `platform`: the signatures of an image's platforms, while the image itself has one. */
type Missing = PredicateName | 'signature' | 'platform';

/** Signs and attests as a release does, but for what is `missing`. */
async function sign(
  { name, repository, digest }: Subject,
  { missing, commit = COMMIT }: { missing?: Missing; commit?: string } = {},
) {
  const reference = `${repository}@${digest}`;
  const { build } = orderOf(project.at, VERSION, project.key, commit);
  const predicates = { sbom: { bomFormat: 'CycloneDX' }, provenance: provenance(name, VERSION, build) };
  const { privateKey } = project.key;
  for (const kind of kinds.filter((each) => each !== missing)) {
    await (await cosign()).attest(reference, privateKey, kind, predicates[kind]);
  }
  if (missing === 'signature') return;
  const all = await (await LayoutReader.open(project.artifact(name).layout)).digests();
  const signed = missing === 'platform' ? [digest] : all;
  for (const each of signed) await (await cosign()).sign(`${repository}@${each}`, privateKey);
}

/** The same artifact somewhere else in the registry, with no signature. */
async function copyOf(name: ArtifactName, place: string): Promise<Subject> {
  const { layout, digest } = project.artifact(name);
  const repository = repositoryOf(name, `${project.local.host}/${place}`);
  await project.registry.push(layout, `${repository}@${digest}`);
  return { name, repository, digest };
}

async function badOf(subjects: readonly Subject[], commit?: string): Promise<readonly string[]> {
  const expectation = { version: VERSION, sourceURL: SOURCE_URL, signer: project.key.signer };
  const tools = { registry: project.registry, cosign: await cosign() };
  const checks = await verifySubjects(subjects, { ...expectation, ...(commit && { commit }) }, tools);
  return checks.filter(({ isGood }) => !isGood).map(({ artifact, what }) => `${artifact}: ${what}`);
}

test('a good release: every check of every artifact, each with what was found', async () => {
  const checks = await project.findings();
  expect(checks.filter(({ isGood }) => !isGood)).toEqual([]);
  const kindsOf = (name: string) =>
    checks.filter(({ artifact }) => artifact === name).map(({ what }) => what);
  const everything = ['tag', 'content', 'signature', 'SBOM', 'provenance'] as const;
  for (const name of ARTIFACT_NAMES) {
    expect(kindsOf(name)).toEqual([...everything, ...(name === 'image' ? [] : (['image'] as const))]);
  }
  expect(checks.find(({ what }) => what === 'provenance')?.finding).toContain(`${SOURCE_URL} at ${COMMIT}`);
});

describe('is noticed', () => {
  test('another key: nothing that it would have signed is there', async () => {
    const { signer } = await makeKey(project.folder.path, 'other');
    const bad = await project.problems({ signer });
    for (const name of ARTIFACT_NAMES) {
      for (const what of ['signature', 'SBOM', 'provenance']) {
        expect(bad).toContainEqual(expect.stringContaining(`${name}: ${what}: `));
      }
    }
    expect(bad).toHaveLength(3 * ARTIFACT_NAMES.length);
  });

  test('a version that does not exist', async () => {
    const repository = (name: ArtifactName) => repositoryOf(name, project.at);
    expect(await project.problems({ version: '9.9.9' })).toEqual(
      ARTIFACT_NAMES.map((name) => `${name}: tag: ${repository(name)} has no tag 9.9.9`),
    );
  });

  test('sources in another repository', async () => {
    const sourceURL = 'https://git.example.test/fork';
    const finding = `its sourceURL is ${SOURCE_URL}, expected ${sourceURL}`;
    expect(await project.problems({ sourceURL })).toEqual(
      ARTIFACT_NAMES.map((name) => `${name}: provenance: ${finding}`),
    );
  });

  test('another commit than that of the sources', async () => {
    expect(await badOf(project.released, 'd'.repeat(40))).toEqual(
      ARTIFACT_NAMES.map((name) => `${name}: provenance`),
    );
  });

  test('artifacts of two commits in one release', async () => {
    const image = await copyOf('image', 'two-commits');
    const chart = await copyOf('chart', 'two-commits');
    await sign(image);
    await sign(chart, { commit: 'b'.repeat(40) });
    // the chart runs the image that it was made with, which was published elsewhere
    expect(await badOf([image, chart])).toEqual(['chart: provenance', 'chart: image']);
  });

  test('a tag moved to what was signed too: another version', async () => {
    const { repository } = project.artifact('chart');
    await project.withTagAt('chart', `${repository}:${OLD_VERSION}`, async () => {
      expect(await project.problems()).toEqual([
        `chart: provenance: its version is ${OLD_VERSION}, expected ${VERSION}`,
        expect.stringContaining('chart: image: it runs'),
      ]);
    });
  });

  test('a tag moved to what nobody signed', async () => {
    const order = orderOf(project.at, VERSION, project.key, 'c'.repeat(40));
    const part = smallParts(order, 'no schemas').others.find(({ name }) => name === 'manifests');
    const layout = join(project.folder.path, 'unsigned');
    await part?.write(layout, { ...project.artifact('image'), tag: VERSION });
    const { digest } = (await LayoutReader.open(layout)).entry;
    const reference = `${project.artifact('manifests').repository}@${digest}`;
    await project.registry.push(layout, reference);
    await project.withTagAt('manifests', reference, async () => {
      expect(await project.problems()).toEqual([
        'manifests: signature: no signatures found',
        'manifests: SBOM: no matching attestations',
        'manifests: provenance: no matching attestations',
      ]);
    });
  });

  test('a tag moved to another kind of artifact of the same release', async () => {
    const { layout, ...chart } = project.artifact('chart');
    const { repository } = project.artifact('manifests');
    const reference = `${repository}@${chart.digest}`;
    await project.registry.push(layout, reference);
    // who can write to the registry can copy what was signed elsewhere, which this is the same as
    await sign({ ...chart, repository });
    await project.withTagAt('manifests', reference, async () => {
      expect(await project.problems()).toEqual([
        'manifests: provenance: its artifact is chart, expected manifests',
        'manifests: image: it names no image',
      ]);
    });
  });

  test('a layer with other bytes', async () => {
    const [manifest] = await (await LayoutReader.open(project.artifact('module').layout)).manifests();
    const hex = manifest?.layers.at(-1)?.digest.slice('sha256:'.length) ?? 'none';
    const { blobs } = project.local;
    const kept = (await readdir(blobs, { recursive: true })).find((path) => path.endsWith(hex)) ?? 'none';
    const file = Bun.file(join(blobs, kept));
    const good = await file.bytes();
    const tampered = good.slice();
    tampered[tampered.length - 1] = (tampered.at(-1) ?? 0) ^ 1;
    await Bun.write(file, tampered);
    try {
      expect(await project.problems()).toEqual([
        expect.stringMatching(/^module: content: .*sha256/),
        'module: image: it cannot be read',
      ]);
    } finally {
      await Bun.write(file, good);
    }
    expect(await project.problems()).toEqual([]);
  });

  const findings = [
    ['sbom', 'SBOM'],
    ['provenance', 'provenance'],
    // an attestation is enough for cosign alone
    ['signature', 'signature'],
    ['platform', 'signature'],
  ] as const;
  test.each(findings)('no %s', async (missing, what) => {
    const image = await copyOf('image', `without-${missing}`);
    await sign(image, { missing });
    expect(await badOf([image])).toEqual([`image: ${what}`]);
  });
});

describe("GitHub's provenance (SLSA Build L3)", () => {
  const REF = `refs/tags/v${VERSION}`;
  const BUILDER = `${SOURCE_URL}/.github/workflows/provenance.yml@${REF}`;
  let github: Key;

  beforeAll(async () => {
    github = await makeKey(project.folder.path, 'github');
  });

  interface Attested {
    readonly repository?: string;
    readonly ref?: string;
    readonly commit?: string;
    readonly builder?: string;
    readonly machine?: string;
  }

  /** As GitHub's attestation action fills it in. */
  function predicateOf(of: Attested): object {
    const { repository = SOURCE_URL, ref = REF, commit = COMMIT, builder = BUILDER, machine } = of;
    return {
      buildDefinition: {
        buildType: 'https://actions.github.io/buildtypes/workflow/v1',
        externalParameters: { workflow: { ref, repository, path: '.github/workflows/release.yml' } },
        internalParameters: {
          github: { event_name: 'push', runner_environment: machine ?? 'github-hosted' },
        },
        resolvedDependencies: [{ uri: `git+${repository}@${ref}`, digest: { gitCommit: commit } }],
      },
      runDetails: { builder: { id: builder } },
    };
  }

  /** The finding for an image that is signed as usual, and whose build GitHub, or somebody else, attests so. */
  async function findingOf(place: string, attested: Attested | 'nothing', signedBy?: Key): Promise<string> {
    const image = await copyOf('image', `slsa-${place}`);
    await sign(image);
    if (attested !== 'nothing') {
      const { privateKey } = signedBy ?? github;
      const reference = `${image.repository}@${image.digest}`;
      await (await cosign()).attest(reference, privateKey, 'provenance', predicateOf(attested));
    }
    const expectation = { version: VERSION, sourceURL: SOURCE_URL, signer: project.key.signer };
    const checks = await verifySubjects(
      [image],
      { ...expectation, provenanceSigner: github.signer },
      { registry: project.registry, cosign: await cosign() },
    );
    const bad = checks.filter(({ what, isGood }) => !isGood && what !== 'SLSA Build L3');
    expect(bad).toEqual([]);
    const slsa = checks.filter(({ what }) => what === 'SLSA Build L3');
    expect(slsa).toHaveLength(1);
    return slsa.map(({ isGood, finding }) => `${isGood ? 'good' : 'bad'}: ${finding}`).join();
  }

  test('good, beside the one of the release itself', async () => {
    expect(await findingOf('good', {})).toBe(`good: ${SOURCE_URL} at ${COMMIT}`);
  });

  test('missing', async () => {
    // the release's own statement has the same type and another signer
    expect(await findingOf('missing', 'nothing')).toStartWith('bad: ');
  });

  test('signed by the release itself', async () => {
    expect(await findingOf('signer', {}, project.key)).toStartWith('bad: ');
  });

  test.each([
    [
      'repository',
      { repository: 'https://git.example.test/fork' },
      'its sourceURL is https://git.example.test/fork, ',
    ],
    ['tag', { ref: 'refs/tags/v9.9.9' }, 'its ref is refs/tags/v9.9.9, '],
    ['branch', { ref: 'refs/heads/main' }, 'its ref is refs/heads/main, '],
    ['commit', { commit: 'd'.repeat(40) }, `its commit is ${'d'.repeat(40)}, expected ${COMMIT}`],
    [
      'workflow',
      { builder: `${SOURCE_URL}/.github/workflows/release.yml@${REF}` },
      `its builder is ${SOURCE_URL}/.github/workflows/release.yml@${REF}, `,
    ],
    ['machine', { machine: 'self-hosted' }, "it was made on a machine that is not GitHub's"],
  ] as const)('of another %s', async (what, attested, finding) => {
    expect(await findingOf(what, attested)).toStartWith(`bad: ${finding}`);
  });

  test('of another digest', async () => {
    // of an artifact that lies in the same repository
    const image = await copyOf('image', 'slsa-digest');
    const { digest } = project.artifact('chart');
    const reference = `${image.repository}@${digest}`;
    await project.registry.push(project.artifact('chart').layout, reference);
    await (await cosign()).attest(reference, github.privateKey, 'provenance', predicateOf({}));
    expect(await findingOf('digest', 'nothing')).toStartWith('bad: ');
  });
});
