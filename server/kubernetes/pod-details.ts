import { objectPath } from './api-path.ts';
import { type ApiServer, getObject } from './api-server.ts';
import type { Field } from './field.ts';
import type { IPAddress } from './ip-address.ts';
import { isFinished, parseAddresses } from './objects.ts';

/** A Pod for a person to read: it need not be scheduled yet, and its containers are included. */
export interface PodDetails {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** Undefined until it is scheduled. */
  readonly nodeName: string | undefined;
  readonly serviceAccountName: string;
  readonly hostNetwork: boolean;
  readonly addresses: readonly IPAddress[];
  /** As `status.phase` spells it. */
  readonly phase: string;
  /** As {@link isFinished} says. */
  readonly finished: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly containers: readonly ContainerDetails[];
  readonly initContainers: readonly InitContainerDetails[];
}

export interface ContainerDetails {
  readonly name: string;
  /** The names of its environment variables. */
  readonly variables: readonly string[];
}

export interface InitContainerDetails extends ContainerDetails {
  readonly args: readonly string[];
  /** Whether it is privileged or has NET_ADMIN, and so may have written its own rules. */
  readonly mayChangeNetwork: boolean;
  readonly state: 'waiting' | 'running' | 'succeeded' | 'failed';
  /** The kubelet's reason for its state; empty if there is none. */
  readonly reason: string;
  /** The termination message of its last failed run; undefined if no run failed. */
  readonly failure: string | undefined;
}

const NETWORK_CAPABILITIES = ['NET_ADMIN', 'CAP_NET_ADMIN', 'ALL'];

/** Undefined if the Pod does not exist. Throws `kubernetes-unavailable`, `kubernetes-forbidden` or `object-name-invalid`. */
export async function getPodDetails(
  server: Pick<ApiServer, 'json'>,
  namespace: string,
  name: string,
): Promise<PodDetails | undefined> {
  const path = objectPath('pods', { namespace, name });
  return getObject(server, { resource: 'pods', path }, 'Pod', parsePodDetails);
}

function parsePodDetails(pod: Field): PodDetails {
  const metadata = pod.at('metadata');
  const spec = pod.at('spec');
  const status = pod.at('status');
  const nodeName = spec.at('nodeName').textOr('');
  const phase = status.at('phase').textOr('Pending');
  const statuses = new Map(
    status
      .at('initContainerStatuses')
      .items()
      .map((entry) => [entry.at('name').text(), entry]),
  );
  return {
    namespace: metadata.at('namespace').text(),
    name: metadata.at('name').text(),
    uid: metadata.at('uid').text(),
    nodeName: nodeName === '' ? undefined : nodeName,
    serviceAccountName: spec.at('serviceAccountName').textOr(''),
    hostNetwork: spec.at('hostNetwork').isTrue(),
    addresses: parseAddresses(status.at('podIPs').items(), 'ip'),
    phase,
    finished: isFinished(phase),
    labels: metadata.at('labels').texts(),
    containers: spec.at('containers').items().map(parseContainer),
    initContainers: spec
      .at('initContainers')
      .items()
      .map((container) => parseInitContainer(container, statuses)),
  };
}

function parseContainer(container: Field): ContainerDetails {
  const variables = container
    .at('env')
    .items()
    .map((variable) => variable.at('name').text());
  return { name: container.at('name').text(), variables };
}

/** https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#container-states */
function parseInitContainer(container: Field, statuses: ReadonlyMap<string, Field>): InitContainerDetails {
  const texts = (list: Field) => list.items().map((item) => item.textOr(''));
  const securityContext = container.at('securityContext');
  const added = texts(securityContext.at('capabilities').at('add'));
  const parsed = {
    ...parseContainer(container),
    args: texts(container.at('args')),
    mayChangeNetwork:
      securityContext.at('privileged').isTrue() || added.some((name) => NETWORK_CAPABILITIES.includes(name)),
  };
  const status = statuses.get(parsed.name);
  if (status === undefined) return { ...parsed, state: 'waiting', reason: '', failure: undefined };
  const state = status.at('state');
  const ended = state.at('terminated');
  const endedBefore = status.at('lastState').at('terminated');
  const last = ended.isMissing() ? endedBefore : ended;
  const hasFailed = last.at('exitCode').numberOr(0) !== 0;
  const running = state.at('running').isMissing() ? 'waiting' : 'running';
  return {
    ...parsed,
    state: ended.isMissing() ? running : hasFailed ? 'failed' : 'succeeded',
    reason: (ended.isMissing() ? state.at('waiting') : ended).at('reason').textOr(''),
    failure: hasFailed ? last.at('message').textOr('') : undefined,
  };
}

/** The default `terminationMessagePath` of a container. */
export const TERMINATION_LOG = '/dev/termination-log';

/** Why an injected container failed, and what to do about it. */
interface TerminationMessage {
  readonly reason: string;
  readonly remedy: string;
}

const REMEDY = '\nRemedy: ';

/** The two lines that `kubectl describe pod` shows. The kubelet keeps 4096 bytes. */
export function formatTerminationMessage({ reason, remedy }: TerminationMessage): string {
  const line = (text: string) => text.replaceAll(/\s+/g, ' ').trim().slice(0, 1500);
  return `${line(reason)}${REMEDY}${line(remedy)}\n`;
}

/** Undefined if the message is not one of {@link formatTerminationMessage}. */
export function parseTerminationMessage(message: string): TerminationMessage | undefined {
  const [reason = '', remedy, ...others] = message.trimEnd().split(REMEDY);
  return remedy === undefined || others.length > 0 ? undefined : { reason, remedy };
}
