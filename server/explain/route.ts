import { OPT_IN_LABEL } from '../admission/injections/google.ts';
import { METADATA_VARIABLES } from '../admission/injections/google-environment.ts';
import { INIT_NETWORK_CONTAINER } from '../admission/injections/google-redirect.ts';
import { printable } from '../core/printable.ts';
import { member } from '../credentials/upstream.ts';
import type { ContainerDetails, InitContainerDetails, PodDetails } from '../kubernetes/pod-details.ts';
import { StepFailure, type Told } from './steps.ts';

const LONGEST_WORDS = 300;

/** How the Pod's clients find the server. Throws a {@link StepFailure} where they do not. */
export function routeOf(pod: PodDetails, serverPort: number): Told<void> {
  const initNetwork = pod.initContainers.find(({ name }) => name === INIT_NETWORK_CONTAINER);
  if (initNetwork !== undefined && !pod.hostNetwork) return redirected(pod, initNetwork);
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
      remedy: `Where its clients do not find the server, set ${list(METADATA_VARIABLES)} to 127.0.0.1:${serverPort}.`,
    };
  }
  throw notInjected(pod);
}

function redirected(pod: PodDetails, { state, reason, failure }: InitContainerDetails): Told<void> {
  if (state === 'succeeded') {
    return {
      value: undefined,
      summary: `${INIT_NETWORK_CONTAINER} has redirected the metadata address`,
      facts: { mode: 'Redirect' },
    };
  }
  const kubectl = (command: string) => `kubectl ${command} --namespace ${pod.namespace}`;
  if (failure !== undefined) {
    const { words, remedy } = lastWords(failure);
    throw new StepFailure(
      'route-not-ready',
      `${INIT_NETWORK_CONTAINER} fails: ${words || reason || 'no words'}`,
      `${remedy || 'Look at its log'}\n${kubectl('logs')} ${pod.name} --container ${INIT_NETWORK_CONTAINER}`,
    );
  }
  if (state === 'running') {
    throw new StepFailure(
      'route-not-ready',
      `${INIT_NETWORK_CONTAINER} still waits until it reaches the server and the server knows this Pod`,
      `Its log says what it waits for: ${kubectl('logs')} ${pod.name} --container ${INIT_NETWORK_CONTAINER}`,
    );
  }
  throw new StepFailure(
    'route-not-ready',
    `${INIT_NETWORK_CONTAINER} has not run yet${reason === '' ? '' : `: ${reason}`}`,
    `See the Pod's events: ${kubectl('describe pod')} ${pod.name}`,
  );
}

/** The names of the containers that tell their clients where the server is, and of those that do not. */
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
      "It was created while the webhook was not there, or not yet: see the webhook's Pods, then delete this Pod " +
        'so that its controller creates it anew.',
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
    `Label the Pod's template, or its Namespace, and let the Pod be created anew:\n` +
      `kubectl label namespace ${namespace} ${OPT_IN_LABEL}=Mutate`,
  );
}

/** The reason in the last line of its log, which the kubelet keeps; the Pod's owner may have written it. */
function lastWords(log: string): { words: string; remedy: string } {
  const line = log.trimEnd().split('\n').at(-1) ?? '';
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
