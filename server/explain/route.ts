import { OPT_IN_LABEL } from '../admission/injections/google.ts';
import { METADATA_VARIABLES } from '../admission/injections/google-addresses.ts';
import { INIT_NETWORK_CONTAINER, isInitNetwork, onlyWaits } from '../admission/injections/init-network.ts';
import { printable } from '../core/printable.ts';
import { member } from '../credentials/upstream.ts';
import {
  type ContainerDetails,
  type InitContainerDetails,
  type PodDetails,
  parseTerminationMessage,
} from '../kubernetes/pod-details.ts';
import { StepFailure, type Told } from './steps.ts';

const LONGEST_WORDS = 500;

/** How the Pod's clients find the server. Throws a {@link StepFailure} if they do not. */
export function routeOf(pod: PodDetails, serverPort: number): Told<void> {
  const initNetwork = pod.hostNetwork ? undefined : initNetworkOf(pod);
  if (initNetwork !== undefined) {
    const failure = notReady(pod, initNetwork);
    if (failure !== undefined) throw failure;
    if (!onlyWaits(initNetwork.args)) return redirected(pod, initNetwork);
  }
  const [given, without] = byVariables(pod.containers);
  if (given.length > 0) {
    const others = without.length === 0 ? '' : `, not in ${without.join(', ')}`;
    return {
      value: undefined,
      summary: `by environment variables in ${given.join(', ')}${others}`,
      facts: { mode: 'Environment' },
    };
  }
  if (pod.hostNetwork) {
    return {
      value: undefined,
      summary: 'on the host network, where nothing is redirected',
      remedy: `If its clients do not find the server, set ${list(METADATA_VARIABLES)} to 127.0.0.1:${serverPort}.`,
    };
  }
  throw notInjected(pod);
}

/** Why the Pod's init-network has failed for good; undefined if it has not. */
export function initNetworkFailure(pod: PodDetails): StepFailure | undefined {
  const initNetwork = initNetworkOf(pod);
  return initNetwork?.state === 'failed' ? notReady(pod, initNetwork) : undefined;
}

/** By what it runs: a container of the Pod's owner may have the name. */
function initNetworkOf({ initContainers }: PodDetails): InitContainerDetails | undefined {
  return initContainers.find(({ args }) => isInitNetwork(args));
}

/** A rule that is inserted later comes first; rules that are appended do no harm. */
function redirected(pod: PodDetails, initNetwork: InitContainerDetails): Told<void> {
  const later = pod.initContainers.slice(pod.initContainers.indexOf(initNetwork) + 1);
  const names = later.filter(({ mayChangeNetwork }) => mayChangeNetwork).map(({ name }) => name);
  const summary = `${initNetwork.name} has redirected the metadata address`;
  if (names.length === 0) return { value: undefined, summary, facts: { mode: 'Redirect' } };
  return {
    value: undefined,
    summary: `${summary}; ${list(names)} came after it and may have inserted rules before its own`,
    remedy: `If the Pod does not reach the server, exclude 169.254.169.254/32 from what ${list(names)} redirects.`,
    facts: { mode: 'Redirect', followedBy: names.join(',') },
  };
}

function notReady(
  pod: PodDetails,
  { name, state, reason, failure }: InitContainerDetails,
): StepFailure | undefined {
  if (state === 'succeeded') return undefined;
  const kubectl = (command: string) => `kubectl ${command} --namespace ${pod.namespace}`;
  if (failure !== undefined) {
    const { words, remedy } = lastWords(failure);
    return new StepFailure(
      'route-not-ready',
      `${name} fails: ${words || reason || 'no words'}`,
      `${remedy || 'Look at its log'}\n${kubectl('logs')} ${pod.name} --container ${name}`,
    );
  }
  if (state === 'running') {
    return new StepFailure(
      'route-not-ready',
      `${name} still waits until it reaches the server and the server knows this Pod`,
      `Its log says what it waits for: ${kubectl('logs')} ${pod.name} --container ${name}`,
    );
  }
  return new StepFailure(
    'route-not-ready',
    `${name} has not run yet${reason === '' ? '' : `: ${reason}`}`,
    `See the Pod's events: ${kubectl('describe pod')} ${pod.name}`,
  );
}

/** The names of the containers whose variables have the server's address, and of those without. */
function byVariables(containers: readonly ContainerDetails[]): [string[], string[]] {
  const given = ({ variables }: ContainerDetails) =>
    METADATA_VARIABLES.some((name) => variables.includes(name));
  const names = (some: readonly ContainerDetails[]) => some.map(({ name }) => name);
  return [names(containers.filter(given)), names(containers.filter((container) => !given(container)))];
}

function notInjected({ labels, namespace }: PodDetails): StepFailure {
  const label = labels[OPT_IN_LABEL];
  if (label === 'Mutate') {
    return new StepFailure(
      'route-missing',
      'not injected, though its label asks for it',
      "It was created before the webhook was ready: check the webhook's Pods, then delete this Pod for its " +
        'controller to recreate it.',
    );
  }
  if (label === 'Skip') {
    return new StepFailure(
      'route-missing',
      `not injected, as its label ${OPT_IN_LABEL}: Skip asks for`,
      'Remove the label from its template, or set the environment variables yourself: ' +
        `${list(METADATA_VARIABLES)}, each HOST_IP:PORT of the server.`,
    );
  }
  return new StepFailure(
    'route-missing',
    `not injected: it has neither the init container ${INIT_NETWORK_CONTAINER} nor one of ${list(METADATA_VARIABLES)}`,
    `Label the Pod's template or its Namespace, then recreate the Pod:\n` +
      `kubectl label namespace ${namespace} ${OPT_IN_LABEL}=Mutate`,
  );
}

/** What it left for the kubelet, or the last line of its log; the Pod's owner may have written either. */
function lastWords(message: string): { words: string; remedy: string } {
  const left = parseTerminationMessage(message);
  if (left !== undefined) {
    return { words: printable(left.reason, LONGEST_WORDS), remedy: printable(left.remedy, LONGEST_WORDS) };
  }
  const line = message.trimEnd().split('\n').at(-1) ?? '';
  try {
    const entry: unknown = JSON.parse(line);
    const text = (name: string) => printable(String(member(entry, name) ?? ''), LONGEST_WORDS);
    return { words: text('reason') || text('message'), remedy: text('remedy') };
  } catch {
    return { words: printable(line, LONGEST_WORDS), remedy: '' };
  }
}

function list(names: readonly string[]): string {
  return new Intl.ListFormat('en').format(names);
}
