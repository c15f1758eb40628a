/** The image that a release's module, manifests and chart run: by digest, its tag is for people. */
export interface ReleasedImage {
  /** `HOST/PATH`. */
  readonly repository: string;
  readonly tag: string;
  readonly digest: string;
}

/** As the module's `#Image` makes it. */
export function referenceOf({ repository, tag, digest }: ReleasedImage): string {
  return `${repository}:${tag}@${digest}`;
}
