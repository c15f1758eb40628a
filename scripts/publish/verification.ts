import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { referenceOf } from '../module/released-image.ts';
import { type Cosign, SignatureRefused, type Signer, type Statement } from './cosign.ts';
import { embeddedImages } from './embedded-images.ts';
import { LayoutReader } from './layout-reader.ts';
import { type GithubOrigin, githubOriginOf, type Origin, originOf } from './provenance.ts';
import { type Registry, RegistryError } from './registry.ts';
import { ARTIFACT_NAMES, type ArtifactName, provenanceIdentity, repositoryOf } from './release-names.ts';

/** An artifact of a release, whether it has its tags yet or not. */
export interface Subject {
  readonly name: ArtifactName;
  /** `HOST/PATH`. */
  readonly repository: string;
  readonly digest: string;
}

/** One thing that was looked at. */
export interface Check {
  readonly artifact: ArtifactName;
  readonly what: 'tag' | 'content' | 'signature' | 'SBOM' | 'provenance' | 'SLSA Build L3' | 'image';
  /** What was found if all is well, else what is wrong. */
  readonly finding: string;
  readonly isGood: boolean;
}

/** What a release must be. */
export interface Expectation {
  readonly version: string;
  /** Of the repository that it must be built from. */
  readonly sourceURL: string;
  /** That of the sources; if it is not known, all artifacts must only have the same. */
  readonly commit?: string;
  readonly signer: Signer;
  /** Who signed GitHub's own provenance; none is expected of a release made by hand. */
  readonly provenanceSigner?: Signer;
}

export interface VerificationTools {
  readonly registry: Registry;
  readonly cosign: Cosign;
}

class Bad extends Error {}

/** Everything that a user can know of a published release, from what its version's tags are of. */
export async function verifyRelease(
  registryPath: string,
  expectation: Expectation,
  tools: VerificationTools,
): Promise<readonly Check[]> {
  const subjects: Subject[] = [];
  const tags: Check[] = [];
  for (const name of ARTIFACT_NAMES) {
    const repository = repositoryOf(name, registryPath);
    const check = await checked(name, 'tag', async () => {
      const digest = await tools.registry.digestOf(repository, expectation.version);
      if (digest === undefined) throw new Bad(`${repository} has no tag ${expectation.version}`);
      subjects.push({ name, repository, digest });
      return `${repository}:${expectation.version} is ${digest}`;
    });
    tags.push(check);
  }
  return [...tags, ...(await verifySubjects(subjects, expectation, tools))];
}

/** The same of artifacts by their digests, before anybody finds them by a tag. */
export async function verifySubjects(
  subjects: readonly Subject[],
  expectation: Expectation,
  tools: VerificationTools,
): Promise<readonly Check[]> {
  const image = subjects.find(({ name }) => name === 'image');
  const checks: Check[] = [];
  let { commit } = expectation;
  const learn = (found: string) => {
    commit ??= found;
  };
  for (const subject of subjects) {
    const known = { ...expectation, ...(commit !== undefined && { commit }) };
    checks.push(...(await verifySubject(subject, image, known, learn, tools)));
  }
  return checks;
}

