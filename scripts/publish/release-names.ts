/** What one release consists of, in the order in which its artifacts are made: the others name the image. */
export const ARTIFACT_NAMES = ['image', 'module', 'manifests', 'chart'] as const;

export type ArtifactName = (typeof ARTIFACT_NAMES)[number];

/** What they are below the registry's `HOST/PATH`. Helm wants the last part to be the chart's name. */
const PATHS: Readonly<Record<ArtifactName, string>> = {
  image: 'gke-metadata-server',
  module: 'modules/gke-metadata-server',
  manifests: 'manifests/gke-metadata-server',
  chart: 'charts/gke-metadata-server',
};

/** `HOST/PATH` of an artifact, without tag and digest. */
export function repositoryOf(name: ArtifactName, registry: string): string {
  return `${registry}/${PATHS[name]}`;
}

/** A semantic version without build metadata, which no tag may have. */
export function isReleaseVersion(version: string): boolean {
  const number = '(0|[1-9]\\d*)';
  const identifier = `(${number}|\\d*[a-zA-Z-][0-9a-zA-Z-]*)`;
  return new RegExp(`^${number}\\.${number}\\.${number}(-${identifier}(\\.${identifier})*)?$`).test(version);
}

function isPrerelease(version: string): boolean {
  return version.includes('-');
}

/** Whether `latest` is to be this version: none that is there is newer, and none but releases count. */
export function isLatest(version: string, tags: readonly string[]): boolean {
  const released = tags.filter((tag) => isReleaseVersion(tag) && !isPrerelease(tag));
  return !isPrerelease(version) && released.every((tag) => Bun.semver.order(tag, version) <= 0);
}

/** Who signs GitHub's own provenance of the releases of the repository at a URL: a workflow that runs no step of a build. */
export function provenanceIdentity(
  version: string,
  sourceURL: string,
): { readonly identity: string; readonly issuer: string } {
  const { identity, issuer } = releaseIdentity(version, sourceURL);
  return { identity: identity.replace('/release.yml@', '/provenance.yml@'), issuer };
}

/** Who signs the releases of the repository at a URL: its workflow, at the tag of the version (docs/verify.md). */
export function releaseIdentity(
  version: string,
  sourceURL: string,
): { readonly identity: string; readonly issuer: string } {
  return {
    identity: `${sourceURL}/.github/workflows/release.yml@refs/tags/v${version}`,
    issuer: 'https://token.actions.githubusercontent.com',
  };
}
