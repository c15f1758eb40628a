import { familyOf, type IPAddress } from '../kubernetes/ip-address.ts';
import type { Node, Pod } from '../kubernetes/objects.ts';

/**
 * Whether an address that no Pod owns may be that of a Pod whose address the kubelet has not reported yet. It does so
 * after its first sync of the Pod, which ends when all containers have started: minutes, if an image is slow to pull.
 *
 * The Node's `spec.podCIDRs` answer that only if the CNI allocates from them, which many do not (Calico's and
 * Cilium's own pools, the VPC's addresses on EKS). They are trusted if a Pod of this Node has an address in them and
 * none has one outside, for each family by itself. Otherwise any address may be a Pod's.
 */
export function mayBePod(address: IPAddress, node: Node | undefined, pods: Iterable<Pod>): boolean {
  const family = familyOf(address);
  const ranges = (node?.podRanges ?? []).filter((range) => range.family === family);
  if (ranges.length === 0) return true;
  const isInRange = (candidate: IPAddress) => ranges.some((range) => range.contains(candidate));
  if (isInRange(address)) return true;
  let hasPods = false;
  for (const pod of pods) {
    if (pod.hostNetwork) continue;
    for (const own of pod.addresses) {
      if (familyOf(own) !== family) continue;
      if (!isInRange(own)) return true;
      hasPods = true;
    }
  }
  return !hasPods;
}
