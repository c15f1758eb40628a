import type { ServiceAccountName } from '../kubernetes/objects.ts';

/** How a Pod reaches its Node's server: a redirect in its network, or variables that clients read. */
export type InjectionMode = 'Redirect' | 'Environment';

/** `resources` of a container: requests and limits by resource name, as Kubernetes spells quantities. */
export interface ContainerResources {
  readonly requests: Readonly<Record<string, string>>;
  readonly limits: Readonly<Record<string, string>>;
}

/** What decides how a Pod is changed. */
export interface InjectionSettings {
  /** Where neither the Pod nor its Namespace says. */
  readonly mode: InjectionMode;
  readonly initNetworkImage: string;
  readonly initNetworkResources: ContainerResources;
  /** Port of the metadata API on each Node. */
  readonly serverPort: number;
  /** Whether the Nodes' first addresses (`status.hostIP` of a Pod) are IPv6. */
  readonly nodesAreIPv6: boolean;
  /** The Nodes that run the server; takes the place of GKE's own nodeSelector. Empty: all. */
  readonly nodeSelector: Readonly<Record<string, string>>;
  /** Whether Pods on the host network are injected too: then always by Environment. */
  readonly injectHostNetwork: boolean;
  /** The ServiceAccounts of the server's and the webhook's own Pods, which are never injected. */
  readonly ownServiceAccounts: readonly ServiceAccountName[];
}
