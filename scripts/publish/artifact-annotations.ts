/** What an artifact is made of, by what it says of itself. The same gives the same artifact. */
export interface ReleaseSource {
  readonly version: string;
  readonly commit: string;
  /** The commit's time. */
  readonly created: Date;
  /** Of the repository of the sources. */
  readonly url: string;
}

export const VERSION_ANNOTATION = 'org.opencontainers.image.version';

/** By the names of the OCI Image Specification, which registries and Flux show. */
export function artifactAnnotations(
  description: string,
  { version, commit, created, url }: ReleaseSource,
): Readonly<Record<string, string>> {
  return {
    'org.opencontainers.image.title': 'gke-metadata-server',
    'org.opencontainers.image.description': description,
    'org.opencontainers.image.licenses': 'Apache-2.0',
    [VERSION_ANNOTATION]: version,
    'org.opencontainers.image.revision': commit,
    'org.opencontainers.image.created': created.toISOString(),
    'org.opencontainers.image.source': url,
  };
}
