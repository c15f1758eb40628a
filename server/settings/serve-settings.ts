import type { WorkloadIdentityProvider } from './workload-identity-provider.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFormat = 'json' | 'text';

export interface ServiceAccountName {
  readonly namespace: string;
  readonly name: string;
}

/** The settings of `serve`, parsed and checked: past here nothing is checked again. */
export interface ServeSettings {
  readonly nodeName: string;
  readonly projectID: string;
  readonly workloadIdentityProvider: WorkloadIdentityProvider;
  readonly serverPort: number;
  readonly healthPort: number;
  /** A kubeconfig file; undefined: in-cluster, then KUBECONFIG, then ~/.kube/config. */
  readonly kubeconfig: string | undefined;
  /** Who host-network Pods are where the Node itself says nothing. */
  readonly defaultNodeServiceAccount: ServiceAccountName | undefined;
  readonly cacheTokens: boolean;
  /** Keep tokens by Pod, not by ServiceAccount: for attribute conditions on the Pod's claims. */
  readonly cacheTokensPerPod: boolean;
  /** Longest `expires_in` ever handed out, and the lifetime asked of Google; 600 to 43,200. */
  readonly cacheMaxTokenDurationSeconds: number;
  /** Base URLs without a trailing slash. */
  readonly googleStsEndpoint: string;
  readonly googleIamCredentialsEndpoint: string;
  readonly universeDomain: string;
  readonly clusterName: string;
  /** Empty: the Node's topology labels. */
  readonly clusterLocation: string;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
}
