import type { InjectionSettings } from '../injection-settings.ts';
import type { ContainerEditor, PodEditor } from '../pod-editor.ts';

/** The variables that, between them, every Google client reads; gcloud reads only the last. */
export const METADATA_VARIABLES = ['GCE_METADATA_HOST', 'GCE_METADATA_IP', 'GCE_METADATA_ROOT'];

/** A name of our own: a container's own HOST_IP may be something else. */
const HOST_IP_VARIABLE = 'GKE_METADATA_SERVER_HOST_IP';

/** Tells the clients in each container where the Node's server is, unless the container tells them itself. */
export function addMetadataVariables(pod: PodEditor, settings: InjectionSettings): void {
  for (const container of pod.allContainers) addToContainer(container, settings);
}

function addToContainer(container: ContainerEditor, { serverPort, nodesAreIPv6 }: InjectionSettings): void {
  if (METADATA_VARIABLES.every((name) => container.hasVariable(name))) return;
  container.addVariable({
    name: HOST_IP_VARIABLE,
    valueFrom: { fieldRef: { fieldPath: 'status.hostIP' } },
  });
  // the kubelet expands $(NAME) of a variable that comes earlier in the list, and cannot add brackets as needed
  const reference = `$(${HOST_IP_VARIABLE})`;
  const value = `${nodesAreIPv6 ? `[${reference}]` : reference}:${serverPort}`;
  for (const name of METADATA_VARIABLES) container.addVariable({ name, value });
}
