import { METADATA_ADDRESS, METADATA_HOSTNAME } from '../../core/metadata-address.ts';
import type { InjectionSettings } from '../injection.ts';
import type { PodEditor } from '../pod-editor.ts';
import { containersOfThePod } from './own-containers.ts';

/** The variables that, between them, every Google client reads; gcloud reads only the last. */
export const METADATA_VARIABLES = ['GCE_METADATA_HOST', 'GCE_METADATA_IP', 'GCE_METADATA_ROOT'];

/** Read by the managed identity credential of Azure's SDKs. */
const AZURE_VARIABLE = 'AZURE_POD_IDENTITY_AUTHORITY_HOST';

/** Prefixed, as a container's own HOST_IP may be something else. */
const HOST_IP_VARIABLE = 'GKE_METADATA_SERVER_HOST_IP';

/**
 * Sets the address of the Node's server in each container, unless the container sets it itself; for Azure's clients
 * too if they are to ask it.
 */
export function addMetadataVariables(
  pod: PodEditor,
  settings: InjectionSettings,
  { azure }: { readonly azure: boolean },
): void {
  const { serverPort, nodesAreIPv6 } = settings;
  // the kubelet expands $(NAME) of a variable that comes earlier in the list, and cannot add brackets as needed
  const reference = `$(${HOST_IP_VARIABLE})`;
  const value = `${nodesAreIPv6 ? `[${reference}]` : reference}:${serverPort}`;
  for (const container of containersOfThePod(pod)) {
    const variables = azure ? [...METADATA_VARIABLES, AZURE_VARIABLE] : METADATA_VARIABLES;
    if (variables.every((name) => container.hasVariable(name))) continue;
    container.addVariable({
      name: HOST_IP_VARIABLE,
      valueFrom: { fieldRef: { fieldPath: 'status.hostIP' } },
    });
    for (const name of METADATA_VARIABLES) container.addVariable({ name, value });
    if (azure) container.addVariable({ name: AZURE_VARIABLE, value: `http://${value}` });
  }
}

/** Whether the Pod has a route to the Node's server, by a redirect or by variables. */
export function isRouted(pod: PodEditor): boolean {
  return containersOfThePod(pod).every((container) =>
    METADATA_VARIABLES.every((name) => container.hasVariable(name)),
  );
}

/**
 * Sets the redirected address in each container. Clients know it by default, but some race it against a name that a
 * DNS server may not know (google-auth-library 7 to 9 for Node.js) and lose.
 */
export function addRedirectedVariables(pod: PodEditor, { nodesAreIPv6 }: InjectionSettings): void {
  const value = nodesAreIPv6 ? `[${METADATA_ADDRESS.IPv6}]` : METADATA_ADDRESS.IPv4;
  for (const container of containersOfThePod(pod)) {
    for (const name of METADATA_VARIABLES) container.addVariable({ name, value });
  }
}

/** Adds a hostAlias for the metadata server's name, unless the Pod gives that name to another address. */
export function addMetadataHostAlias(pod: PodEditor, settings: InjectionSettings): void {
  const served: readonly string[] = [METADATA_ADDRESS.IPv4, METADATA_ADDRESS.IPv6];
  if (pod.addressesOf(METADATA_HOSTNAME).some((address) => !served.includes(address))) {
    pod.warn(`a hostAlias of the Pod gives ${METADATA_HOSTNAME} another address: it is kept`);
    return;
  }
  // a Pod without IPv4 cannot reach the first address; a Pod without IPv6 would try the second in vain
  for (const address of settings.nodesAreIPv6 ? served : [METADATA_ADDRESS.IPv4]) {
    pod.addHostname(address, METADATA_HOSTNAME);
  }
}
