import type { InjectionContext } from '../injection.ts';
import type { PodEditor } from '../pod-editor.ts';
import { type Container, fieldVariable } from '../pod-manifest.ts';
import { addedResources } from './init-network-resources.ts';
import { CONFINED, restricted, SECCOMP } from './security-context.ts';

export const INIT_NETWORK_CONTAINER = 'init-network';

/** What it is called if the Pod has a container of that name that is another. */
const OTHER_NAME = 'gke-metadata-server-init-network';
const COMMAND = 'init-network';
const ONLY_WAIT = '--redirect=false';
const CONTAINER_CREDENTIALS = '--container-credentials=true';

/** What it does: redirects the metadata addresses and waits for the server, or only waits. */
type InitNetworkTask = 'redirect' | 'redirect-container-credentials-too' | 'wait';

/** Whether a container runs our command, whatever it is called. */
export function isInitNetwork(args: readonly string[]): boolean {
  return args[0] === COMMAND;
}

/** Whether it redirects nothing: mode Environment. */
export function onlyWaits(args: readonly string[]): boolean {
  return args.includes(ONLY_WAIT);
}

/** Whether the Pod's requests for AWS's container credentials are redirected to the server too. */
export function redirectsContainerCredentials(pod: PodEditor): boolean {
  return pod.initContainers.some(({ args }) => isInitNetwork(args) && args.includes(CONTAINER_CREDENTIALS));
}

/**
 * Puts it before every other init container, so that they have the route already; one that is there is kept. Throws
 * {@link InjectionRefused} if the resources that the Pod or its Namespace asks for make no sense.
 */
export function addInitNetwork(pod: PodEditor, task: InitNetworkTask, context: InjectionContext): void {
  const { settings } = context;
  if (pod.initContainers.some(({ args }) => isInitNetwork(args))) return;
  const isTaken = pod.allContainers.some(({ name }) => name === INIT_NETWORK_CONTAINER);
  if (isTaken) {
    pod.warn(
      `the Pod's own container ${INIT_NETWORK_CONTAINER} is not the webhook's, which is called ${OTHER_NAME} here`,
    );
  }
  const container: Container = {
    name: isTaken ? OTHER_NAME : INIT_NETWORK_CONTAINER,
    image: settings.initNetworkImage,
    imagePullPolicy: 'IfNotPresent',
    args: [COMMAND, ...FLAGS[task], `--server-port=${settings.serverPort}`],
    env: [
      fieldVariable('HOST_IPS', 'status.hostIPs'),
      fieldVariable('POD_IPS', 'status.podIPs'),
      fieldVariable('POD_UID', 'metadata.uid'),
    ],
    ...addedResources(pod, context, INIT_NETWORK_CONTAINER, 'before'),
    // in case it fails without a termination message of its own
    terminationMessagePolicy: 'FallbackToLogsOnError',
    securityContext: task === 'wait' ? restricted(pod) : REDIRECTING,
  };
  pod.addInitContainer(container, 'first');
}

const FLAGS: Readonly<Record<InitNetworkTask, readonly string[]>> = {
  redirect: [],
  'redirect-container-credentials-too': [CONTAINER_CREDENTIALS],
  wait: [ONLY_WAIT],
};

const REDIRECTING = {
  runAsUser: 0,
  runAsGroup: 0,
  runAsNonRoot: false,
  ...CONFINED,
  // NET_RAW is for legacy iptables, which speaks to the kernel through a raw socket; nft needs NET_ADMIN alone
  capabilities: { drop: ['ALL'], add: ['NET_ADMIN', 'NET_RAW'] },
  ...SECCOMP,
};
