import type { InjectionSettings } from '../admission/injection.ts';

/** The settings of injections as the program has them by default, for tests. */
export const INJECTION_SETTINGS: InjectionSettings = {
  mode: 'Redirect',
  initNetworkImage: 'ghcr.io/example/gke-metadata-server:1.2.3',
  initNetworkResources: 'auto',
  environmentWait: true,
  searchGoogleInternal: false,
  optIn: 'Labels',
  excludedNamespaces: ['kube-system', 'gke-metadata-server'],
  serverPort: 16_321,
  nodesAreIPv6: false,
  nodeSelector: {},
  injectHostNetwork: true,
  googleToAws: undefined,
  ownServiceAccounts: [
    { namespace: 'gke-metadata-server', name: 'gke-metadata-server' },
    { namespace: 'gke-metadata-server', name: 'gke-metadata-server-webhook' },
  ],
  aws: undefined,
  awsPodIdentity: undefined,
  azure: undefined,
  externalAccount: undefined,
};
