import { afterEach, beforeEach, expect, test } from 'bun:test';
import { systemEffects } from '../core/effects.ts';
import { Fault } from '../core/fault.ts';
import { googleAnnotations } from '../google/google-account.ts';
import { ApiServer } from '../kubernetes/api-server.ts';
import { RestClient } from '../kubernetes/client.ts';
import { node, pod, serviceAccount } from '../sandbox/kubernetes/objects.ts';
import { StandInKubernetes } from '../sandbox/stand-in-kubernetes.ts';
import { annotated } from '../testing/fake-metadata.ts';
import { NodeCallers } from './callers.ts';

// The client, the reflectors and the callers against HTTP and a real clock: what fakes cannot show.

const NODE = 'sandbox-node';
const WEB = pod({ name: 'web', ips: ['10.0.0.1', 'fd00::1'], serviceAccountName: 'web' });

let kubernetes: StandInKubernetes;
let client: RestClient;
let callers: NodeCallers;
let restarts: string[];
let unreadable: string[];
let stop: AbortController;
let running: Promise<void>;

beforeEach(async () => {
  kubernetes = await new StandInKubernetes({ bearerToken: 'let-me-in' }).start();
  kubernetes.put(node({ name: NODE, ips: ['192.0.2.1'] }));
  kubernetes.put(node({ name: 'other-node', ips: ['192.0.2.2'] }));
  kubernetes.put(
    serviceAccount({ name: 'web', annotations: { 'iam.gke.io/gcp-service-account': 'nonsense' } }),
  );
  kubernetes.put(WEB);
  kubernetes.put(pod({ name: 'elsewhere', ips: ['10.0.1.1'], nodeName: 'other-node' }));
  const cluster = {
    server: kubernetes.url,
    authenticate: async () => ({ headers: { authorization: 'Bearer let-me-in' }, tls: {} }),
  };
  client = new RestClient(new ApiServer(cluster, systemEffects), systemEffects);
  restarts = [];
  unreadable = [];
  stop = new AbortController();
  callers = new NodeCallers({
    client,
    nodeName: NODE,
    defaultNodeServiceAccount: undefined,
    clouds: [googleAnnotations],
    // pauses are the test of the reflector: here they are short
    effects: { ...systemEffects, random: () => -0.49 },
    events: {
      watchRestarted: (resource, reason) => void restarts.push(`${resource} ${reason}`),
      objectUnreadable: (resource) => void unreadable.push(resource),
    },
    log: { debug() {}, info() {}, warn() {}, error() {} },
  });
  running = callers.run(stop.signal);
  await until(() => callers.inSync() && kubernetes.openWatches === 2);
});

afterEach(async () => {
  stop.abort();
  await running;
  await kubernetes[Symbol.asyncDispose]();
});

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await Bun.sleep(1);
}

function calls(verb: string, resource: string): number {
  return kubernetes.journal.count((call) => call.verb === verb && call.resource === resource);
}

async function uidAt(address: string): Promise<string> {
  return (await callers.identify(address)).boundTo.uid;
}

function codeOf(identified: unknown): Promise<unknown> {
  return Promise.resolve(identified).then(
    () => 'ok',
    (error: unknown) => (error instanceof Fault ? error.code : error),
  );
}

test('Pods of this Node are callers, those of others are not', async () => {
  const caller = await callers.identify('::ffff:10.0.0.1');
  expect(caller.boundTo).toEqual({ kind: 'Pod', name: 'web', uid: WEB.metadata.uid });
  expect(caller.serviceAccount.annotations).toEqual(annotated('nonsense'));
  expect(await codeOf(callers.identify('10.0.1.1'))).toBe('caller-not-reported');
  expect(callers.node()?.addresses.map(String)).toEqual(['192.0.2.1']);
});

test('what comes and goes is seen at once', async () => {
  const late = kubernetes.put(pod({ name: 'late', ips: ['10.0.0.2'], serviceAccountName: 'web' }));
  expect(await uidAt('10.0.0.2')).toBe(late.metadata.uid);
  kubernetes.delete(late);
  await until(() => callers.known('10.0.0.2') === undefined);
  expect(calls('list', 'pods')).toBe(1);
});

