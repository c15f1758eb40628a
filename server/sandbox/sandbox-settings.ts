import type { ServeSettings } from '../settings/serve-settings.ts';
import type { SandboxWorld } from './sandbox-world.ts';

/** The settings of `serve` on the Node of this world: the defaults, but for `overrides`, and any free ports. */
export function sandboxSettings(
  { nodeName, projectID, provider, google }: SandboxWorld,
  overrides: Partial<ServeSettings> = {},
): ServeSettings {
  return {
    nodeName,
    projectID,
    workloadIdentityProvider: provider,
    serverPort: 0,
    healthPort: 0,
    kubeconfig: undefined,
    defaultNodeServiceAccount: undefined,
    cacheTokens: true,
    cacheTokensPerPod: false,
    cacheMaxTokenDurationSeconds: 3600,
    podExchangesPerMinute: 60,
    nodeExchangesPerMinute: 600,
    googleStsEndpoint: google.url,
    googleIamCredentialsEndpoint: google.url,
    universeDomain: 'googleapis.com',
    clusterName: 'sandbox',
    clusterLocation: '',
    logLevel: 'info',
    logFormat: 'json',
    ...overrides,
  };
}
