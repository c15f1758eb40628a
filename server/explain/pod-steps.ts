import type { Caller } from '../caller/caller.ts';
import type { NodeCallers } from '../caller/callers.ts';
import type { Effects } from '../core/effects.ts';
import { withTimeLimit } from '../core/waiting.ts';
import type { PodDetails } from '../kubernetes/pod-details.ts';
import { initNetworkFailure } from './route.ts';
import { StepFailure, type Told } from './steps.ts';

const READINESS_MILLISECONDS = 2000;

/** The Pod. Throws `pod-missing` if it does not exist. */
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
      'it is not scheduled to a Node yet',
      `See the Pod's events: kubectl describe pod --namespace ${namespace} ${name}`,
    );
  }
  throw new StepFailure(
    'pod-on-other-node',
    `it is on Node ${nodeName}, and this is the server of Node ${ownNode}`,
    `Ask the server there; its Pod is among: kubectl get pods -A --field-selector spec.nodeName=${nodeName}`,
  );
}

/** A finished Pod no longer owns its address. If it never started, the reason is that of its init container. */
export function notFinished(pod: PodDetails): Told<void> {
  const { phase, finished } = pod;
  if (!finished) return { value: undefined, summary: phase };
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
      "Run explain with kubectl exec in the server's Pod on this Node. If you did, check that Pod's log.",
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
 * Whether the server knows the Pod by its address. Callers of our own say so: the running server is not asked, since
 * whoever could ask it that could ask about others.
 */
export function knownByAddress(
  { namespace, name, uid, hostNetwork, addresses }: PodDetails,
  callers: Pick<NodeCallers, 'podAt'>,
): Told<void> {
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
  for (const address of addresses) {
    const owner = callers.podAt(address);
    if (owner?.uid === uid) continue;
    throw new StepFailure(
      'address-of-another',
      owner === undefined
        ? `${address} belongs to no Pod of this Node any more`
        : `${address} belongs to Pod ${owner.namespace}/${owner.name}, which was started later`,
      'Retry: the Pod may just have ended. If this persists, two Pods have the same address, which is a fault of the CNI.',
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
  { namespace, name, uid, hostNetwork }: PodDetails,
  nodeName: string,
  callers: Pick<NodeCallers, 'identifyPod' | 'node'>,
): Promise<Told<Caller>> {
  const caller = await callers.identifyPod(uid);
  if (caller !== undefined) {
    const { serviceAccount, boundTo } = caller;
    const account = `${serviceAccount.namespace}/${serviceAccount.name}`;
    return {
      value: caller,
      summary: boundTo.kind === 'Node' ? `${account}, the one of Node ${boundTo.name}` : account,
      facts: { serviceAccount: account, uid: serviceAccount.uid },
    };
  }
  if (hostNetwork && callers.node() === undefined) {
    throw new StepFailure(
      'node-missing',
      `there is no Node ${nodeName}`,
      'Correct --node-name: in a DaemonSet it comes from spec.nodeName by the downward API.',
    );
  }
  throw new StepFailure(
    'pod-finished',
    `Pod ${namespace}/${name} has just ended`,
    'Run explain for its replacement.',
  );
}
