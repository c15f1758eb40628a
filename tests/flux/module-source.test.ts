import { afterAll, beforeAll, expect, test } from 'bun:test';
import { join } from 'node:path';
import { generatedSchemas } from '../../scripts/module/schemas.ts';
import { writeModuleArtifact } from '../../scripts/publish/module-artifact.ts';
import { type Finished, run } from '../../scripts/run.ts';
import { Cache } from '../../scripts/tools/cache.ts';
import { makeKey } from '../release/small-release.ts';
import { waitUntil } from '../wait-until.ts';
import { withSpec } from './examples.ts';
import { FluxWorld } from './flux-world.ts';
import { REFUSED, SignedSource, version, type WriteLayout } from './signed-source.ts';

const longest = 240_000;
const NAME = 'gke-metadata-server-module';
const NEWER = '0.2.0';
const UNSIGNED = '0.3.0';

// it cannot be compiled from its Go module by the tools of this repository
const timoni = Bun.which('timoni');

let world: FluxWorld;
let source: SignedSource;
let schemas: string;
beforeAll(async () => {
  world = await FluxWorld.start();
  source = await SignedSource.of('module', world);
  schemas = await generatedSchemas(new Cache());
}, longest);
afterAll(() => world?.[Symbol.asyncDispose]());

/** The project's module, released with an image whose digest is all of one digit. */
const moduleWith =
  (digit: string): WriteLayout =>
  (layout, release) => {
    const digest = `sha256:${digit.repeat(64)}`;
    return writeModuleArtifact(
      layout,
      schemas,
      { repository: 'registry.test/image', tag: version, digest },
      release,
    );
  };

const digestOf = (reference: string) => reference.slice(reference.indexOf('@') + 1);

test(
  'Flux verifies the module, and is ready with the digest that was signed',
  async () => {
    const reference = await source.pushSigned('signed', moduleWith('0'));
    const repository = source.ociRepository('signed');
    const conditions = await world.settle(repository);
    expect(conditions).toContainEqual(expect.objectContaining({ type: 'Ready', status: 'True' }));
    expect(conditions).toContainEqual(expect.objectContaining({ type: 'SourceVerified', status: 'True' }));
    const { artifact } = Object(await world.parts.objects.get(repository)).status;
    expect(artifact.revision).toBe(`${version}@${digestOf(reference)}`);
  },
  longest,
);

test.each(['nobody', 'somebody else'])(
  'a module that %s signed is refused',
  async (who) => {
    const path = who.replace(' ', '-');
    const reference = await source.push(path, moduleWith('0'));
    if (who !== 'nobody') {
      const other = await makeKey(world.parts.folder, 'other');
      await world.parts.cosign.sign(reference, other.privateKey);
    }
    const repository = source.ociRepository(path);
    expect(await source.ready(repository)).toMatchObject(REFUSED);
    expect(Object(await world.parts.objects.get(repository)).status.artifact).toBeUndefined();
  },
  longest,
);

/** Runs what the CronJob's container would, as a process. There is no Node, so nothing that it applies becomes ready. */
async function runJob(): Promise<Finished> {
  const folder = join(world.parts.folder, crypto.randomUUID());
  const { data } = Object(source.object('ConfigMap', {}));
  for (const [name, text] of Object.entries<string>(data)) await Bun.write(join(folder, name), text);
  const pod = Object(source.object('CronJob', {})['spec']).jobTemplate.spec.template.spec;
  const [{ command, env }] = pod.containers;
  const [program, ...args] = command.map((each: string) => each.replace('=/bundle/', `=${folder}/`));
  expect(program).toBe('timoni');
  const environment = Object.fromEntries(
    env.map(({ name, value }: { name: string; value: string }) => [name, value]),
  );
  return run([timoni ?? '', ...args, '--wait=false', `--kubeconfig=${world.parts.kubeconfig}`], {
    env: { ...environment, HOME: folder },
  });
}

/** The image of the server that is applied. */
async function appliedImage(): Promise<string> {
  const metadata = { name: 'gke-metadata-server', namespace: 'gke-metadata-server' };
  const found = await world.parts.objects.get({ apiVersion: 'apps/v1', kind: 'DaemonSet', metadata });
  return Object(found)['spec'].template.spec.containers[0].image;
}

const imageWith = (digit: string) => expect.stringContaining(`@sha256:${digit.repeat(64)}`);

test.skipIf(timoni === null)(
  'the Job applies what Flux verified, then the next release, and never one that nobody signed',
  async () => {
    const { objects } = world.parts;
    const revision = async () => Object(await objects.get(repository)).status.artifact?.revision;
    const repository = source.ociRepository('applied', NAME);

    const first = await source.pushSigned('applied', moduleWith('1'));
    expect(await source.ready(repository)).toMatchObject({ status: 'True' });
    expect(await runJob()).toMatchObject({ exitCode: 0 });
    expect(await appliedImage()).toEqual(imageWith('1'));
    expect(await revision()).toBe(`${version}@${digestOf(first)}`);

    const second = await source.pushSigned('applied', moduleWith('2'), NEWER);
    // otherwise Flux looks again when it next would
    await world.apply(withSpec(repository, { interval: '59m' }));
    await waitUntil(
      'Flux verified the next',
      async () => (await revision()) === `${NEWER}@${digestOf(second)}`,
    );
    expect(await runJob()).toMatchObject({ exitCode: 0 });
    expect(await appliedImage()).toEqual(imageWith('2'));

    await source.push('applied', moduleWith('3'), UNSIGNED);
    await world.apply(withSpec(repository, { interval: '58m' }));
    await waitUntil('Flux refused the unsigned', async () => {
      const { conditions } = Object(await objects.get(repository)).status;
      return conditions.some(({ reason }: { reason: string }) => reason === 'VerificationError');
    });
    const refused = await runJob();
    expect(refused.exitCode).toBe(1);
    expect(refused.stderr + refused.stdout).toContain('_isSignatureVerified');
    expect(await appliedImage()).toEqual(imageWith('2'));
  },
  longest,
);
