import { METADATA_ADDRESS, METADATA_HOSTNAME } from '../../core/metadata-address.ts';
import type { InjectionSettings } from '../injection.ts';
import type { ContainerEditor, PodEditor } from '../pod-editor.ts';
import { IRSA_VARIABLES, POD_IDENTITY_VARIABLES } from './aws-variables.ts';
import { containersOfThePod } from './own-containers.ts';

/** The variables that, between them, every Google client reads; gcloud reads only the last. */
export const METADATA_VARIABLES = ['GCE_METADATA_HOST', 'GCE_METADATA_IP', 'GCE_METADATA_ROOT'];

/** The clouds besides Google whose clients are to ask the server. */
export interface OtherClouds {
  readonly aws: boolean;
  readonly azure: boolean;
}

/**
 * Where SDKs look for another cloud's metadata service: a base URL, without a slash at the end, which some would double.
 * A container that sets one of the others has credentials of its own.
 */
const CLOUD_VARIABLES = {
  aws: { name: 'AWS_EC2_METADATA_SERVICE_ENDPOINT', others: [...IRSA_VARIABLES, ...POD_IDENTITY_VARIABLES] },
  azure: { name: 'AZURE_POD_IDENTITY_AUTHORITY_HOST', others: ['AZURE_FEDERATED_TOKEN_FILE'] },
} as const;

/** Prefixed, as a container's own HOST_IP may be something else. */
const HOST_IP_VARIABLE = 'GKE_METADATA_SERVER_HOST_IP';

/**
 * Sets the address of the Node's server in each container, unless the container sets it itself; for the clients of other
 * clouds too.
 */
export function addMetadataVariables(
  pod: PodEditor,
  { serverPort, nodesAreIPv6 }: InjectionSettings,
  clouds: OtherClouds,
): void {
  // the kubelet expands $(NAME) of a variable that comes earlier in the list, and cannot add brackets as needed
  const reference = `$(${HOST_IP_VARIABLE})`;
  const value = `${nodesAreIPv6 ? `[${reference}]` : reference}:${serverPort}`;
  for (const container of containersOfThePod(pod)) {
    const ofClouds = cloudVariables(container, clouds);
    if ([...METADATA_VARIABLES, ...ofClouds].every((name) => container.hasVariable(name))) continue;
    container.addVariable({
      name: HOST_IP_VARIABLE,
      valueFrom: { fieldRef: { fieldPath: 'status.hostIP' } },
    });
    for (const name of METADATA_VARIABLES) container.addVariable({ name, value });
    for (const name of ofClouds) container.addVariable({ name, value: `http://${value}` });
  }
}

/** Of the clouds that the container is to ask the server for. */
function cloudVariables(container: ContainerEditor, clouds: OtherClouds): readonly string[] {
  return (['aws', 'azure'] as const)
    .filter((cloud) => clouds[cloud])
    .map((cloud) => CLOUD_VARIABLES[cloud])
    .filter(({ others }) => !others.some((name) => container.hasVariable(name)))
    .map(({ name }) => name);
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
export function addRedirectedVariables(
  pod: PodEditor,
  { nodesAreIPv6 }: InjectionSettings,
  clouds: OtherClouds,
): void {
  const value = nodesAreIPv6 ? `[${METADATA_ADDRESS.IPv6}]` : METADATA_ADDRESS.IPv4;
  for (const container of containersOfThePod(pod)) {
    for (const name of METADATA_VARIABLES) container.addVariable({ name, value });
    // a Pod without IPv4 cannot reach the address that SDKs have by default
    const ofClouds = nodesAreIPv6 ? cloudVariables(container, clouds) : [];
    for (const name of ofClouds) container.addVariable({ name, value: `http://${value}` });
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
