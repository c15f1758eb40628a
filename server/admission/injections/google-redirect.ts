import type { InjectionSettings } from '../injection-settings.ts';
import type { PodEditor } from '../pod-editor.ts';
import type { Container } from '../pod-manifest.ts';

export const INIT_NETWORK_CONTAINER = 'init-network';
const METADATA_HOSTNAME = 'metadata.google.internal';

/** The addresses that `init-network` redirects. */
const METADATA_IPV4 = '169.254.169.254';
const METADATA_IPV6 = 'fd20:ce::254';

/** Puts `init-network` before every other init container, so that they have the route already. */
export function addInitNetwork(pod: PodEditor, settings: InjectionSettings): void {
  pod.addInitContainer(initNetworkContainer(settings), 'first');
}

function initNetworkContainer(settings: InjectionSettings): Container {
  const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });
  return {
    name: INIT_NETWORK_CONTAINER,
    image: settings.initNetworkImage,
    imagePullPolicy: 'IfNotPresent',
    args: ['init-network', `--server-port=${settings.serverPort}`],
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

/** Gives the metadata server its name, unless the Pod gives that name to another address. */
export function addMetadataHostAlias(pod: PodEditor, settings: InjectionSettings): void {
  const ours = [METADATA_IPV4, METADATA_IPV6];
  if (pod.addressesOf(METADATA_HOSTNAME).some((address) => !ours.includes(address))) {
    pod.warn(`a hostAlias of the Pod gives ${METADATA_HOSTNAME} another address: it is kept`);
    return;
  }
  // a Pod without IPv4 cannot reach the one; a Pod without IPv6 would try the other in vain
  for (const address of settings.nodesAreIPv6 ? ours : [METADATA_IPV4]) {
    pod.addHostname(address, METADATA_HOSTNAME);
  }
}
