import type { InjectionSettings } from '../injection-settings.ts';
import type { PodEditor } from '../pod-editor.ts';
import type { Container } from '../pod-manifest.ts';

export const INIT_NETWORK_CONTAINER = 'init-network';

/** What it is called if the Pod has a container of that name that is another. */
const OTHER_NAME = 'gke-metadata-server-init-network';
const COMMAND = 'init-network';
const ONLY_WAIT = '--redirect=false';

/** Whether a container runs our command, whatever it is called. */
export function isInitNetwork(args: readonly string[]): boolean {
  return args[0] === COMMAND;
}

/** Whether it redirects nothing: mode Environment. */
export function onlyWaits(args: readonly string[]): boolean {
  return args.includes(ONLY_WAIT);
}

/** Puts it before every other init container, so that they have the route already; one that is there is kept. */
export function addInitNetwork(pod: PodEditor, settings: InjectionSettings): void {
  if (pod.initContainers.some(({ args }) => isInitNetwork(args))) return;
  const isTaken = pod.allContainers.some(({ name }) => name === INIT_NETWORK_CONTAINER);
  if (isTaken) {
    pod.warn(
      `the Pod's own container ${INIT_NETWORK_CONTAINER} is not the webhook's, which is called ${OTHER_NAME} here`,
    );
  }
  const name = isTaken ? OTHER_NAME : INIT_NETWORK_CONTAINER;
  pod.addInitContainer(initNetworkContainer(name, settings), 'first');
}

function initNetworkContainer(name: string, settings: InjectionSettings): Container {
  const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });
  return {
    name,
    image: settings.initNetworkImage,
    imagePullPolicy: 'IfNotPresent',
    args: [COMMAND, `--server-port=${settings.serverPort}`],
    env: [
      field('HOST_IPS', 'status.hostIPs'),
      field('POD_IPS', 'status.podIPs'),
      field('POD_UID', 'metadata.uid'),
    ],
    resources: settings.initNetworkResources,
    // kubectl describe pod then shows why the server could not be used
    terminationMessagePolicy: 'FallbackToLogsOnError',
    securityContext: {
      // each is said, since the Pod's own security context may say otherwise for all containers
      runAsUser: 0,
      runAsGroup: 0,
      runAsNonRoot: false,
      privileged: false,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      // NET_RAW is for legacy iptables, which speaks to the kernel through a raw socket; nft needs NET_ADMIN alone
      capabilities: { drop: ['ALL'], add: ['NET_ADMIN', 'NET_RAW'] },
      seccompProfile: { type: 'RuntimeDefault' },
    },
  };
}
