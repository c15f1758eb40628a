import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Cosign, SignatureRefused, type Signer, type Statement } from './cosign.ts';
import { embeddedImages } from './embedded-images.ts';
import { LayoutReader } from './layout-reader.ts';
import { type Origin, originOf } from './provenance.ts';
import { type Registry, RegistryError } from './registry.ts';
import { ARTIFACT_NAMES, type ArtifactName, repositoryOf } from './release-names.ts';

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
  readonly what: 'tag' | 'content' | 'signature' | 'SBOM' | 'provenance' | 'image';
  /** What was found where all is well, else what is wrong. */
  readonly finding: string;
  readonly isGood: boolean;
}

/** What a release must be. */
export interface Expectation {
  readonly version: string;
  /** Of the repository that it must be built from. */
  readonly sourceURL: string;
  /** That of the sources; where it is not known, that of the image. */
  readonly commit?: string;
  readonly signer: Signer;
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
  const origins = new Map<Subject, Origin>();
  const checks: Check[] = [];
  for (const subject of subjects) {
    checks.push(...(await verifySubject(subject, image, expectation, origins, tools)));
  }
  return checks;
}

async function verifySubject(
  subject: Subject,
  image: Subject | undefined,
  { version, sourceURL, signer, ...expected }: Expectation,
  origins: Map<Subject, Origin>,
  { registry, cosign }: VerificationTools,
): Promise<readonly Check[]> {
  const { name, digest } = subject;
  const reference = `${subject.repository}@${digest}`;
  const check = (what: Check['what'], look: () => Promise<string>) => checked(name, what, look);
  const folder = await mkdtemp(join(tmpdir(), 'verification-'));
  const layout = join(folder, 'layout');
  try {
    const checks = [
      await check('content', async () => {
        await registry.pull(reference, layout);
        return 'every blob is what its digest says';
      }),
      await check('signature', async () => {
        await cosign.verify(reference, signer);
        return `by ${'key' in signer ? `the key ${signer.key}` : signer.identity}`;
      }),
      await check('SBOM', async () => {
        const statements = await cosign.statements(reference, signer, 'sbom');
        const bill = statements.find((one) => isAbout(one, digest) && isCycloneDX(one.predicate));
        if (bill === undefined) throw new Bad('what is signed as one is not of this artifact');
        return 'CycloneDX, by the same';
      }),
      await check('provenance', async () => {
        const statements = await cosign.statements(reference, signer, 'provenance');
        const about = statements.filter((one) => isAbout(one, digest));
        const found = about
          .map(({ predicate }) => originOf(predicate))
          .find((origin) => origin !== undefined);
        if (found === undefined)
          throw new Bad('what is signed as one does not say where this artifact is from');
        origins.set(subject, found);
        const commit = expected.commit ?? (image && origins.get(image)?.commit) ?? found.commit;
        // the names of what is expected are those of an Origin
        const expectedOrigin: Omit<Origin, 'builder'> = { artifact: name, version, sourceURL, commit };
        for (const [field, value] of Object.entries(expectedOrigin)) {
          const actual = found[field as keyof Origin];
          if (actual !== value) throw new Bad(`its ${field} is ${actual}, expected ${value}`);
        }
        return `${found.sourceURL} at ${found.commit}, by ${found.builder}`;
      }),
    ];
    if (name === 'image') return checks;
    const embedded = await check('image', async () => {
      if (image === undefined) throw new Bad('there is no image to compare with');
      if (!checks.every(({ what, isGood }) => isGood || what !== 'content'))
        throw new Bad('it cannot be read');
      const found = await embeddedImages(name, await LayoutReader.open(layout));
      const wanted = `${image.repository}:${version}@${image.digest}`;
      const other = found.find((each) => each !== wanted);
      if (other !== undefined) throw new Bad(`it runs ${other}, and the release's image is ${wanted}`);
      if (found.length === 0) throw new Bad('it names no image');
      return 'the signed one of this release';
    });
    return [...checks, embedded];
  } finally {
    await rm(folder, { recursive: true });
  }
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
