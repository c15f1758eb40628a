import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { node as nodeObject, pod } from '../../../server/sandbox/kubernetes/objects.ts';
import { type SandboxWorld, startSandboxWorld } from '../../../server/sandbox/sandbox-world.ts';
import { type ServeProcess, startServe } from '../../serve-process.ts';
import { TIMEOUT } from '../client-suite.ts';
import { choosePodNetwork } from '../pod-network.ts';
import type { PodPlace } from '../pod-place.ts';
import { installOthers } from './other-programs.ts';

setDefaultTimeout(TIMEOUT);

// namespaces have an index each
const INDEX = 60;
const REQUESTS = /^gke_metadata_server_http_requests_total\{.*\} (\d+)$/gm;

const network = await choosePodNetwork();
const programs = await installOthers();

/** A Pod of a cluster without a word about names or places: no cluster name, no location, no labels on its Node. */
describe.skipIf(!network.podsHaveAddresses)(`what else looks at the address, ${network.description}`, () => {
  let world: SandboxWorld;
  let serve: ServeProcess;
  let place: PodPlace;
  const stack = new AsyncDisposableStack();

  beforeAll(async () => {
    world = stack.use(await startSandboxWorld());
    const { nodeName } = world;
    world.kubernetes.put(nodeObject({ name: nodeName }));
    place = stack.use(await network.place(INDEX));
    const ips = [place.address];
    world.kubernetes.put(
      pod({ name: 'other', namespace: 'default', serviceAccountName: 'annotated', nodeName, ips }),
    );
    serve = stack.use(await startServe(world));
    await place.connect(serve.port);
  }, TIMEOUT);
  afterAll(() => stack.disposeAsync(), TIMEOUT);

  /** How many requests the server has answered. */
  async function answered(): Promise<number> {
    const metrics = await (await fetch(`http://127.0.0.1:${serve.healthPort}/metrics`)).text();
    return [...metrics.matchAll(REQUESTS)].reduce((sum, [, count]) => sum + Number(count), 0);
  }

  for (const program of programs) {
    if ('notRun' in program) {
      test.skip(`not run: ${program.name} (${program.notRun})`, () => undefined);
      continue;
    }
    const look = async (client: 'azure' | 'aws' | 'detector', variables: Record<string, string> = {}) => {
      const before = await answered();
      const { exitCode, stdout, stderr } = await place.run([...program.command, client], variables);
      if (exitCode !== 0) throw new Error(`${exitCode ?? 'killed'}\n${stdout}${stderr}`);
      return { seen: JSON.parse(stdout), requests: (await answered()) - before };
    };

    test(`${program.name}: Azure's chain of credentials goes on after its request, asking no second time`, async () => {
      const { seen, requests } = await look('azure');
      // each names every credential that it tried
      expect(seen.error).toMatch(/AzureCLI|Azure CLI/);
      expect(seen.error).toContain('Identity not found');
      // a probe, and the request itself
      expect(requests).toBeLessThanOrEqual(2);
    });

    test(`${program.name}: AWS's chain of credentials ends after one request of each version`, async () => {
      const { seen, requests } = await look('aws');
      expect(seen.credentials ?? undefined).toBeUndefined();
      expect(requests).toBe(2);
    });

    test(`${program.name}: OpenTelemetry's detector finds a resource of GKE`, async () => {
      const { seen } = await look('detector', { KUBERNETES_SERVICE_HOST: '10.0.0.1' });
      expect(seen).toEqual({
        'cloud.provider': 'gcp',
        'cloud.platform': 'gcp_kubernetes_engine',
        'cloud.account.id': world.projectID,
        'cloud.region': 'unknown-location',
        'k8s.cluster.name': world.provider.provider,
        'host.id': expect.stringMatching(/^\d+$/),
      });
    });
  }
});
