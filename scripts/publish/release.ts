import { join } from 'node:path';
import type { ReleasedImage } from '../module/released-image.ts';
import type { ReleaseSource } from './artifacts.ts';
import { type PredicateName, SignatureRefused, type Signer } from './cosign.ts';
import { LayoutReader } from './layout-reader.ts';
import { type Build, originOf, provenance } from './provenance.ts';
import type { Registry } from './registry.ts';
import { type ArtifactName, isLatest, repositoryOf } from './release-names.ts';
import {
  type Check,
  type Expectation,
  type Subject,
  type VerificationTools,
  verifySubjects,
} from './verification.ts';

/** How the artifacts of a release come about: each writes an OCI layout, the same one for the same sources. */
export interface ReleaseParts {
  /** The image of all platforms. */
  writeImage(layout: string): Promise<void>;
  /** What runs that image. */
  readonly others: readonly {
    readonly name: Exclude<ArtifactName, 'image'>;
    write(layout: string, image: ReleasedImage): Promise<void>;
  }[];
  /** The bill of materials of an artifact that was made as `layout`. */
  billOf(subject: Subject, image: Subject, layout: string): Promise<object>;
}

export interface ReleaseOrder {
  /** `HOST/PATH`. */
  readonly registry: string;
  readonly source: ReleaseSource;
  readonly build: Build;
  /** As cosign names it; none if who runs this is who signs. */
  readonly privateKey?: string;
  /** Who that is to others. */
  readonly signer: Signer;
}

/** A version is never another's: it is taken by what was not made from these sources. */
export class VersionTaken extends Error {
  override readonly name = 'VersionTaken';
}

/** What was pushed and signed does not verify. */
export class NotVerified extends Error {
  override readonly name = 'NotVerified';

  constructor(readonly checks: readonly Check[]) {
    const bad = checks.filter(({ isGood }) => !isGood);
    super(bad.map(({ artifact, what, finding }) => `${artifact}: ${what}: ${finding}`).join('\n'));
  }
}

export interface PublishedArtifact extends Subject {
  /** What it was made as; none of an image that an earlier run has tagged. */
  readonly layout?: string;
}

/**
 * Publishes a release and returns what it consists of. Everything is pushed by its digest, attested, signed and
 * verified before the first tag is made; what is there already by the same digest, from a run that failed, is not made
 * again. Throws, having tagged nothing, if anything fails before; {@link VersionTaken} if the version exists
 * with other content. `work` is an empty folder for the layouts.
 */
export async function publishRelease(
  order: ReleaseOrder,
  parts: ReleaseParts,
  work: string,
  tools: VerificationTools,
  report: (line: string) => void,
): Promise<readonly PublishedArtifact[]> {
  const { registry } = tools;
  const { version, url: sourceURL, commit } = order.source;
  const expectation: Expectation = { version, sourceURL, commit, signer: order.signer };

  const image = await makeImage(order, parts, join(work, 'image'), expectation, tools, report);
  const artifacts = [image];
  for (const { name, write } of parts.others) {
    const layout = join(work, name);
    await write(layout, { repository: image.repository, tag: version, digest: image.digest });
    const { digest } = (await LayoutReader.open(layout)).entry;
    artifacts.push({ name, repository: repositoryOf(name, order.registry), digest, layout });
  }
  for (const { name, repository, digest } of artifacts) {
    const present = await registry.digestOf(repository, version);
    if (present !== undefined && present !== digest) {
      throw new VersionTaken(`${name}: ${repository}:${version} is ${present}, and would become ${digest}`);
    }
    report(`${name}: ${repository}@${digest}${present === undefined ? '' : ' (has its tag already)'}`);
  }

  for (const artifact of artifacts) await publishUntagged(artifact, image, order, parts, tools, report);
  report('verifying everything as a user would');
  const checks = await verifySubjects(artifacts, expectation, tools);
  if (checks.some(({ isGood }) => !isGood)) throw new NotVerified(checks);

  // the image first: where another has its tag, this version's image has too
  for (const artifact of artifacts) await tag(artifact, version, registry, report);
  if (isLatest(version, await registry.tagsOf(image.repository))) {
    for (const artifact of artifacts) await tag(artifact, 'latest', registry, report);
  }
  return artifacts;
}

/**
 * The image that has the version's tag, from a run that failed while it made tags; else a new one. It is not built
 * again to compare: Debian may have newer packages by now, and then the others could never get their tags.
 */
async function makeImage(
  order: ReleaseOrder,
  parts: ReleaseParts,
  layout: string,
  expectation: Expectation,
  tools: VerificationTools,
  report: (line: string) => void,
): Promise<PublishedArtifact> {
  const repository = repositoryOf('image', order.registry);
  const present = await tools.registry.digestOf(repository, expectation.version);
  if (present === undefined) {
    await parts.writeImage(layout);
    const { digest } = (await LayoutReader.open(layout)).entry;
    return { name: 'image', repository, digest, layout };
  }
  report(`image: ${repository}:${expectation.version} exists; looking whether it is of this commit`);
  const image: Subject = { name: 'image', repository, digest: present };
  const bad = (await verifySubjects([image], expectation, tools)).find(({ isGood }) => !isGood);
  if (bad === undefined) return image;
  throw new VersionTaken(
    `image: ${repository}:${expectation.version} exists and is not of this release: ${bad.what}: ${bad.finding}`,
  );
}

/** Pushes, attests and signs; skips each step that an earlier run has done. */
async function publishUntagged(
  artifact: PublishedArtifact,
  image: Subject,
  { source, build, signer, privateKey }: ReleaseOrder,
  parts: ReleaseParts,
  { registry, cosign }: VerificationTools,
  report: (line: string) => void,
): Promise<void> {
  const { name, repository, digest, layout } = artifact;
  if (layout === undefined) return;
  const reference = `${repository}@${digest}`;
  report(`${name}: pushing`);
  await registry.push(layout, reference);

  const attested = async (kind: PredicateName, isSame: (predicate: unknown) => boolean) => {
    const statements = await orNone(cosign.statements(reference, signer, kind));
    return statements.some(({ predicate }) => isSame(predicate));
  };
  if (!(await attested('sbom', () => true))) {
    report(`${name}: attesting its bill of materials`);
    await cosign.attest(reference, privateKey, 'sbom', await parts.billOf(artifact, image, layout));
  }
  if (!(await attested('provenance', (predicate) => originOf(predicate)?.commit === build.commit))) {
    report(`${name}: attesting its provenance`);
    const predicate = provenance(name, source.version, build);
    await cosign.attest(reference, privateKey, 'provenance', predicate);
  }
  // an image's platforms too: a Node that pulls one by its own digest finds a signature
  for (const each of await (await LayoutReader.open(layout)).digests()) {
    const signed = `${repository}@${each}`;
    const isSigned = await orNone(cosign.verify(signed, signer).then(() => [true]));
    if (isSigned.length > 0) continue;
    report(`${name}: signing ${each}`);
    await cosign.sign(signed, privateKey);
  }
}

async function tag(
  { name, repository, digest }: Subject,
  as: string,
  registry: Registry,
  report: (line: string) => void,
): Promise<void> {
  if ((await registry.digestOf(repository, as)) === digest) return;
  report(`${name}: tagging ${as}`);
  await registry.tag(`${repository}@${digest}`, as);
}

async function orNone<T>(found: Promise<readonly T[]>): Promise<readonly T[]> {
  try {
    return await found;
  } catch (error) {
    if (error instanceof SignatureRefused) return [];
    throw error;
  }
}
