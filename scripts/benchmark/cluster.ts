/** The cluster that the server is measured in: what its stand-in and its clients agree on. */
export const NODE_NAME = 'bench-node';
export const PROJECT_ID = 'bench-project';
export const PROVIDER_NAME =
  'projects/123456789012/locations/global/workloadIdentityPools/bench-pool/providers/bench-cluster';

export const AWS_ROLE = 'arn:aws:iam::111122223333:role/bench';
export const AZURE_TENANT_ID = '8a9bacbd-cedf-40f1-a213-0000000000ff';
export const AZURE_CLIENT_ID = '8a9bacbd-cedf-40f1-a213-000000000001';

/** As many Pods as a Node has at most by default, each with a ServiceAccount and a Google account of its own. */
export const POD_ADDRESSES: readonly string[] = Array.from(
  { length: 110 },
  (_, index) => `10.77.0.${index + 1}`,
);
