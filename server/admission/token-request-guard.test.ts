import { describe, expect, test } from 'bun:test';
import { Fault } from '../core/fault.ts';
import type { Node, Pod, ServiceAccount } from '../kubernetes/objects.ts';
import type { AdmissionRequest } from './review.ts';
import { guardTokenRequest, type TokenRequestGuardOptions } from './token-request-guard.ts';

const AWS_AUDIENCE = 'sts.amazonaws.com';
const ROLE = 'eks.amazonaws.com/role-arn';
const AZURE_AUDIENCE = 'api://AzureADTokenExchange';
const CLIENT_ID = 'azure.workload.identity/client-id';
const NODE_NAME = 'authentication.kubernetes.io/node-name';
const SERVER = 'system:serviceaccount:gke-metadata-server:gke-metadata-server';

const podOnA: Pod = {
  namespace: 'shop',
  name: 'cart-1',
  uid: 'pod-uid',
  nodeName: 'node-a',
  serviceAccountName: 'cart',
  hostNetwork: false,
  addresses: [],
  finished: false,
  startedAt: 0,
};
const nodeA: Node = {
  name: 'node-a',
  uid: 'node-uid',
  podRanges: [],
  addresses: [],
  labels: {},
  annotations: {
    'gke-metadata-server.matheuscscp.io/serviceAccountNamespace': 'infra',
    'gke-metadata-server.matheuscscp.io/serviceAccountName': 'node',
  },
};

const boundToPod = { apiVersion: 'v1', kind: 'Pod', name: 'cart-1', uid: 'pod-uid' };
const boundToNode = { apiVersion: 'v1', kind: 'Node', name: 'node-a', uid: 'node-uid' };
const tokenRequest = (boundObjectRef?: unknown, audiences: unknown = ['a']) => ({
  apiVersion: 'authentication.k8s.io/v1',
  kind: 'TokenRequest',
  spec: { audiences, boundObjectRef },
});

/** What the server on Node A asks for the Pod above. */
const forPod: AdmissionRequest = {
  uid: 'review-1',
  operation: 'CREATE',
  resource: 'serviceaccounts/token',
  namespace: 'shop',
  name: 'cart',
  username: SERVER,
  extra: new Map([[NODE_NAME, ['node-a']]]),
  object: tokenRequest(boundToPod),
};
/** And for the Node's own Pods. */
const forNode: AdmissionRequest = {
  ...forPod,
  namespace: 'infra',
  name: 'node',
  object: tokenRequest(boundToNode),
};

function guard(
  request: AdmissionRequest,
  { pod = podOnA, node = nodeA, serviceAccount, ...more }: Cluster = {},
) {
  return guardTokenRequest(request, {
    serverServiceAccount: { namespace: 'gke-metadata-server', name: 'gke-metadata-server' },
    defaultNodeServiceAccount: undefined,
    client: {
      getPod: async (namespace, name) => (namespace === pod.namespace && name === pod.name ? pod : undefined),
      getNode: async (name) => (name === node.name ? node : undefined),
      getServiceAccount: async () => serviceAccount,
    },
    requiredAnnotations: new Map([
      [AWS_AUDIENCE, ROLE],
      [AZURE_AUDIENCE, CLIENT_ID],
    ]),
    ...more,
  });
}

interface Cluster extends Partial<TokenRequestGuardOptions> {
  readonly pod?: Pod;
  readonly node?: Node;
  readonly serviceAccount?: ServiceAccount;
}

const never = () => Promise.reject(new Error('must not be asked'));
const BLIND: Cluster = { client: { getPod: never, getNode: never, getServiceAccount: never } };
const ALLOWED = { allowed: true, patch: [], warnings: [], injected: [] } as const;

