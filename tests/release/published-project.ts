import { join } from 'node:path';
import { generatedSchemas } from '../../scripts/module/schemas.ts';
import { Registry } from '../../scripts/publish/registry.ts';
import { type PublishedArtifact, publishRelease } from '../../scripts/publish/release.ts';
import type { ArtifactName } from '../../scripts/publish/release-names.ts';
import { type Expectation, verifyRelease } from '../../scripts/publish/verification.ts';
import { Cache } from '../../scripts/tools/cache.ts';
import { goProgram } from '../../scripts/tools/go-program.ts';
import { LocalRegistry } from './local-registry.ts';
import { cosign, type Key, makeKey, orderOf, scratchFolder, smallParts } from './small-release.ts';

/** The releases of {@link PublishedProject}, the last of which is looked at. */
export const OLD_VERSION = '1.0.0';
export const VERSION = '1.1.0';
export const SOURCE_URL = 'https://git.example.test/project';

/** A project with two releases in a registry of its own. */
export class PublishedProject implements AsyncDisposable {
  private constructor(
    readonly local: LocalRegistry,
    readonly registry: Registry,
    readonly folder: Awaited<ReturnType<typeof scratchFolder>>,
    readonly key: Key,
    /** `HOST/PATH`. */
    readonly at: string,
    /** What {@link VERSION} consists of. */
    readonly released: readonly PublishedArtifact[],
  ) {}

  static async start(): Promise<PublishedProject> {
    const cache = new Cache();
    const local = await LocalRegistry.start();
    const registry = new Registry(await goProgram('crane', cache));
    const folder = await scratchFolder();
    const key = await makeKey(folder.path, 'release');
    const at = `${local.host}/project`;
    const schemas = await generatedSchemas(cache);
    const tools = { registry, cosign: await cosign() };
    const publish = (version: string) => {
      const order = orderOf(at, version, key);
      return publishRelease(order, smallParts(order, schemas), join(folder.path, version), tools, () => {});
    };
    await publish(OLD_VERSION);
    return new PublishedProject(local, registry, folder, key, at, await publish(VERSION));
  }

  artifact(name: ArtifactName): PublishedArtifact & { readonly layout: string } {
    const found = this.released.find((each) => each.name === name);
    if (found?.layout === undefined) throw new Error(`there is no ${name}`);
    return { ...found, layout: found.layout };
  }

  async findings(changes: Partial<Expectation> = {}) {
    const tools = { registry: this.registry, cosign: await cosign() };
    const expectation = { version: VERSION, sourceURL: SOURCE_URL, signer: this.key.signer, ...changes };
    return verifyRelease(this.at, expectation, tools);
  }

  /** What is wrong, a line each. */
  async problems(changes: Partial<Expectation> = {}): Promise<readonly string[]> {
    const bad = (await this.findings(changes)).filter(({ isGood }) => !isGood);
    return bad.map(({ artifact, what, finding }) => `${artifact}: ${what}: ${finding}`);
  }

  /** The tag of {@link VERSION} of an artifact for a while at something else. */
  async withTagAt(name: ArtifactName, reference: string, look: () => Promise<void>): Promise<void> {
    const { repository, digest } = this.artifact(name);
    await this.registry.tag(reference, VERSION);
    try {
      await look();
    } finally {
      await this.registry.tag(`${repository}@${digest}`, VERSION);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.local[Symbol.asyncDispose]();
    await this.folder[Symbol.asyncDispose]();
  }
}
