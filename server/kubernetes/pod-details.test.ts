import { expect, test } from 'bun:test';
import type { ApiCall } from './api-server.ts';
import { formatTerminationMessage, getPodDetails, parseTerminationMessage } from './pod-details.ts';

const BARE = { metadata: { namespace: 'ns', name: 'app', uid: 'uid' }, spec: { containers: [] } };

async function parsed(pod: object) {
  const paths: string[] = [];
  const server = {
    json: async ({ path }: ApiCall) => {
      paths.push(path);
      return pod;
    },
  };
  return { paths, details: await getPodDetails(server, 'ns', 'app') };
}

async function initContainer(status: object) {
  const { details } = await parsed({
    ...BARE,
    spec: {
      ...BARE.spec,
      initContainers: [
        { name: 'init', args: ['run', '--fast'], env: [{ name: 'A' }, { name: 'B', value: '1' }] },
      ],
    },
    status: {
      initContainerStatuses: [
        { name: 'other', state: {} },
        { name: 'init', ...status },
      ],
    },
  });
  return details?.initContainers[0];
}

test('a Pod that is not scheduled and says nothing else has the defaults of Kubernetes', async () => {
  const { paths, details } = await parsed(BARE);
  expect(paths).toEqual(['/api/v1/namespaces/ns/pods/app']);
  expect(details).toEqual({
    namespace: 'ns',
    name: 'app',
    uid: 'uid',
    nodeName: undefined,
    serviceAccountName: '',
    hostNetwork: false,
    addresses: [],
    phase: 'Pending',
    finished: false,
    labels: {},
    containers: [],
    initContainers: [],
  });
});

const FAILED = { terminated: { exitCode: 1, reason: 'Error', message: 'log' } };

test.each([
  [{ state: { waiting: { reason: 'PodInitializing' } } }, 'waiting', 'PodInitializing', undefined],
  [{ state: { running: { startedAt: '…' } } }, 'running', '', undefined],
  [{ state: { terminated: { exitCode: 0, reason: 'Completed' } } }, 'succeeded', 'Completed', undefined],
  [{ state: FAILED }, 'failed', 'Error', 'log'],
  [
    { state: { waiting: { reason: 'CrashLoopBackOff' } }, lastState: FAILED },
    'waiting',
    'CrashLoopBackOff',
    'log',
  ],
  [{ state: { running: {} }, lastState: FAILED }, 'running', '', 'log'],
  [{ state: { terminated: { exitCode: 0 } }, lastState: FAILED }, 'succeeded', '', undefined],
  [{}, 'waiting', '', undefined],
] as const)('an init container with the status %j', async (status, state, reason, failure) => {
  expect(await initContainer(status)).toEqual({
    name: 'init',
    args: ['run', '--fast'],
    mayChangeNetwork: false,
    variables: ['A', 'B'],
    state,
    reason,
    failure,
  });
});

test('an init container that nothing was reported of waits', async () => {
  const pod = { ...BARE, spec: { containers: [], initContainers: [{ name: 'init' }] } };
  expect((await parsed(pod)).details?.initContainers[0]?.state).toBe('waiting');
});

test.each([
  [{ privileged: true }, true],
  [{ capabilities: { drop: ['ALL'], add: ['NET_RAW', 'NET_ADMIN'] } }, true],
  [{ capabilities: { add: ['ALL'] } }, true],
  [{ capabilities: { drop: ['NET_ADMIN'], add: ['NET_RAW'] } }, false],
  [{}, false],
])('an init container with %j may change the network: %p', async (securityContext, may) => {
  const pod = { ...BARE, spec: { containers: [], initContainers: [{ name: 'init', securityContext }] } };
  expect((await parsed(pod)).details?.initContainers[0]?.mayChangeNetwork).toBe(may);
});

test('a termination message is the reason and the remedy, a line each', () => {
  const message = { reason: 'cannot connect to 10.0.0.5:16321', remedy: 'Check the server.' };
  const text = formatTerminationMessage(message);
  expect(text).toBe('cannot connect to 10.0.0.5:16321\nRemedy: Check the server.\n');
  expect(parseTerminationMessage(text)).toEqual(message);
});

test('what programs said into it stays in its line, and within what the kubelet keeps', () => {
  const text = formatTerminationMessage({
    reason: `one\ntwo\n${'x'.repeat(5000)}`,
    remedy: 'y'.repeat(5000),
  });
  expect(text.split('\n')).toHaveLength(3);
  expect(Buffer.byteLength(text)).toBeLessThan(4096);
});

test.each(['', 'panic\n', '{"message":"log line"}\n'])('%j is not one', (text) => {
  expect(parseTerminationMessage(text)).toBeUndefined();
});
