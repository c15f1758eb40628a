import { join } from 'node:path';
import type { KubernetesObject } from '../../scripts/module/render.ts';
import type { ReleaseSource } from '../../scripts/publish/artifacts.ts';
import { type ArtifactName, repositoryOf } from '../../scripts/publish/release-names.ts';
import { orderOf, scratchFolder } from '../release/small-release.ts';
import { example, ofKind, withSpec } from './examples.ts';
import type { Condition, FluxWorld } from './flux-world.ts';

/** The version of what the tests push, unless they say another. */
export const version = '0.1.0';

/** Writes an artifact as an OCI layout. */
export type WriteLayout = (layout: string, source: ReleaseSource) => Promise<{ readonly digest: string }>;

/** A controller's error if a signature is missing or not of the key. */
export const REFUSED = { status: 'False', reason: 'VerificationError' } as const;

type SignedArtifact = Exclude<ArtifactName, 'image'>;

/** The example with a key for manifests, the chart or the module, of which Flux knows the world's signer. */
export class SignedSource {
  private constructor(
    private readonly world: FluxWorld,
    private readonly artifact: SignedArtifact,
    private readonly documents: readonly KubernetesObject[],
  ) {}

  static async of(artifact: SignedArtifact, world: FluxWorld): Promise<SignedSource> {
    const documents = await example(`flux/${artifact}-with-key.yaml`);
    const { namespace = '' } = ofKind('OCIRepository', documents).metadata;
    await world.apply(
      ...documents.filter(({ kind }) => kind === 'Namespace'),
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
      {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'gke-metadata-server-cosign', namespace },
        stringData: { 'cosign.pub': await Bun.file(world.parts.signer.signer.key).text() },
      },
    );
    return new SignedSource(world, artifact, documents);
  }

  /** The example's only object of a kind, with other fields in its `spec`. */
  object(kind: string, fields: Readonly<Record<string, unknown>>): KubernetesObject {
    return withSpec(ofKind(kind, this.documents), fields);
  }

  /** The example's OCIRepository, for what is below `HOST/PATH` in the registry, which plain HTTP leads to. */
  ociRepository(path: string, name = path): KubernetesObject {
    const object = this.object('OCIRepository', { url: `oci://${this.#repository(path)}`, insecure: true });
    return { ...object, metadata: { ...object.metadata, name } };
  }

  /** Pushes and tags as a release below `HOST/PATH` would, but for the signature. Returns `REPOSITORY@DIGEST`. */
  async push(path: string, write: WriteLayout, as = version): Promise<string> {
    const { host, registry, signer } = this.world.parts;
    await using folder = await scratchFolder();
    const layout = join(folder.path, 'layout');
    const { digest } = await write(layout, orderOf(`${host}/${path}`, as, signer).source);
    const reference = `${this.#repository(path)}@${digest}`;
    await registry.push(layout, reference);
    await registry.tag(reference, as);
    return reference;
  }

  /** The same, signed by the world's signer. */
  async pushSigned(path: string, write: WriteLayout, as = version): Promise<string> {
    const reference = await this.push(path, write, as);
    const { cosign, signer } = this.world.parts;
    await cosign.sign(reference, signer.privateKey);
    return reference;
  }

  /** Applies an object; resolves with its condition Ready once that says yes or no. */
  async ready(object: KubernetesObject): Promise<Condition | undefined> {
    return (await this.world.settle(object)).find(({ type }) => type === 'Ready');
  }

  #repository(path: string): string {
    return repositoryOf(this.artifact, `${this.world.parts.host}/${path}`);
  }
}
