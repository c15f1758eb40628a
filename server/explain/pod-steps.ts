import type { Caller } from '../caller/caller.ts';
import { PodIndex } from '../caller/pod-index.ts';
import { serviceAccountMissing } from '../caller/service-accounts.ts';
import type { Effects } from '../core/effects.ts';
import { withTimeLimit } from '../core/waiting.ts';
import type { KubernetesClient } from '../kubernetes/client.ts';
import { serviceAccountOfNode } from '../kubernetes/node-service-account.ts';
import type { BoundObject, ServiceAccountName } from '../kubernetes/objects.ts';
import type { PodDetails } from '../kubernetes/pod-details.ts';
import type { ServeSettings } from '../settings/serve-settings.ts';
import { initNetworkFailure } from './route.ts';
import { StepFailure, type Told } from './steps.ts';

const READINESS_MILLISECONDS = 2000;
const FINISHED: readonly string[] = ['Succeeded', 'Failed'];

/** The Pod, where there is one. */
export function podFound(pod: PodDetails | undefined, namespace: string, name: string): Told<PodDetails> {
  if (pod !== undefined) {
    return { value: pod, summary: `UID ${pod.uid}`, facts: { uid: pod.uid, phase: pod.phase } };
  }
  throw new StepFailure(
    'pod-missing',
    `there is no Pod ${namespace}/${name}`,
    `See which there are: kubectl get pods --namespace ${namespace}`,
  );
}

/** A server knows the Pods of its own Node only. */
export function onThisNode({ namespace, name, nodeName }: PodDetails, ownNode: string): Told<void> {
  if (nodeName === ownNode) return { value: undefined, summary: nodeName, facts: { node: nodeName } };
  if (nodeName === undefined) {
    throw new StepFailure(
      'pod-not-scheduled',
      'no Node has been found for it yet',
      `See the Pod's events: kubectl describe pod --namespace ${namespace} ${name}`,
    );
  }
  throw new StepFailure(
    'pod-on-other-node',
    `it is on Node ${nodeName}, and this is the server of Node ${ownNode}`,
    `Ask the server there; its Pod is among: kubectl get pods -A --field-selector spec.nodeName=${nodeName}`,
  );
}

/** A finished Pod owns no address any more. If it never started, the reason is that of its init container. */
export function notFinished(pod: PodDetails): Told<void> {
  const { phase } = pod;
  if (!FINISHED.includes(phase)) return { value: undefined, summary: phase };
  const cause = initNetworkFailure(pod);
  if (cause !== undefined) {
    throw new StepFailure('pod-finished', `it has finished: ${phase}, since ${cause.message}`, cause.remedy);
  }
  throw new StepFailure(
    'pod-finished',
    `it has finished: ${phase}`,
    'None if it has done its work: a finished Pod has no identity. Otherwise run explain for its replacement.',
  );
}

/** Whether the running server says that it is ready. */
export async function serverReady(
  healthPort: number,
  { fetch, sleep }: Pick<Effects, 'fetch' | 'sleep'>,
): Promise<Told<void>> {
  const url = `http://127.0.0.1:${healthPort}/readyz`;
  const failure = (what: string) =>
    new StepFailure(
      'server-not-ready',
      `${url} ${what}`,
      "Run this by kubectl exec in the server's Pod of this Node. Where it was, see that Pod's log.",
    );
  const ask = async (signal: AbortSignal) => {
    const response = await fetch(url, { redirect: 'manual', signal });
    return { status: response.status, words: (await response.text()).trim() };
  };
  const late = () => new Error('no answer in time');
  let answer: Awaited<ReturnType<typeof ask>>;
  try {
    answer = await withTimeLimit(sleep, READINESS_MILLISECONDS, late, undefined, ask);
  } catch (error) {
    throw failure(`cannot be asked: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (answer.status === 200) return { value: undefined, summary: 'ready' };
  throw failure(`answers ${answer.status}: ${answer.words.split('\n').join(', ')}`);
}

/**
 * Whether the server knows the Pod by its address, as the server itself works it out: from the Pods of its Node.
 * The server is not asked, since whoever could ask it that could ask about others.
 */
export async function knownByAddress(
  { namespace, name, uid, hostNetwork, addresses }: PodDetails,
  nodeName: string,
  client: Pick<KubernetesClient, 'podsOfNode'>,
): Promise<Told<void>> {
  if (hostNetwork) {
    return {
      value: undefined,
      summary: "on the host network: known as its Node, by the Node's addresses",
      facts: { knownAs: 'Node' },
    };
  }
  if (addresses.length === 0) {
    throw new StepFailure(
      'address-missing',
      'it has no address yet',
      `The kubelet has not reported one. See: kubectl describe pod --namespace ${namespace} ${name}`,
    );
  }
  const index = new PodIndex(nodeName, { gained() {}, removed() {} });
  index.replace((await client.podsOfNode(nodeName).list()).items);
  for (const address of addresses) {
    const owner = index.ownerOf(address);
    if (owner?.uid === uid) continue;
    throw new StepFailure(
      'address-of-another',
      owner === undefined
        ? `${address} belongs to no Pod of this Node any more`
        : `${address} belongs to Pod ${owner.namespace}/${owner.name}, which was started later`,
      'Ask again: the Pod may just have ended. Where it lasts, two Pods have one address, which is a fault of the CNI.',
    );
  }
  return {
    value: undefined,
    summary: addresses.join(', '),
    facts: { knownAs: 'Pod', addresses: addresses.join(',') },
  };
}

/** The ServiceAccount of the Pod, or on the host network of its Node, and what its tokens are bound to. */
export async function identified(
  pod: PodDetails,
  settings: Pick<ServeSettings, 'nodeName' | 'defaultNodeServiceAccount'>,
  client: Pick<KubernetesClient, 'node' | 'getServiceAccount'>,
): Promise<Told<Caller>> {
  const [owner, boundTo] = pod.hostNetwork ? await nodeIdentity(settings, client) : podIdentity(pod);
  const serviceAccount = await client.getServiceAccount(owner.namespace, owner.name);
  if (serviceAccount === undefined) throw serviceAccountMissing(owner);
  const name = `${owner.namespace}/${owner.name}`;
  return {
    value: { serviceAccount, boundTo },
    summary: boundTo.kind === 'Node' ? `${name}, the one of Node ${boundTo.name}` : name,
    facts: { serviceAccount: name, uid: serviceAccount.uid },
  };
}

function podIdentity({
  namespace,
  name,
  uid,
  serviceAccountName,
}: PodDetails): [ServiceAccountName, BoundObject] {
  return [
    { namespace, name: serviceAccountName },
    { kind: 'Pod', name, uid },
  ];
}

async function nodeIdentity(
  { nodeName, defaultNodeServiceAccount }: Pick<ServeSettings, 'nodeName' | 'defaultNodeServiceAccount'>,
  client: Pick<KubernetesClient, 'node'>,
): Promise<[ServiceAccountName, BoundObject]> {
  const [node] = (await client.node(nodeName).list()).items;
  if (node === undefined) {
    throw new StepFailure(
      'node-missing',
      `there is no Node ${nodeName}`,
      'Correct --node-name: in a DaemonSet it comes from spec.nodeName by the downward API.',
    );
  }
  return [
    serviceAccountOfNode(node, defaultNodeServiceAccount),
    { kind: 'Node', name: node.name, uid: node.uid },
  ];
}
