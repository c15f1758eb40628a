import { afterAll, beforeAll, expect, test } from 'bun:test';
import { join } from 'node:path';
import { publishRelease } from '../../scripts/publish/release.ts';
import { releaseParts } from '../../scripts/publish/release-parts.ts';
import { Cache } from '../../scripts/tools/cache.ts';
import { orderOf, smallParts } from '../release/small-release.ts';
import { asApplied, asDefaulted, moduleObjects } from './expected-objects.ts';
import { FluxWorld } from './flux-world.ts';
import { SignedSource, version } from './signed-source.ts';

const longest = 240_000;
const settings = {
  projectID: 'substituted-project',
  workloadIdentityProvider:
    'projects/123456789012/locations/global/workloadIdentityPools/substituted/providers/substituted',
};

let world: FluxWorld;
let source: SignedSource;
beforeAll(async () => {
  world = await FluxWorld.start();
  source = await SignedSource.of('manifests', world);
}, longest);
afterAll(() => world?.[Symbol.asyncDispose]());

/** A release of a small image, and of the manifests that the project releases. */
async function publish(path: string) {
  const { host, registry, cosign, signer, folder } = world.parts;
  const order = orderOf(`${host}/${path}`, version, signer);
  const { others } = await releaseParts(order.source, new Cache(), () => {});
  const parts = { ...smallParts(order, ''), others: others.filter(({ name }) => name === 'manifests') };
  const tools = { registry, cosign };
  const [image, manifests] = await publishRelease(order, parts, join(folder, 'work'), tools, () => {});
  if (image === undefined || manifests === undefined) throw new Error('there are two artifacts');
  return { image: { repository: image.repository, tag: version, digest: image.digest }, manifests };
}

test(
  'the manifests of a release become the objects of the module with what was substituted, and nothing else',
  async () => {
    const { objects } = world.parts;
    const { image, manifests } = await publish('released');
    const expected = await moduleObjects({ settings, image });
    await world.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'gke-metadata-server' } });
    const defaulted = await asDefaulted(expected, objects);

    const conditions = await world.settle(source.ociRepository('released', 'gke-metadata-server'));
    expect(conditions).toContainEqual(
      expect.objectContaining({
        type: 'SourceVerified',
        status: 'True',
        message: expect.stringContaining(manifests.digest),
      }),
    );
    const kustomization = source.object('Kustomization', {
      postBuild: {
        substitute: {
          PROJECT_ID: settings.projectID,
          WORKLOAD_IDENTITY_PROVIDER: settings.workloadIdentityProvider,
        },
      },
      // there is neither a Node nor cert-manager's controller
      ...{ wait: undefined, dependsOn: undefined },
    });
    expect(await source.ready(kustomization)).toMatchObject({ status: 'True' });

    const applied = await asApplied(expected, objects);
    expect(applied).toEqual(defaulted);
    expect(JSON.stringify(applied)).toContain(image.digest);
    const { inventory } = Object(await objects.get(kustomization)).status;
    // the Namespace, too
    expect(inventory.entries).toHaveLength(expected.length + 1);
  },
  longest,
);

test(
  'the example waits for cert-manager',
  async () => {
    const waiting = source.object('Kustomization', {});
    const object = { ...waiting, metadata: { ...waiting.metadata, name: 'waiting' } };
    expect(await source.ready(object)).toMatchObject({ status: 'False', reason: 'DependencyNotReady' });
  },
  longest,
);
