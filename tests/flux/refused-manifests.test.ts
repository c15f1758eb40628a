import { afterAll, beforeAll, expect, test } from 'bun:test';
import { writeManifestsArtifact } from '../../scripts/publish/artifacts.ts';
import { makeKey } from '../release/small-release.ts';
import { waitUntil } from '../wait-until.ts';
import { withSpec } from './examples.ts';
import { FluxWorld } from './flux-world.ts';
import { REFUSED, SignedSource, type WriteLayout } from './signed-source.ts';

const longest = 240_000;

let world: FluxWorld;
let source: SignedSource;
beforeAll(async () => {
  world = await FluxWorld.start();
  source = await SignedSource.of('manifests', world);
}, longest);
afterAll(() => world?.[Symbol.asyncDispose]());

const manifests =
  (name: string): WriteLayout =>
  (layout, release) => {
    const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'default' } };
    return writeManifestsArtifact(layout, JSON.stringify(object), release);
  };

/** The bytes of an artifact's only layer. */
async function layerOf(reference: string): Promise<Uint8Array<ArrayBuffer>> {
  const url = new URL(`http://${reference.replace('/', '/v2/').replace('@', '/manifests/')}`);
  // the registry gives what was pushed a moment ago
  const { layers } = (await (await fetch(url)).json()) as { layers: readonly { digest: string }[] };
  return new Uint8Array(await (await fetch(new URL(`../blobs/${layers[0]?.digest}`, url))).arrayBuffer());
}

test(
  'unsigned manifests are refused until they are signed',
  async () => {
    const reference = await source.push('unsigned', manifests('any'));
    const repository = source.ociRepository('unsigned');
    expect(await source.ready(repository)).toMatchObject(REFUSED);
    expect(Object(await world.parts.objects.get(repository)).status.artifact).toBeUndefined();

    await world.parts.cosign.sign(reference, world.parts.signer.privateKey);
    // otherwise Flux looks again when it next would
    const again = withSpec(repository, { interval: '59m' });
    await waitUntil('they are accepted', async () => (await source.ready(again))?.status === 'True');
  },
  longest,
);

test(
  'manifests that somebody else signed are refused',
  async () => {
    const { folder, cosign } = world.parts;
    const other = await makeKey(folder, 'other');
    await cosign.sign(await source.push('other', manifests('any')), other.privateKey);
    expect(await source.ready(source.ociRepository('other'))).toMatchObject(REFUSED);
  },
  longest,
);

test(
  'a version that was made other manifests after it was signed is refused',
  async () => {
    await source.pushSigned('moved', manifests('good'));
    await source.push('moved', manifests('evil'));
    expect(await source.ready(source.ociRepository('moved'))).toMatchObject(REFUSED);
  },
  longest,
);

test(
  'a good signature of other manifests is refused',
  async () => {
    const good = await source.pushSigned('borrowed', manifests('good'));
    const evil = await source.push('borrowed', manifests('evil'));
    // where cosign keeps what is said of an artifact, in a registry that does not know of referrers
    const noteOf = (reference: string) => reference.replace('@sha256:', ':sha256-');
    await world.parts.registry.tag(noteOf(good), noteOf(evil).split(':').at(-1) ?? '');
    expect(await source.ready(source.ociRepository('borrowed'))).toMatchObject(REFUSED);
  },
  longest,
);

test(
  'signed manifests of which the registry hands out other bytes are refused',
  async () => {
    await source.pushSigned('corrupt', manifests('good'));
    const { host } = world.parts;
    const evil = await layerOf(await source.push('evil', manifests('evil')));
    using liar = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      async fetch({ url, headers }) {
        const { pathname, search } = new URL(url);
        const answer = await fetch(`http://${host}${pathname}${search}`, { headers });
        const bytes = await answer.bytes();
        // the layer is a gzip archive, as neither the configuration nor a signature is
        return new Response(bytes[0] === 0x1f ? evil : bytes, answer);
      },
    });
    const { url } = Object(source.ociRepository('corrupt')['spec']);
    const repository = withSpec(source.ociRepository('corrupt'), {
      url: url.replace(host, `127.0.0.1:${liar.port}`),
    });
    expect(await source.ready(repository)).toMatchObject({
      status: 'False',
      message: expect.stringContaining('checksum'),
    });
  },
  longest,
);

test(
  'Flux takes a statement about the manifests for a signature, where scripts/verify-release does not',
  async () => {
    const { cosign, signer } = world.parts;
    const reference = await source.push('attested', manifests('any'));
    await cosign.attest(reference, signer.privateKey, 'provenance', { buildDefinition: {}, runDetails: {} });
    await expect(cosign.verify(reference, signer.signer)).rejects.toThrow('no signature');
    expect(await source.ready(source.ociRepository('attested'))).toMatchObject({ status: 'True' });
  },
  longest,
);
