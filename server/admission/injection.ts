import type { ConfigMap, Namespace, ServiceAccount, ServiceAccountName } from '../kubernetes/objects.ts';
import type { AwsSettings } from './injections/aws.ts';
import type { AwsPodIdentitySettings } from './injections/aws-pod-identity.ts';
import type { AzureSettings } from './injections/azure.ts';
import type { ExternalAccountSettings } from './injections/external-account.ts';
import type { GoogleToAwsSettings } from './injections/google-to-aws.ts';
import type { PodEditor } from './pod-editor.ts';

/** What a Pod can get: the route to its Node's server, or credentials by another webhook's convention. */
export const INJECTION_KINDS = [
  'google',
  'aws',
  'aws-pod-identity',
  'azure',
  'google-to-aws',
  'external-account',
] as const;

export type InjectionKind = (typeof INJECTION_KINDS)[number];

/** What an injection depends on, besides the Pod. */
export interface InjectionContext {
  /** The Namespace of the Pod. */
  readonly namespace: Namespace;
  readonly settings: InjectionSettings;
}

/**
 * Adds one kind of credentials to Pods. It depends on its arguments alone, changes only the editor, and does not add
 * what exists already.
 */
export interface Injection<Context = InjectionContext> {
  readonly kind: InjectionKind;
  /** False if nothing is added whatever {@link inject} would read, so that it need not be read. */
  concerns(pod: PodEditor, settings: InjectionSettings): boolean;
  /**
   * For a Pod that it {@link concerns}. Returns whether the Pod has these credentials now. Throws
   * {@link InjectionRefused} if the Pod, its Namespace or its ServiceAccount asks for something invalid.
   */
  inject(pod: PodEditor, context: Context): boolean;
}

/** What an injection depends on that gives a Pod the identity of its ServiceAccount in a cloud. */
export interface IdentityContext extends InjectionContext {
  /** The ServiceAccount of the Pod. */
  readonly serviceAccount: ServiceAccount;
  /** The ConfigMaps of {@link IdentityInjection.configMaps} that exist, by `NAMESPACE/NAME`. */
  readonly configMaps: ReadonlyMap<string, ConfigMap>;
  /** In [0, 1), drawn for this Pod. */
  readonly random: number;
}

/** An {@link Injection} that reads the ServiceAccount of the Pod. */
export interface IdentityInjection extends Injection<IdentityContext> {
  /** The ConfigMaps that it reads, as `NAMESPACE/NAME`; none if absent. */
  configMaps?(settings: InjectionSettings): readonly string[];
}

/** The Pod asks for something impossible, and is refused rather than started otherwise. */
export class InjectionRefused extends Error {}

/** How a Pod reaches its Node's server: a redirect in its network, or variables that clients read. */
export type InjectionMode = 'Redirect' | 'Environment';

/** `resources` of a container: requests and limits by resource name, as Kubernetes quantities. */
export interface ContainerResources {
  readonly requests: Readonly<Record<string, string>>;
  readonly limits: Readonly<Record<string, string>>;
}

/**
 * The resources of `init-network`: as those of the Pod's largest container, none, or these in every Pod.
 */
export type InitNetworkResources = 'auto' | 'none' | ContainerResources;

/** Which Pods are injected: those labelled, or whose Namespace is (Labels), or all that do not opt out (All). */
export type OptIn = 'Labels' | 'All';

/** The settings of injections. */
export interface InjectionSettings {
  /** The mode if neither the Pod nor its Namespace sets it. */
  readonly mode: InjectionMode;
  readonly initNetworkImage: string;
  readonly initNetworkResources: InitNetworkResources;
  /** Whether in mode Environment an init container waits until the server knows the Pod, if the Pod does not say. */
  readonly environmentWait: boolean;
  /** Whether `google.internal` is added to the DNS search domains of injected Pods. */
  readonly searchGoogleInternal: boolean;
  readonly optIn: OptIn;
  /** Namespaces to which `optIn: All` does not apply. */
  readonly excludedNamespaces: readonly string[];
  /** Port of the metadata API on each Node. */
  readonly serverPort: number;
  /** Whether the Nodes' first addresses (`status.hostIP` of a Pod) are IPv6. */
  readonly nodesAreIPv6: boolean;
  /** The Nodes that run the server, which replaces GKE's nodeSelector. Empty: all. */
  readonly nodeSelector: Readonly<Record<string, string>>;
  /** Whether Pods on the host network are injected too, always in mode Environment. */
  readonly injectHostNetwork: boolean;
  /** AWS roles by Google ID tokens; undefined if switched off. */
  readonly googleToAws: GoogleToAwsSettings | undefined;
  /** The ServiceAccounts of the server's and the webhook's own Pods, which are never injected. */
  readonly ownServiceAccounts: readonly ServiceAccountName[];
  /** IAM roles for service accounts; undefined if switched off. */
  readonly aws: AwsSettings | undefined;
  /** EKS Pod Identity; undefined if switched off. */
  readonly awsPodIdentity: AwsPodIdentitySettings | undefined;
  /** Azure workload identity; undefined if switched off. */
  readonly azure: AzureSettings | undefined;
  /** Google's external account; undefined if switched off. */
  readonly externalAccount: ExternalAccountSettings | undefined;
}
