/** The cluster that the server is measured in: what its stand-in and its clients agree on. */
export const NODE_NAME = 'bench-node';
export const PROJECT_ID = 'bench-project';
export const PROVIDER_NAME =
  'projects/123456789012/locations/global/workloadIdentityPools/bench-pool/providers/bench-cluster';

/** As many Pods as a Node has at most by default, each with a ServiceAccount and a Google account of its own. */
export const POD_ADDRESSES: readonly string[] = Array.from(
  { length: 110 },
  (_, index) => `10.77.0.${index + 1}`,
);
