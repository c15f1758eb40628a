import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { KubernetesObject } from '../../scripts/module/render.ts';
import { toolsImage } from '../cluster/images.ts';
import { Objects } from '../cluster/objects.ts';
import { waitUntil } from '../wait-until.ts';
import { NodeWorld } from './node-world.ts';
import { type Pod, Pods } from './pods.ts';

setDefaultTimeout(240_000);

const EXAMPLES = join(import.meta.dir, '../../docs/examples/pods');
/** The account that the examples name, and ours. */
const EXAMPLE_ACCOUNT = 'app@my-project.iam.gserviceaccount.com';
const NODE_ACCOUNT = 'node@my-project.iam.gserviceaccount.com';

let world: NodeWorld;
let pods: Pods;

beforeAll(async () => {
  world = await NodeWorld.start();
  pods = new Pods(world.api);
  for (const name of ['app', 'gke']) world.bind(EXAMPLE_ACCOUNT, name);
  world.bind(NODE_ACCOUNT, 'node');
  const annotations = { 'iam.gke.io/gcp-service-account': NODE_ACCOUNT };
  await world.api.text('POST', '/api/v1/namespaces/default/serviceaccounts', {
    body: { metadata: { name: 'node', annotations } },
  });
  await world.setNodeServiceAccount('node');
});
afterAll(() => world?.[Symbol.asyncDispose]());

/** Applies an example as `kubectl` would, but for the image, which this Node cannot pull. */
async function apply(example: string): Promise<void> {
  const yaml = await Bun.file(join(EXAMPLES, example)).text();
  const local = yaml.replace(/image: curlimages\/curl:\S+/, `image: ${toolsImage}`);
  expect(local).not.toBe(yaml);
  const objects = new Objects(world.api);
  // a file of several documents
  for (const object of [Bun.YAML.parse(local)].flat() as KubernetesObject[]) await objects.apply(object);
}

const EXPECTED: Readonly<Record<string, { readonly name?: string; readonly label?: string; log: string }>> = {
  'annotated.yaml': { name: 'annotated', log: `${EXAMPLE_ACCOUNT}\ntoken: 200\n` },
  'direct-access.yaml': { name: 'direct-access', log: 'node-project.svc.id.goog\ntoken: 200\n' },
  'host-network.yaml': { name: 'host-network', log: `${NODE_ACCOUNT}\ntoken: 200\n` },
  'gke.yaml': { label: 'batch.kubernetes.io/job-name=gke', log: `${EXAMPLE_ACCOUNT}\ntoken: 200\n` },
};

test.each(readdirSync(EXAMPLES))('%s does what it says', async (example) => {
  const { name, label = '', log } = EXPECTED[example] ?? { log: 'no such example here' };
  await apply(example);
  const pod =
    name ??
    (await waitUntil<Pod>('the Job has a Pod', async () => (await pods.withLabel(label))[0] ?? false))
      .metadata.name;
  await pods.succeeded(pod);
  expect(await pods.log(pod, 'app')).toBe(log);
});
