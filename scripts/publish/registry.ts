import { run } from '../run.ts';

/** A container registry, by crane, with the logins of its configuration (`crane auth login`). */
export class Registry {
  constructor(private readonly crane: string) {}

  /** The digest of a tag; undefined if there is no such tag. Throws if the registry does not say. */
  async digestOf(repository: string, tag: string): Promise<string | undefined> {
    return this.#unlessUnknown(['digest', `${repository}:${tag}`]);
  }

  /** Every tag of a repository; none if there is no such repository. */
  async tagsOf(repository: string): Promise<readonly string[]> {
    return (await this.#unlessUnknown(['ls', repository]))?.split('\n').filter(Boolean) ?? [];
  }

  /** Uploads the one entry of an OCI layout under its digest alone. What is there already is not sent again. */
  async push(layout: string, reference: string): Promise<void> {
    await this.#run(['push', layout, reference]);
  }

  /**
   * Downloads an artifact, of an image all platforms, as an OCI layout into a folder that is made. Throws too where a
   * blob is not what its digest says.
   */
  async pull(reference: string, layout: string): Promise<void> {
    await this.#run(['pull', '--format=oci', reference, layout]);
  }

  /** Makes a tag of what a reference is. */
  async tag(reference: string, tag: string): Promise<void> {
    await this.#run(['tag', reference, tag]);
  }

  async #unlessUnknown(args: readonly string[]): Promise<string | undefined> {
    const { exitCode, stdout, stderr } = await run([this.crane, ...args]);
    if (exitCode === 0) return stdout.trim();
    // the registry's own codes for what it does not have (OCI Distribution Specification)
    if (/\b(MANIFEST_UNKNOWN|NAME_UNKNOWN)\b/.test(stderr)) return undefined;
    throw new RegistryError(args, stderr);
  }

  async #run(args: readonly string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await run([this.crane, ...args]);
    if (exitCode !== 0) throw new RegistryError(args, stderr);
    return stdout.trim();
  }
}

/** The registry refused, did not answer, or answered with something else than it was asked for. */
export class RegistryError extends Error {
  override readonly name = 'RegistryError';

  constructor(args: readonly string[], stderr: string) {
    const reason = stderr.split('\n').findLast((line) => line.startsWith('Error: '));
    super(`crane ${args.join(' ')}: ${reason?.slice('Error: '.length) ?? stderr.trim()}`);
  }
}
