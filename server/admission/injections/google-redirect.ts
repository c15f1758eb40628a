import type { InjectionSettings } from '../injection-settings.ts';
import type { PodEditor } from '../pod-editor.ts';

const METADATA_HOSTNAME = 'metadata.google.internal';

/** The addresses that `init-network` redirects. */
export const METADATA_IPV4 = '169.254.169.254';
export const METADATA_IPV6 = 'fd20:ce::254';

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
