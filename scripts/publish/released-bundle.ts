/** One version of the module in a registry. */
export interface ReleasedModule {
  /** `HOST/PATH`, without tag and digest. */
  readonly repository: string;
  readonly version: string;
  readonly digest: string;
}

/** A bundle of timoni/bundles with the release in it that a working tree's asks the environment for. */
export function releasedBundle(bundle: string, { repository, version, digest }: ReleasedModule): string {
  const values = { URL: `oci://${repository}`, VERSION: version, DIGEST: digest };
  let text = bundle;
  for (const [name, value] of Object.entries(values)) {
    const attribute = `string @timoni(runtime:string:MODULE_${name})`;
    if (text.split(attribute).length !== 2) throw new Error(`the bundle does not have ${attribute} once`);
    text = text.replace(attribute, () => JSON.stringify(value));
  }
  return text;
}