async function verifySubject(
  subject: Subject,
  image: Subject | undefined,
  expectation: Expectation,
  learnCommit: (commit: string) => void,
  { registry, cosign }: VerificationTools,
): Promise<readonly Check[]> {
  const { name, repository, digest } = subject;
  const reference = `${repository}@${digest}`;
  const { signer } = expectation;
  let { commit: known } = expectation;
  const folder = await mkdtemp(join(tmpdir(), 'verification-'));
  try {
    const layout = join(folder, 'layout');
    const content = await checked(name, 'content', async () => {
      await registry.pull(reference, layout);
      return 'every blob is what its digest says';
    });
    const checks = [
      content,
      await checked(name, 'signature', async () => {
        await cosign.verify(reference, signer);
        if (content.isGood) {
          for (const each of await (await LayoutReader.open(layout)).digests()) {
            await cosign.verify(`${repository}@${each}`, signer);
          }
        }
        return `by ${'key' in signer ? `the key ${signer.key}` : signer.identity}`;
      }),
      await checked(name, 'SBOM', async () => {
        const statements = await cosign.statements(reference, signer, 'sbom');
        if (statements.some((one) => isAbout(one, digest) && isCycloneDX(one.predicate))) return 'CycloneDX';
        throw new Bad('the signed SBOM is not of this artifact');
      }),
      await checked(name, 'provenance', async () => {
        const { sourceURL, commit, builder } = await goodOrigin(subject, expectation, cosign);
        known = commit;
        learnCommit(commit);
        return `${sourceURL} at ${commit}, by ${builder}`;
      }),
    ];
    const { provenanceSigner } = expectation;
    if (provenanceSigner !== undefined) {
      checks.push(
        await checked(name, 'SLSA Build L3', () =>
          // the same commit as in the release's own statement, for the first artifact too
          githubFinding(
            subject,
            { ...expectation, ...(known !== undefined && { commit: known }) },
            provenanceSigner,
            cosign,
          ),
        ),
      );
    }
    if (name === 'image') return checks;
    const runs = await checked(name, 'image', () => {
      if (!content.isGood) throw new Bad('it cannot be read');
      return imageFinding(name, layout, image, expectation.version);
    });
    return [...checks, runs];
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function goodOrigin(
  { name, repository, digest }: Subject,
  { version, sourceURL, commit, signer }: Expectation,
  cosign: Cosign,
): Promise<Origin> {
  const statements = await cosign.statements(`${repository}@${digest}`, signer, 'provenance');
  const origins = statements
    .filter((one) => isAbout(one, digest))
    .map(({ predicate }) => originOf(predicate));
  const found = origins.find((origin) => origin !== undefined);
  if (found === undefined)
    throw new Bad('the signed provenance does not say what this artifact was built from');
  const expected: Partial<Origin> = { artifact: name, version, sourceURL, ...(commit && { commit }) };
  compare(found, expected);
  return found;
}

/** Throws {@link Bad} for the first field that is not as expected. */
function compare<T extends object>(found: T, expected: Partial<T>): void {
  for (const [field, value] of Object.entries(expected)) {
    // what is expected has the names of what was found
    const actual = found[field as keyof T];
    if (actual !== value) throw new Bad(`its ${field} is ${actual}, expected ${value}`);
  }
}

async function githubFinding(
  { repository, digest }: Subject,
  { version, sourceURL, commit }: Expectation,
  signer: Signer,
  cosign: Cosign,
): Promise<string> {
  const statements = await cosign.statements(`${repository}@${digest}`, signer, 'provenance');
  const origins = statements
    .filter((one) => isAbout(one, digest))
    .map((one) => githubOriginOf(one.predicate));
  const found = origins.find((origin) => origin !== undefined);
  if (found === undefined) throw new Bad("the statement is not GitHub's provenance of this artifact");
  const expected: Partial<GithubOrigin> = {
    sourceURL,
    ref: `refs/tags/v${version}`,
    ...(commit && { commit }),
    builder: provenanceIdentity(version, sourceURL).identity,
  };
  compare(found, expected);
  if (!found.isHosted) throw new Bad("it was made on a machine that is not GitHub's");
  return `${found.sourceURL} at ${found.commit}`;
}

async function imageFinding(
  name: Exclude<ArtifactName, 'image'>,
  layout: string,
  image: Subject | undefined,
  version: string,
): Promise<string> {
  if (image === undefined) throw new Bad('there is no image to compare it with');
  const found = await embeddedImages(name, await LayoutReader.open(layout));
  const wanted = referenceOf({ ...image, tag: version });
  const other = found.find((each) => each !== wanted);
  if (other !== undefined) throw new Bad(`it runs ${other}, and the release's image is ${wanted}`);
  if (found.length === 0) throw new Bad('it names no image');
  return 'the signed one of this release';
}

/** A failure of the registry or of a signature is a finding; anything else is a fault of this program. */
async function checked(
  artifact: ArtifactName,
  what: Check['what'],
  look: () => Promise<string>,
): Promise<Check> {
  try {
    return { artifact, what, finding: await look(), isGood: true };
  } catch (error) {
    if (!(error instanceof Bad || error instanceof RegistryError || error instanceof SignatureRefused)) {
      throw error;
    }
    return { artifact, what, finding: error.message, isGood: false };
  }
}

function isAbout({ subject }: Statement, digest: string): boolean {
  return subject.some(({ digest: { sha256 } }) => `sha256:${sha256}` === digest);
}

function isCycloneDX(predicate: unknown): boolean {
  return (Object(predicate) as { bomFormat?: unknown }).bomFormat === 'CycloneDX';
}
