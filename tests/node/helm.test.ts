import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { chartFolder } from '../../scripts/module/chart.ts';
import { run } from '../../scripts/run.ts';
import { Cache } from '../../scripts/tools/cache.ts';
import { goProgram } from '../../scripts/tools/go-program.ts';
import { WorkloadIdentityProvider } from '../../server/google/workload-identity-provider.ts';
import { StandInGoogle } from '../../server/sandbox/stand-in-google.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { serverImage } from '../cluster/images.ts';
import { startCluster } from '../cluster/start-cluster.ts';
import { scratchFolder } from '../release/small-release.ts';
import { waitUntil } from '../wait-until.ts';
import { NAME, SERVER, SYSTEM, serverImageArchive } from './installation.ts';

setDefaultTimeout(300_000);

const PROVIDER = WorkloadIdentityProvider.parse(
  'projects/123456789012/locations/global/workloadIdentityPools/pool/providers/cluster',
);
const ACCOUNT = 'test@node-project.iam.gserviceaccount.com';

const resources = new AsyncDisposableStack();
let cluster: Cluster;
let helm: (...args: readonly string[]) => Promise<string>;
beforeAll(async () => {
  const [image, program] = await Promise.all([serverImageArchive(), goProgram('helm', new Cache())]);
  cluster = resources.use(await startCluster({ mode: 'node', certManager: true }));
  const { api } = cluster;
  const google = resources.use(await new StandInGoogle({ hostname: cluster.hostAddresses[0] ?? '' }).start());
  const { issuer } = await api.json<{ issuer: string }>('GET', '/.well-known/openid-configuration');
  google.addProvider({ provider: PROVIDER, issuer, jwks: await api.json('GET', '/openid/v1/jwks') });
  google.serviceAccounts.add(ACCOUNT);
  const pool = PROVIDER.name.replace(/\/providers\/.*/, '');
  const subject = `system:serviceaccount:default:${NAME}-test`;
  google.serviceAccounts.bind(
    ACCOUNT,
    'roles/iam.workloadIdentityUser',
    `principal://iam.googleapis.com/${pool}/subject/${subject}`,
  );
  await cluster.loadImage(image);

  const { path: folder } = resources.use(await scratchFolder());
  const [repository = '', tag = ''] = serverImage.split(':');
  const values = {
    image: { repository, tag },
    settings: {
      projectID: 'node-project',
      workloadIdentityProvider: PROVIDER.name,
      googleSTSEndpoint: google.url,
      googleIAMCredentialsEndpoint: google.url,
    },
    test: { enabled: true, googleServiceAccount: ACCOUNT },
  };
  const file = `${folder}/values.json`;
  await Bun.write(file, JSON.stringify(values));
  helm = async (command, ...args) => {
    const ofChart = ['install', 'upgrade'].includes(command ?? '') ? [chartFolder, '--values', file] : [];
    const flags = ['--namespace', SYSTEM, '--kubeconfig', cluster.kubeconfig, '--timeout', '3m'];
    const { exitCode, stdout, stderr } = await run(
      [program, command ?? '', NAME, ...ofChart, ...args, ...flags],
      { env: { ...process.env, HOME: folder, HELM_NO_PLUGINS: '1' } },
    );
    if (exitCode !== 0) throw new Error(`helm ${command}: ${stdout}${stderr}`);
    return stdout;
  };
});
afterAll(() => resources[Symbol.asyncDispose]());

// the commands of docs/helm.md
test('first without servers, then with them: each command ends when all is ready, and a Pod gets its token', async () => {
  const nobody = 'server.nodeSelector.node-restriction\\.kubernetes\\.io/none=none';
  await helm('install', '--create-namespace', '--wait', '--set-string', nobody);
  const servers = async () => {
    const { status } = await cluster.api.json<{ status: Readonly<Record<string, number>> }>('GET', SERVER);
    return [status['desiredNumberScheduled'], status['numberReady']];
  };
  expect(await servers()).toEqual([0, 0]);
  await helm('upgrade', '--wait');
  expect(await servers()).toEqual([1, 1]);
  // the Job fails unless it gets a token and the account's email; Helm has the logs of Pods alone
  expect(await helm('test')).toMatch(/gke-metadata-server-test(\n.*){2}\nPhase: +Succeeded/);
});

test('the end of a release leaves none of its Pods, and Pods are created as if it had never been there', async () => {
  await helm('uninstall', '--wait');
  await waitUntil('its Pods are gone', async () => {
    const path = `/api/v1/namespaces/${SYSTEM}/pods`;
    const { items } = await cluster.api.json<{ items: readonly unknown[] }>('GET', path);
    return items.length === 0;
  });
  const labels = { 'gke-metadata-server.matheuscscp.io/webhook': 'Mutate' };
  const pod = {
    metadata: { name: 'later', labels },
    spec: { containers: [{ name: 'main', image: 'none' }] },
  };
  const path = '/api/v1/namespaces/default/pods?dryRun=All';
  const made = await cluster.api.json<{ spec: object }>('POST', path, { body: pod });
  expect(made.spec).not.toHaveProperty('initContainers');
});