describe('a token request of the server', () => {
  test('for a Pod of its own Node is allowed', async () => {
    expect(await guard(forPod)).toEqual(ALLOWED);
  });

  test('for what its own Node may be is allowed: by annotation, label or default', async () => {
    expect(await guard(forNode)).toEqual(ALLOWED);
    expect(await guard(forNode, { node: { ...nodeA, annotations: {}, labels: nodeA.annotations } })).toEqual(
      ALLOWED,
    );
    const defaultNodeServiceAccount = { namespace: 'infra', name: 'node' };
    expect(await guard(forNode, { node: { ...nodeA, annotations: {} }, defaultNodeServiceAccount })).toEqual(
      ALLOWED,
    );
  });

  test.each<[string, AdmissionRequest, Cluster, string]>([
    [
      'for a Pod of another Node',
      forPod,
      { pod: { ...podOnA, nodeName: 'node-b' } },
      'does not run on Node node-a',
    ],
    [
      'stolen by another Node',
      { ...forPod, extra: new Map([[NODE_NAME, ['node-b']]]) },
      {},
      'does not run on Node node-b',
    ],
    [
      "for another ServiceAccount than the Pod's",
      { ...forPod, name: 'admin' },
      {},
      'does not run as ServiceAccount admin',
    ],
    [
      'for a Pod that is gone',
      forPod,
      { pod: { ...podOnA, name: 'cart-2' } },
      'no Pod shop/cart-1 with UID pod-uid',
    ],
    [
      'for a Pod replaced by another',
      forPod,
      { pod: { ...podOnA, uid: 'newer' } },
      'no Pod shop/cart-1 with UID pod-uid',
    ],
    ['for a Pod of another Namespace', { ...forPod, namespace: 'bank' }, {}, 'no Pod bank/cart-1'],
    ['for a finished Pod', forPod, { pod: { ...podOnA, finished: true } }, 'has finished'],
    ['bound to nothing', { ...forPod, object: tokenRequest() }, BLIND, 'must be bound to a Pod or a Node'],
    [
      'bound to a Secret',
      { ...forPod, object: tokenRequest({ ...boundToPod, kind: 'Secret' }) },
      BLIND,
      'must be bound to a Pod or a Node',
    ],
    [
      'bound by name only',
      { ...forPod, object: tokenRequest({ ...boundToPod, uid: '' }) },
      BLIND,
      'by apiVersion v1, name and uid',
    ],
    [
      'bound by uid only',
      { ...forPod, object: tokenRequest({ ...boundToPod, name: undefined }) },
      BLIND,
      'by apiVersion v1, name and uid',
    ],
    [
      'bound to a Pod of another group',
      { ...forPod, object: tokenRequest({ ...boundToPod, apiVersion: 'x/v1' }) },
      BLIND,
      'by apiVersion v1',
    ],
    ...['..', '../../nodes/node-a', 'a/b', 'a..b', 'A', `${'x'.repeat(300)}`].map(
      (name): [string, AdmissionRequest, Cluster, string] => [
        `bound to a Pod of the name ${name.slice(0, 20)}`,
        { ...forPod, object: tokenRequest({ ...boundToPod, name }) },
        BLIND,
        'by apiVersion v1, name and uid',
      ],
    ),
    [
      'bound by an endless uid',
      { ...forPod, object: tokenRequest({ ...boundToPod, uid: 'x'.repeat(2_800_000) }) },
      BLIND,
      'by apiVersion v1, name and uid',
    ],
    [
      'for a ServiceAccount that is a path',
      { ...forPod, name: '..' },
      BLIND,
      'does not name a ServiceAccount',
    ],
    [
      'for a ServiceAccount of no Namespace',
      { ...forPod, namespace: '' },
      BLIND,
      'does not name a ServiceAccount',
    ],
    [
      'with a Node that is a path',
      { ...forPod, extra: new Map([[NODE_NAME, ['..']]]) },
      BLIND,
      "the caller's token names no Node",
    ],
    ['without an object', { ...forPod, object: null }, BLIND, 'must be bound'],
    [
      'for another Node',
      { ...forNode, extra: new Map([[NODE_NAME, ['node-b']]]) },
      {},
      'Node node-b may not act for Node node-a',
    ],
    [
      'for what its Node may not be',
      { ...forNode, name: 'admin' },
      {},
      'Node node-a may not be ServiceAccount infra/admin',
    ],
    [
      'for the same name elsewhere',
      { ...forNode, namespace: 'kube-system' },
      {},
      'Node node-a may not be ServiceAccount kube-system/node',
    ],
    [
      'for a Node that may be nothing',
      forNode,
      { node: { ...nodeA, annotations: {} } },
      'no ServiceAccount for Pods on the host network',
    ],
    [
      'for a Node replaced by another',
      forNode,
      { node: { ...nodeA, uid: 'newer' } },
      'no Node node-a with UID node-uid',
    ],
    [
      'with a token that names no Node',
      { ...forPod, extra: new Map() },
      BLIND,
      "the caller's token names no Node",
    ],
    [
      'with an empty Node',
      { ...forPod, extra: new Map([[NODE_NAME, ['']]]) },
      BLIND,
      "the caller's token names no Node",
    ],
    [
      'with two Nodes',
      { ...forPod, extra: new Map([[NODE_NAME, ['node-a', 'node-b']]]) },
      BLIND,
      "the caller's token names no Node",
    ],
  ])('%s is refused', async (_, request, cluster, message) => {
    expect(await guard(request, cluster)).toEqual({
      allowed: false,
      code: 403,
      message: expect.stringContaining(message),
    });
  });

  describe.each([
    ['AWS', AWS_AUDIENCE, ROLE, CLIENT_ID],
    ['Azure', AZURE_AUDIENCE, CLIENT_ID, ROLE],
  ])('with the audience of %s', (_, audience, own, ofAnother) => {
    const forCloud: AdmissionRequest = { ...forPod, object: tokenRequest(boundToPod, [audience]) };
    const annotated = (annotations: Record<string, string>): Cluster => ({
      serviceAccount: { namespace: 'shop', name: 'cart', uid: 'sa', annotations },
    });

    test("is allowed if the ServiceAccount has that cloud's annotation", async () => {
      expect(await guard(forCloud, annotated({ [own]: 'some-identity' }))).toEqual(ALLOWED);
    });

    test.each<[string, Cluster]>([
      ['has none', annotated({})],
      ["has another cloud's", annotated({ [ofAnother]: 'some-identity' })],
      ["has Google's", annotated({ 'iam.gke.io/gcp-service-account': 'a@b.iam.gserviceaccount.com' })],
      ['has an empty one', annotated({ [own]: ' ' })],
      ['does not exist', {}],
    ])('is refused if the ServiceAccount %s, also among other audiences', async (_, cluster) => {
      const message = `ServiceAccount shop/cart has no annotation ${own}, which a token for ${audience} needs`;
      const among = { ...forCloud, object: tokenRequest(boundToPod, ['a', audience]) };
      for (const request of [forCloud, among]) {
        expect(await guard(request, cluster)).toEqual({ allowed: false, code: 403, message });
      }
    });

    test("is refused for another Node's Pod before the ServiceAccount is read", async () => {
      const cluster = { ...annotated({ [own]: 'x' }), pod: { ...podOnA, nodeName: 'node-b' } };
      expect(await guard(forCloud, cluster)).toMatchObject({ allowed: false, code: 403 });
    });
  });

  test('is refused for now while the API server cannot be asked', async () => {
    const unavailable = () =>
      Promise.reject(new Fault('kubernetes-unavailable', 'no answer in 10 s', { remedy: '' }));
    const answer = {
      allowed: false,
      code: 503,
      message: expect.stringMatching(/no answer in 10 s.*; retry/),
    };
    const client = { getPod: unavailable, getNode: unavailable, getServiceAccount: unavailable };
    expect<unknown>(await guard(forPod, { client })).toEqual(answer);
    expect<unknown>(await guard(forNode, { client })).toEqual(answer);
  });
});

test.each<[string, AdmissionRequest]>([
  ['another ServiceAccount', { ...forPod, username: 'system:serviceaccount:shop:gke-metadata-server' }],
  ['the kubelet', { ...forPod, username: 'system:node:node-a' }],
  ['another resource', { ...forPod, resource: 'pods' }],
  ['another operation', { ...forPod, operation: 'UPDATE' }],
])('%s is let through untouched', async (_, request) => {
  const odd = { ...request, extra: new Map(), object: null };
  expect(await guard(odd, BLIND)).toEqual(ALLOWED);
});
