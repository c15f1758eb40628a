/** A client in the sandbox that asks for tokens. */
export interface Inhabitant {
  readonly name: 'annotated' | 'direct' | 'denied' | 'node';
  /** What a person can expect of it. */
  readonly story: string;
  /** Connect from it to be this client: `curl --interface ADDRESS`. */
  readonly address: string;
  readonly namespace: string;
  readonly serviceAccountName: string;
  /** The Google account its ServiceAccount is annotated with. */
  readonly googleAccount: string | undefined;
  /** The AWS role it is annotated with, for a token of the cluster and for one of its Google account alike. */
  readonly awsRole: string | undefined;
  /** The Azure identity it is annotated with. */
  readonly azureClientID: string | undefined;
}

export const PROJECT_ID = 'sandbox-project';
export const AWS_ACCOUNT_ID = '111122223333';

/** Everybody in the sandbox. */
export const INHABITANTS: readonly Inhabitant[] = [
  {
    name: 'annotated',
    story: 'a Pod that is somebody in all three clouds: it may use what its ServiceAccount is annotated with',
    address: '127.0.0.11',
    namespace: 'default',
    serviceAccountName: 'annotated',
    googleAccount: `reader@${PROJECT_ID}.iam.gserviceaccount.com`,
    awsRole: `arn:aws:iam::${AWS_ACCOUNT_ID}:role/reader`,
    azureClientID: '8a9bacbd-cedf-40f1-a213-000000000001',
  },
  {
    name: 'direct',
    story: 'a Pod whose ServiceAccount has no annotation: direct resource access with the federated token',
    address: '127.0.0.12',
    namespace: 'default',
    serviceAccountName: 'direct',
    googleAccount: undefined,
    awsRole: undefined,
    azureClientID: undefined,
  },
  {
    name: 'denied',
    story: 'a Pod whose ServiceAccount is annotated with identities that it may not use',
    address: '127.0.0.13',
    namespace: 'default',
    serviceAccountName: 'denied',
    googleAccount: `forbidden@${PROJECT_ID}.iam.gserviceaccount.com`,
    awsRole: `arn:aws:iam::${AWS_ACCOUNT_ID}:role/forbidden`,
    azureClientID: '8a9bacbd-cedf-40f1-a213-000000000002',
  },
  {
    name: 'node',
    story: "a host-network Pod, or any process of the Node: the Node's ServiceAccount",
    address: '127.0.0.1',
    namespace: 'kube-system',
    serviceAccountName: 'node',
    googleAccount: `node@${PROJECT_ID}.iam.gserviceaccount.com`,
    awsRole: `arn:aws:iam::${AWS_ACCOUNT_ID}:role/node`,
    azureClientID: '8a9bacbd-cedf-40f1-a213-000000000003',
  },
];
