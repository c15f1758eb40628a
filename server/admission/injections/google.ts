import type { Injection, InjectionContext, InjectionMode, InjectionSettings } from '../injection.ts';
import { isWindows, type PodEditor } from '../pod-editor.ts';
import { BOOLEAN, type Form, readPodAnnotation } from './annotations.ts';
import { awsCredentialsOf } from './aws-credentials.ts';
import { azureCredentialsOf } from './azure.ts';
import { addMetadataHostAlias, addMetadataVariables, addRedirectedVariables } from './google-addresses.ts';
import { addInitNetwork } from './init-network.ts';

export const OPT_IN_LABEL = 'gke-metadata-server.matheuscscp.io/webhook';
const MODE_ANNOTATION = 'gke-metadata-server.matheuscscp.io/mode';
/** Whether in mode Environment an init container waits until the server knows the Pod. */
const WAIT_ANNOTATION = 'gke-metadata-server.matheuscscp.io/wait';
const MODES: readonly InjectionMode[] = ['Redirect', 'Environment'];
const MODE: Form<InjectionMode> = {
  parse: (text) => MODES.find((mode) => mode === text.trim()),
  expected: MODES.join(' or '),
};

/** The label GKE puts on Nodes that have Workload Identity; manifests written for GKE select it. */
const GKE_NODE_LABEL = 'iam.gke.io/gke-metadata-server-enabled';

/** The DNS search domain in which `metadata` resolves to the metadata server, as on GKE. */
const SEARCH_DOMAIN = 'google.internal';

/**
 * The route to the Node's metadata server.
 *
 * Whether: never for Windows; otherwise the first that is set of
 *   1. the Pod's label: `Mutate` or `Skip`
 *   2. GKE's nodeSelector in the Pod: `Mutate`
 *   3. the Namespace's label: `Mutate` or `Skip`
 *   4. the settings: no, or yes unless the Namespace is excluded or the Pod is on the host network.
 * A Pod on the host network is injected only if the settings allow that too; GKE's nodeSelector is replaced in any case,
 * or the Pod would never be scheduled.
 *
 * Mode: the Pod's annotation, then the Namespace's, then the settings; on the host network always Environment, as a
 * redirect there would affect the whole Node.
 *
 * What is set already (a variable, a host alias) is kept.
 */
export const googleInjection: Injection = {
  kind: 'google',

  concerns(pod) {
    return pod.labels.get(OPT_IN_LABEL) !== 'Skip' && !isWindows(pod);
  },

  inject(pod, context) {
    const { settings } = context;
    if (!isOptedIn(pod, context)) return false;
    replaceGkeNodeSelector(pod, settings);
    if (pod.spec.hostNetwork === true && !settings.injectHostNetwork) {
      pod.warn("not injected: on the host network a Pod has its Node's identity and network");
      return false;
    }
    const clouds = {
      aws: awsCredentialsOf(pod, context) === 'MetadataServer',
      azure: azureCredentialsOf(pod, context) === 'MetadataServer',
    };
    if (modeOf(pod, context) === 'Environment') {
      if (pod.spec.hostNetwork !== true && waits(pod, context)) addInitNetwork(pod, 'wait', context);
      addMetadataVariables(pod, settings, clouds);
    } else {
      const isAgent = clouds.aws && settings.awsPodIdentity !== undefined;
      addInitNetwork(pod, isAgent ? 'redirect-container-credentials-too' : 'redirect', context);
      addRedirectedVariables(pod, settings, clouds);
      addMetadataHostAlias(pod, settings);
    }
    if (settings.searchGoogleInternal) pod.addDnsSearch(SEARCH_DOMAIN);
    return true;
  },
};

function isOptedIn(pod: PodEditor, { namespace, settings }: InjectionContext): boolean {
  const said = [
    { by: 'Pod', value: pod.labels.get(OPT_IN_LABEL) },
    { by: "Pod's nodeSelector", value: hasGkeNodeSelector(pod) ? 'Mutate' : undefined },
    { by: 'Namespace', value: namespace.labels[OPT_IN_LABEL] },
  ];
  for (const { by, value } of said) {
    if (value === 'Mutate') return true;
    if (value === 'Skip') return false;
    if (value !== undefined) {
      pod.warn(`the label ${OPT_IN_LABEL} of the ${by} is neither Mutate nor Skip: it is ignored`);
    }
  }
  const isExcluded = pod.spec.hostNetwork === true || settings.excludedNamespaces.includes(namespace.name);
  return settings.optIn === 'All' && !isExcluded;
}

/** Annotation of the Pod, then of its Namespace, then the settings. */
function waits(pod: PodEditor, { namespace, settings }: InjectionContext): boolean {
  return readPodAnnotation(pod, namespace, WAIT_ANNOTATION, BOOLEAN) ?? settings.environmentWait;
}

function modeOf(pod: PodEditor, { namespace, settings }: InjectionContext): InjectionMode {
  if (pod.spec.hostNetwork === true) return 'Environment';
  return readPodAnnotation(pod, namespace, MODE_ANNOTATION, MODE) ?? settings.mode;
}

function hasGkeNodeSelector(pod: PodEditor): boolean {
  return pod.nodeSelector.get(GKE_NODE_LABEL) === 'true';
}

/**
 * No Node outside GKE has the label, so the Pod would stay pending. The opt-in moves to the Pod's label, where a second
 * pass and a person find it, and the nodeSelector becomes that of the server.
 */
function replaceGkeNodeSelector(pod: PodEditor, settings: InjectionSettings): void {
  if (!hasGkeNodeSelector(pod)) return;
  pod.nodeSelector.remove(GKE_NODE_LABEL);
  for (const [key, value] of Object.entries(settings.nodeSelector)) {
    if (pod.nodeSelector.get(key) === undefined) pod.nodeSelector.set(key, value);
  }
  pod.labels.set(OPT_IN_LABEL, 'Mutate');
}