test('one Pod whose status cannot be read costs no other its token, and the watch goes on', async () => {
  const status = { phase: 'Running', podIPs: 'none' };
  const broken = { ...pod({ name: 'broken', ips: ['10.0.0.3'], serviceAccountName: 'web' }), status };
  // what an API server would not store, as a proxy or a bug could send it
  kubernetes.put(broken as unknown as ReturnType<typeof pod>);
  const late = kubernetes.put(pod({ name: 'late', ips: ['10.0.0.2'], serviceAccountName: 'web' }));
  expect(await uidAt('10.0.0.2')).toBe(late.metadata.uid);
  expect(unreadable).toEqual(['pods']);
  kubernetes.endWatches();
  await until(() => kubernetes.openWatches === 2);
  kubernetes.compact('event');
  kubernetes.dropConnections();
  await until(() => kubernetes.openWatches === 2);
  expect(await uidAt('10.0.0.1')).toBe(WEB.metadata.uid);
});

test('watches that end resume from their bookmark, without a list', async () => {
  kubernetes.endWatches();
  await until(() => kubernetes.openWatches === 2);
  const late = kubernetes.put(pod({ name: 'late', ips: ['10.0.0.2'], serviceAccountName: 'web' }));
  expect(await uidAt('10.0.0.2')).toBe(late.metadata.uid);
  expect(calls('list', 'pods')).toBe(1);
  expect(restarts.sort()).toEqual(['nodes ended', 'pods ended']);
});

test.each(['event', 'status'] as const)('an expired version (as %s) lists again', async (expiredAs) => {
  kubernetes.faults.pods.failWith(503, 1);
  kubernetes.dropConnections();
  kubernetes.delete(WEB);
  kubernetes.compact(expiredAs);
  await until(() => restarts.includes('pods expired') && callers.known('10.0.0.1') === undefined);
  await until(() => kubernetes.openWatches === 2);
  expect(calls('list', 'pods')).toBe(2);
  expect(await codeOf(callers.identify('10.0.0.1'))).toBe('caller-not-reported');
});

test('an API server that goes and comes back: known Pods are served meanwhile, new ones after', async () => {
  const caller = await callers.identify('10.0.0.1');
  await kubernetes.stop();
  await until(() => restarts.includes('pods failed'));
  expect(await callers.identify('10.0.0.1')).toBe(caller);
  expect(await codeOf(callers.identify('10.0.0.7'))).toBe('kubernetes-unavailable');
  const late = kubernetes.put(pod({ name: 'late', ips: ['10.0.0.2'], serviceAccountName: 'web' }));
  await kubernetes.start();
  await until(() => kubernetes.openWatches === 2);
  expect(await uidAt('10.0.0.2')).toBe(late.metadata.uid);
});

test('when all ends, no connection stays', async () => {
  stop.abort();
  await running;
  await until(() => kubernetes.openWatches === 0);
  expect(restarts).toEqual([]);
});

test('tokens are bound to the Pod as it is now', async () => {
  const request = {
    namespace: 'default',
    serviceAccountName: 'web',
    audience: '//iam.googleapis.com/provider',
    expirationSeconds: 600,
    boundObject: { kind: 'Pod', name: 'web', uid: WEB.metadata.uid },
  } as const;
  const { token, expiresAt } = await client.createToken(request);
  const [, claims = ''] = token.reveal().split('.');
  expect(JSON.parse(Buffer.from(claims, 'base64url').toString())).toMatchObject({
    aud: ['//iam.googleapis.com/provider'],
    exp: expiresAt / 1000,
    sub: 'system:serviceaccount:default:web',
  });
  const codes = [
    await codeOf(client.createToken({ ...request, boundObject: { ...request.boundObject, uid: 'another' } })),
    await codeOf(client.createToken({ ...request, boundObject: { ...request.boundObject, name: 'absent' } })),
    await codeOf(client.createToken({ ...request, serviceAccountName: 'absent' })),
  ];
  expect(codes).toEqual(['bound-object-gone', 'bound-object-gone', 'service-account-missing']);
  expect(await client.getServiceAccount('default', 'absent')).toBeUndefined();
});

test('credentials that the API server does not know', async () => {
  const cluster = { server: kubernetes.url, authenticate: async () => ({ headers: {}, tls: {} }) };
  const anonymous = new RestClient(new ApiServer(cluster, systemEffects), systemEffects);
  expect(await codeOf(anonymous.getServiceAccount('default', 'web'))).toBe('kubernetes-unavailable');
});
