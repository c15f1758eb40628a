import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemEffects } from '../core/effects.ts';
import { explainNode } from '../explain/explain-node.ts';
import { type NodeExplanation, nodeExplanationText } from '../explain/node-explanation.ts';
import { askPrivately } from '../http/private-socket.ts';
import { ApiServer } from '../kubernetes/api-server.ts';
import { RestClient } from '../kubernetes/client.ts';
import { ask } from '../sandbox/ask.ts';
import { pod, serviceAccount } from '../sandbox/kubernetes/objects.ts';
import { type SandboxWorld, sandboxSettings, startSandboxWorld } from '../sandbox/sandbox-world.ts';
import type { ServeSettings } from '../settings/serve-settings.ts';
import type { Log } from '../telemetry/log.ts';
import { type Serving, startServing } from './serve.ts';

const TOKEN = '/computeMetadata/v1/instance/service-accounts/default/token';
const AZURE_TOKEN =
  '/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://management.azure.com/';
const ANNOTATED = '127.0.0.11';
const DENIED = '127.0.0.13';

let world: SandboxWorld;
let folder: string;
let statusSocket: string;
let warnings: object[];

beforeEach(async () => {
  world = await startSandboxWorld();
  folder = await mkdtemp(join(tmpdir(), 'explain-node-'));
  statusSocket = join(folder, 'status.sock');
  warnings = [];
});
afterEach(async () => {
  await world[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

function start(): Promise<Serving> {
  const log: Log = { debug() {}, info() {}, error() {}, warn: (fields) => warnings.push(fields) };
  return startServing(sandboxSettings(world), {
    cluster: cluster(),
    effects: systemEffects,
    log,
    statusSocket,
  });
}

const cluster = () => ({
  server: world.kubernetes.url,
  authenticate: async () => ({ headers: {}, tls: {} }),
});

function explained(changed: Partial<ServeSettings> = {}): Promise<NodeExplanation> {
  return explainNode(sandboxSettings(world, changed), {
    kubernetes: new RestClient(new ApiServer(cluster(), systemEffects), systemEffects),
    effects: systemEffects,
    askServer: () => askPrivately(statusSocket, systemEffects),
  });
}

function podOf({ pods }: NodeExplanation, name: string) {
  const found = pods.find((each) => each.pod === name);
  if (found === undefined) throw new Error(`no Pod ${name}`);
  return found;
}

async function askAzure(serving: Serving, address: string) {
  return ask(address, serving.serverPort, AZURE_TOKEN, { Metadata: 'true' });
}

describe('the Pods of a Node', () => {
  test('are those that the server knows, and who each is in each cloud', async () => {
    await using _serving = await start();
    const explanation = await explained();
    expect(explanation).toMatchObject({ node: 'sandbox-node', ok: true });
    expect(explanation.pods.map((each) => each.pod)).toEqual([
      'default/annotated',
      'default/denied',
      'default/direct',
      'kube-system/node',
    ]);
    expect(podOf(explanation, 'default/annotated')).toEqual({
      pod: 'default/annotated',
      serviceAccount: 'default/annotated',
      hostNetwork: false,
      finished: false,
      clouds: {
        google: { identity: 'reader@sandbox-project.iam.gserviceaccount.com' },
        aws: { identity: 'arn:aws:iam::111122223333:role/reader' },
        azure: { identity: `client 8a9bacbd-cedf-40f1-a213-000000000001 of tenant ${world.azureTenantID}` },
      },
    });
    expect(podOf(explanation, 'default/direct').clouds).toEqual({
      google: { identity: expect.stringMatching(/^principal:.*:default:direct$/) },
      aws: {},
      azure: {},
    });
    expect(podOf(explanation, 'kube-system/node')).toMatchObject({
      hostNetwork: true,
      serviceAccount: 'kube-system/node',
    });
  });

  test('asks no cloud, and shows no cloud that is switched off', async () => {
    await using _serving = await start();
    const { pods } = await explained({ aws: undefined, azure: undefined });
    expect(pods.map(({ clouds }) => Object.keys(clouds))).toEqual([
      ['google'],
      ['google'],
      ['google'],
      ['google'],
    ]);
    expect([world.google.journal.total, world.kubernetes.journal.calls.filter(isCreate)]).toEqual([0, []]);
  });

  test('have finished, or no ServiceAccount, or annotations that are wrong, and it says so', async () => {
    const nodeName = world.nodeName;
    const annotations = {
      'iam.gke.io/gcp-service-account': 'reader',
      'eks.amazonaws.com/role-arn': 'arn:reader',
      'azure.workload.identity/client-id': 'reader',
    };
    world.kubernetes.put(serviceAccount({ name: 'wrong', namespace: 'default', annotations }));
    const at = (name: string, ip: string, serviceAccountName: string) =>
      pod({ name, namespace: 'default', serviceAccountName, nodeName, ips: [ip] });
    world.kubernetes.put(at('wrong', '127.0.0.31', 'wrong'));
    world.kubernetes.put(at('orphan', '127.0.0.32', 'absent'));
    const done = at('done', '127.0.0.33', 'annotated');
    world.kubernetes.put({ ...done, status: { ...done.status, phase: 'Succeeded' } });
    await using _serving = await start();
    const explanation = await explained();
    const failures = Object.values(podOf(explanation, 'default/wrong').clouds).map(
      ({ failure }) => failure?.code,
    );
    expect(failures).toEqual(['account-annotation-invalid', 'aws-role-invalid', 'azure-identity-invalid']);
    expect(podOf(explanation, 'default/orphan').failure?.code).toBe('service-account-missing');
    expect(podOf(explanation, 'default/done')).toMatchObject({ finished: true, clouds: {} });
    const text = nodeExplanationText(explanation);
    expect(text).toContain('\nPod default/done: has finished\n');
    expect(text).toContain('\n            service-account-missing: ');
  });
});

describe('the running server', () => {
  test('says until when what it has cached is kept, without a token of it', async () => {
    await using serving = await start();
    const token = JSON.parse((await ask(ANNOTATED, serving.serverPort, TOKEN)).body).access_token;
    expect((await askAzure(serving, ANNOTATED)).status).toBe(200);
    const explanation = await explained();
    const { google, aws, azure } = podOf(explanation, 'default/annotated').clouds;
    const until = expect.stringMatching(/^20\d\d-.*Z$/);
    expect(google?.cached).toEqual([
      { kind: 'federated-token', count: 1, until },
      { kind: 'access-token', count: 1, until },
    ]);
    expect(azure?.cached).toEqual([{ kind: 'azure-token', count: 1, until }]);
    expect(aws?.cached).toBeUndefined();
    const [, accessToken] = google?.cached ?? [];
    const minutes = (Date.parse(accessToken?.until ?? '') - Date.now()) / 60_000;
    expect(minutes).toBeGreaterThan(50);
    expect(minutes).toBeLessThan(60);
    const text = nodeExplanationText(explanation);
    expect(text).toContain(`access token cached until ${accessToken?.until}`);
    expect(`${text}${JSON.stringify(explanation)}`).not.toContain(token);
    expect(await askPrivately(statusSocket, systemEffects)).not.toContain(token);
  });

  test('says what last failed for a ServiceAccount, in each cloud by itself', async () => {
    await using serving = await start();
    expect((await ask(DENIED, serving.serverPort, TOKEN)).status).toBe(403);
    const before = Date.now();
    const explanation = await explained();
    const { google, aws, azure } = podOf(explanation, 'default/denied').clouds;
    expect(google?.lastFailure).toEqual({
      code: 'iam-permission-denied',
      reason: expect.stringContaining('403'),
      at: expect.stringMatching(/^20\d\d-.*Z$/),
    });
    expect(Date.parse(google?.lastFailure?.at ?? '')).toBeLessThanOrEqual(before);
    expect([aws?.lastFailure, azure?.lastFailure]).toEqual([undefined, undefined]);
    expect(nodeExplanationText(explanation)).toContain(': iam-permission-denied: ');
    expect((await askAzure(serving, DENIED)).status).toBe(400);
    expect(podOf(await explained(), 'default/denied').clouds.azure?.lastFailure?.code).toBe('entra-refused');
  });

  test('cannot be asked: the rest is shown, and that', async () => {
    const explanation = await explained();
    expect(explanation.ok).toBe(false);
    expect(podOf(explanation, 'default/annotated').clouds.google?.identity).toStartWith('reader@');
    expect(explanation.server?.reason).not.toBe('');
    expect(nodeExplanationText(explanation)).toContain('\nThe running server cannot be asked ');
  });

  test('answers after it was killed and started again, which leaves the socket behind', async () => {
    await writeFile(statusSocket, '');
    await using _serving = await start();
    expect((await explained()).ok).toBe(true);
  });

  test('lets only its own user connect, and leaves no socket when it ends', async () => {
    const serving = await start();
    expect((await stat(statusSocket)).mode & 0o777).toBe(0o600);
    await serving[Symbol.asyncDispose]();
    expect(await stat(statusSocket).catch(() => 'gone')).toBe('gone');
  });

  test('serves without the socket if it cannot have one, and warns', async () => {
    statusSocket = join(folder, 'absent', 'status.sock');
    await using serving = await start();
    expect((await ask(ANNOTATED, serving.serverPort, TOKEN)).status).toBe(200);
    expect(warnings).toMatchObject([{ path: statusSocket }]);
  });
});

function isCreate({ verb }: { readonly verb: string }): boolean {
  return verb === 'create';
}
