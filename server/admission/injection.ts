import type { Namespace, ServiceAccountName } from '../kubernetes/objects.ts';
import type { PodEditor } from './pod-editor.ts';

/** What decides about an injection, besides the Pod. */
export interface InjectionContext {
  /** Where the Pod is created. */
  readonly namespace: Namespace;
  readonly settings: InjectionSettings;
}

/**
 * One kind of credentials that Pods can have. What it adds follows from its arguments alone; it touches nothing but
 * the editor, and what is there already it does not add again.
 */
export interface Injection {
  /** False if the Pod alone decides that nothing is added, so that its Namespace need not be read. */
  concerns(pod: PodEditor, namespace: string, settings: InjectionSettings): boolean;
  /**
   * To a Pod that it {@link concerns}. Throws {@link InjectionRefused} if what the Pod or its Namespace asks for makes
   * no sense.
   */
  inject(pod: PodEditor, context: InjectionContext): void;
}

/** The Pod asks for something impossible: starting it otherwise than asked would be worse than saying so. */
export class InjectionRefused extends Error {}

/** How a Pod reaches its Node's server: a redirect in its network, or variables that clients read. */
export type InjectionMode = 'Redirect' | 'Environment';

/** `resources` of a container: requests and limits by resource name, as Kubernetes spells quantities. */
export interface ContainerResources {
  readonly requests: Readonly<Record<string, string>>;
  readonly limits: Readonly<Record<string, string>>;
}

/**
 * The resources of `init-network`: as those of the Pod's largest container, none, or these in every Pod.
 */
export type InitNetworkResources = 'auto' | 'none' | ContainerResources;

/** Which Pods opt in: those that say so themselves or by their Namespace, or all that do not say otherwise. */
export type OptIn = 'Labels' | 'All';

/** What decides how a Pod is changed. */
export interface InjectionSettings {
  /** Where neither the Pod nor its Namespace says. */
  readonly mode: InjectionMode;
  readonly initNetworkImage: string;
  readonly initNetworkResources: InitNetworkResources;
  /** Whether in mode Environment an init container waits until the server knows the Pod, if the Pod does not say. */
  readonly environmentWait: boolean;
  /** Whether `google.internal` is added to the DNS search domains of injected Pods. */
  readonly searchGoogleInternal: boolean;
  readonly optIn: OptIn;
  /** Namespaces in which `optIn: All` means nothing. */
  readonly excludedNamespaces: readonly string[];
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
