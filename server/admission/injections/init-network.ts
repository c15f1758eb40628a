import type { ContainerResources } from '../injection.ts';
import { type InjectionContext, InjectionRefused } from '../injection.ts';
import type { PodEditor } from '../pod-editor.ts';
import type { Container } from '../pod-manifest.ts';
import {
  initNetworkResources,
  RESOURCES_ANNOTATION,
  RESOURCES_EXPECTED,
  saidResources,
} from './init-network-resources.ts';

export const INIT_NETWORK_CONTAINER = 'init-network';

/** What it is called if the Pod has a container of that name that is another. */
const OTHER_NAME = 'gke-metadata-server-init-network';
const COMMAND = 'init-network';
const ONLY_WAIT = '--redirect=false';

/** What it does: redirects the metadata addresses and waits for the server, or only waits. */
type InitNetworkTask = 'redirect' | 'wait';

/** Whether a container runs our command, whatever it is called. */
export function isInitNetwork(args: readonly string[]): boolean {
  return args[0] === COMMAND;
}

/** Whether it redirects nothing: mode Environment. */
export function onlyWaits(args: readonly string[]): boolean {
  return args.includes(ONLY_WAIT);
}

/**
 * Puts it before every other init container, so that they have the route already; one that is there is kept. Throws
 * {@link InjectionRefused} if the resources that the Pod or its Namespace asks for make no sense.
 */
export function addInitNetwork(
  pod: PodEditor,
  task: InitNetworkTask,
  { namespace, settings }: InjectionContext,
): void {
  if (pod.initContainers.some(({ args }) => isInitNetwork(args))) return;
  const said = saidResources(pod, namespace.annotations, settings);
  if (said === undefined) {
    throw new InjectionRefused(
      `the annotation ${RESOURCES_ANNOTATION} of the Pod or its Namespace is invalid: set it to ${RESOURCES_EXPECTED}`,
    );
  }
  const isTaken = pod.allContainers.some(({ name }) => name === INIT_NETWORK_CONTAINER);
  if (isTaken) {
    pod.warn(
      `the Pod's own container ${INIT_NETWORK_CONTAINER} is not the webhook's, which is called ${OTHER_NAME} here`,
    );
  }
  const resources = initNetworkResources(pod, said);
  const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });
  const container: Container = {
    name: isTaken ? OTHER_NAME : INIT_NETWORK_CONTAINER,
    image: settings.initNetworkImage,
    imagePullPolicy: 'IfNotPresent',
    args: [COMMAND, ...(task === 'wait' ? [ONLY_WAIT] : []), `--server-port=${settings.serverPort}`],
    env: [
      field('HOST_IPS', 'status.hostIPs'),
      field('POD_IPS', 'status.podIPs'),
      field('POD_UID', 'metadata.uid'),
    ],
    ...(resources === undefined ? {} : { resources: withoutEmpty(resources) }),
    // in case it fails without a termination message of its own
    terminationMessagePolicy: 'FallbackToLogsOnError',
    securityContext: task === 'redirect' ? REDIRECTING : waiting(pod),
  };
  pod.addInitContainer(container, 'first');
}

/** Each is said, since the Pod's own security context may say otherwise for all containers. */
const CONFINED = {
  privileged: false,
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
};
const SECCOMP = { seccompProfile: { type: 'RuntimeDefault' } };

const REDIRECTING = {
  runAsUser: 0,
  runAsGroup: 0,
  runAsNonRoot: false,
  ...CONFINED,
  // NET_RAW is for legacy iptables, which speaks to the kernel through a raw socket; nft needs NET_ADMIN alone
  capabilities: { drop: ['ALL'], add: ['NET_ADMIN', 'NET_RAW'] },
  ...SECCOMP,
};

/**
 * As Pod Security "restricted" asks for. The user is the Pod's, or the image's, which is not root: OpenShift allows
 * those of a Namespace's range only.
 */
function waiting({ spec }: PodEditor) {
  const isRoot = spec.securityContext?.runAsUser === 0;
  return {
    ...(isRoot ? { runAsUser: IMAGE_USER, runAsGroup: IMAGE_USER } : {}),
    runAsNonRoot: true,
    ...CONFINED,
    capabilities: { drop: ['ALL'] },
    ...SECCOMP,
  };
}

/** The USER of the image. */
const IMAGE_USER = 16_321;

function withoutEmpty({ requests, limits }: ContainerResources): object {
  const isEmpty = (quantities: object) => Object.keys(quantities).length === 0;
  return { ...(isEmpty(requests) ? {} : { requests }), ...(isEmpty(limits) ? {} : { limits }) };
}
