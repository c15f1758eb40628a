import type { TokenRequestOptions } from './cluster-world.ts';
import type { TwoNodes } from './two-nodes.ts';

type Request = (nodes: TwoNodes) => TokenRequestOptions;

/** What a token stolen from Node A's server must not get, with the words of who refuses it. */
export const OF_ANOTHER_NODE: readonly [string, Request, string][] = [
  [
    'a Pod of Node B',
    (nodes) => ({ serviceAccountName: 'reader', boundTo: nodes.pod('reader-b') }),
    'does not run on Node',
  ],
  [
    "a Pod of Node A, by another one's ServiceAccount",
    (nodes) => ({ serviceAccountName: 'writer', boundTo: nodes.pod('reader-a') }),
    'does not run as ServiceAccount writer',
  ],
  [
    'a Pod of another UID',
    (nodes) => ({
      serviceAccountName: 'reader',
      boundTo: { ...nodes.pod('reader-a'), uid: crypto.randomUUID() },
    }),
    'no Pod ',
  ],
  [
    'Node A as a ServiceAccount that it may not be',
    (nodes) => ({ serviceAccountName: 'node-b', boundTo: nodes.node(nodes.a) }),
    'may not be ServiceAccount',
  ],
  [
    "Node A as a Pod's ServiceAccount",
    (nodes) => ({ serviceAccountName: 'writer', boundTo: nodes.node(nodes.a) }),
    'may not be ServiceAccount',
  ],
];

/** Refused by the policy, and by the guard alone if there is a second text. */
export const BY_POLICY: readonly [string, Request, string, string?][] = [
  [
    'unbound',
    () => ({ serviceAccountName: 'reader' }),
    'only tokens bound to a Pod or a Node',
    'must be bound to a Pod or a Node',
  ],
  [
    'bound with no UID',
    () => ({ serviceAccountName: 'reader', boundTo: { kind: 'Pod', name: 'reader-a' } }),
    'only tokens bound to a Pod or a Node, by UID',
    'must be bound to a Pod or a Node',
  ],
  [
    'bound to a Secret',
    () => ({ serviceAccountName: 'reader', boundTo: { kind: 'Secret', name: 'any', uid: 'any' } }),
    'only tokens bound to a Pod or a Node',
    'must be bound to a Pod or a Node',
  ],
  [
    'Node B',
    (nodes) => ({ serviceAccountName: 'node-b', boundTo: nodes.node(nodes.b) }),
    'bound to its own Node only',
    'may not act for Node',
  ],
  [
    'for another audience',
    (nodes) => ({
      serviceAccountName: 'reader',
      audiences: ['https://example.com'],
      boundTo: nodes.pod('reader-a'),
    }),
    'for one audience, of a cloud that is switched on',
  ],
  [
    'for the provider and another audience',
    (nodes) => ({
      serviceAccountName: 'reader',
      audiences: [nodes.world.provider.audience, 'https://example.com'],
      boundTo: nodes.pod('reader-a'),
    }),
    'for one audience, of a cloud that is switched on',
  ],
  [
    'for the Kubernetes API',
    (nodes) => ({ serviceAccountName: 'reader', audiences: [], boundTo: nodes.pod('reader-a') }),
    'for one audience, of a cloud that is switched on',
  ],
  [
    'for longer than an hour',
    (nodes) => ({ serviceAccountName: 'reader', expirationSeconds: 3601, boundTo: nodes.pod('reader-a') }),
    'of an hour at most',
  ],
];
