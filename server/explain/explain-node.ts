import type { Caller } from '../caller/caller.ts';
import type { Effects } from '../core/effects.ts';
import { Fault } from '../core/fault.ts';
import type { CredentialStatus } from '../credentials/credential-status.ts';
import { impersonationOf } from '../google/google-account.ts';
import { principalOf } from '../google/workload-identity-provider.ts';
import type { KubernetesClient } from '../kubernetes/client.ts';
import type { Pod } from '../kubernetes/objects.ts';
import type { ServeSettings } from '../settings/serve-settings.ts';
import { awsAnnotated } from './aws-steps.ts';
import { azureAnnotated } from './azure-steps.ts';
import { ListedCallers } from './listed-callers.ts';
import type { CloudIdentity, NodeExplanation, PodIdentities } from './node-explanation.ts';
import { CLOUD_NAMES, type CloudName, type NodeStatus } from './node-status.ts';
import { NotNeeded } from './steps.ts';

interface ExplainNodeDependencies {
  readonly kubernetes: KubernetesClient;
  readonly effects: Effects;
  /** What the running server says. Throws if it cannot be asked. */
  readonly askServer: () => Promise<string>;
}

/**
 * The Pods of this Node and who each is in each cloud, looked up now, with what the running server knows about their
 * credentials. No credentials are requested. Throws `kubernetes-unavailable` or `kubernetes-forbidden`.
 */
export async function explainNode(
  settings: ServeSettings,
  { kubernetes, effects, askServer }: ExplainNodeDependencies,
): Promise<NodeExplanation> {
  await using listed = new ListedCallers(settings, kubernetes, effects);
  const callers = await listed.callers();
  const [told, ...pods] = await Promise.all([
    statusOf(askServer),
    ...[...callers.pods()].map(async (pod) => ({ pod, found: await foundOf(pod, callers) })),
  ]);
  const known = new Map('reason' in told ? [] : told.callers.map(({ uid, clouds }) => [uid, clouds]));
  const identities = pods.map(({ pod, found }): PodIdentities => {
    const { namespace, name, hostNetwork, finished } = pod;
    const facts = { pod: `${namespace}/${name}`, hostNetwork, finished };
    if (found === undefined) return { ...facts, clouds: {} };
    if (found instanceof Fault) return { ...facts, failure: failureOf(found), clouds: {} };
    const { serviceAccount, boundTo } = found;
    const status = known.get(boundTo.uid) ?? {};
    const clouds = CLOUD_NAMES.flatMap((cloud) => {
      const identity = identityIn(cloud, found, settings);
      return identity === undefined ? [] : [[cloud, { ...identity, ...statusFacts(status[cloud]) }] as const];
    });
    return {
      ...facts,
      serviceAccount: `${serviceAccount.namespace}/${serviceAccount.name}`,
      clouds: Object.fromEntries(clouds),
    };
  });
  return {
    node: settings.nodeName,
    ok: !('reason' in told),
    ...('reason' in told && { server: told }),
    pods: identities.sort((a, b) => (a.pod < b.pod ? -1 : 1)),
  };
}

async function statusOf(
  askServer: () => Promise<string>,
): Promise<NodeStatus | NonNullable<NodeExplanation['server']>> {
  try {
    // the server is the same program of the same version, in the same container
    return JSON.parse(await askServer()) as NodeStatus;
  } catch (error) {
    return {
      reason: error instanceof Error ? error.message : String(error),
      remedy:
        "Run explain with kubectl exec in the server's Pod on this Node. If you did, check that Pod's log.",
    };
  }
}

/** The caller; undefined for a Pod that has finished, or is just gone. */
async function foundOf(
  { uid }: Pod,
  callers: { identifyPod(uid: string): Promise<Caller | undefined> },
): Promise<Caller | Fault | undefined> {
  try {
    return await callers.identifyPod(uid);
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
}

/** Undefined if the cloud is switched off. */
function identityIn(
  cloud: CloudName,
  caller: Caller,
  { workloadIdentityProvider, aws, azure, ...settings }: ServeSettings,
): CloudIdentity | undefined {
  try {
    if (cloud === 'google') {
      const account = impersonationOf(caller)?.account;
      return { identity: account ?? principalOf(caller.serviceAccount, workloadIdentityProvider) };
    }
    if (cloud === 'aws') return aws && { identity: awsAnnotated(caller, { ...settings, aws }).summary };
    return azure && { identity: azureAnnotated(caller, { ...settings, azure }).summary };
  } catch (error) {
    if (error instanceof NotNeeded) return {};
    if (error instanceof Fault) return { failure: failureOf(error) };
    throw error;
  }
}

function failureOf({ code, message, remedy }: Fault) {
  return { code, reason: message, remedy };
}

function statusFacts(status: CredentialStatus | undefined): Pick<CloudIdentity, 'cached' | 'lastFailure'> {
  if (status === undefined) return {};
  const { kept, lastFailure } = status;
  return {
    ...(kept.length > 0 && {
      cached: kept.map(({ kind, count, until }) => ({ kind, count, until: new Date(until).toISOString() })),
    }),
    ...(lastFailure !== undefined && {
      lastFailure: { ...lastFailure, at: new Date(lastFailure.at).toISOString() },
    }),
  };
}
