import { afterAll, beforeAll, expect, test } from 'bun:test';
import { writeChart } from '../../scripts/module/chart.ts';
import { writeChartArtifact } from '../../scripts/publish/artifacts.ts';
import { makeKey, scratchFolder } from '../release/small-release.ts';
import { asApplied, asDefaulted, moduleObjects } from './expected-objects.ts';
import { FluxWorld } from './flux-world.ts';
import { REFUSED, SignedSource, version, type WriteLayout } from './signed-source.ts';

const longest = 240_000;
const image = { repository: 'registry.test/gke-metadata-server', digest: `sha256:${'0'.repeat(64)}` };

let world: FluxWorld;
let source: SignedSource;
beforeAll(async () => {
  world = await FluxWorld.start();
  source = await SignedSource.of('chart', world);
}, longest);
afterAll(() => world?.[Symbol.asyncDispose]());

/** The chart that the project releases. */
const writeChartLayout: WriteLayout = async (layout, release) => {
  await using folder = await scratchFolder();
  await writeChart(folder.path, version);
  return await writeChartArtifact(layout, folder.path, release);
};

test(
  'a signed chart becomes the objects of the module with the values of the HelmRelease',
  async () => {
    const { objects } = world.parts;
    await source.pushSigned('signed', writeChartLayout);
    expect(await source.ready(source.ociRepository('signed', 'gke-metadata-server'))).toMatchObject({
      status: 'True',
    });
    const { values, install } = Object(source.object('HelmRelease', {})['spec']);
    const all = { ...values, image };
    const expected = await moduleObjects(all);
    const defaulted = await asDefaulted(expected, objects);
    const release = source.object('HelmRelease', {
      values: all,
      // there is neither a Node nor cert-manager's controller
      ...{ install: { ...install, disableWait: true }, dependsOn: undefined },
    });
    expect(await source.ready(release)).toMatchObject({ status: 'True', reason: 'InstallSucceeded' });
    expect(await asApplied(expected, objects)).toEqual(defaulted);
  },
  longest,
);

test.each(['nobody', 'somebody else'])(
  'a chart that %s signed is refused',
  async (who) => {
    const path = who.replace(' ', '-');
    const reference = await source.push(path, writeChartLayout);
    if (who !== 'nobody') {
      const other = await makeKey(world.parts.folder, 'other');
      await world.parts.cosign.sign(reference, other.privateKey);
    }
    expect(await source.ready(source.ociRepository(path))).toMatchObject(REFUSED);
  },
  longest,
);
