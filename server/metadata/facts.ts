import { createHash } from 'node:crypto';
import type { Caller } from '../caller/caller.ts';
import type { Effects } from '../core/effects.ts';
import { googleAccountOf, hasPrincipalAsEmail } from '../google/google-account.ts';
import { principalOf, type WorkloadIdentityProvider } from '../google/workload-identity-provider.ts';
import type { Node } from '../kubernetes/objects.ts';
import type { Log } from '../telemetry/log.ts';

/** The settings of the instance that the metadata describes. */
export interface InstanceSettings {
  readonly nodeName: string;
  readonly projectID: string;
  readonly workloadIdentityProvider: WorkloadIdentityProvider;
  readonly universeDomain: string;
  readonly clusterName: string;
  /** Empty: the Node's topology labels. */
  readonly clusterLocation: string;
}

/** The instance that the metadata describes: the Node and its cluster. */
export interface Instance {
  readonly settings: InstanceSettings;
  /** Throws `stores-not-in-sync` while the Node is not known. */
  node(): Node;
}

function sha256(value: string): Buffer {
  return createHash('sha256').update(value).digest();
}

/** A number derived from the Node's UID: constant for its life, and below 2^53 so that every JSON parser reads it exactly. */
export function instanceID({ node }: Instance): number {
  return Number(sha256(node().uid).readBigUInt64BE() >> 11n);
}

/**
 * The location if neither the settings nor the Node's labels name one. Clients treat a name with one hyphen as a region
 * and one with two as a zone, and fail on any other, so a placeholder needs one of these forms; this one names no
 * place, so that nothing is stored or billed in a region that nobody chose.
 */
export const UNKNOWN_LOCATION = 'unknown-location';

/** What determines the location. */
interface Located {
  readonly settings: Pick<InstanceSettings, 'clusterLocation'>;
  node(): Pick<Node, 'labels'>;
}

/** As configured, else the Node's zone, else its region, else {@link UNKNOWN_LOCATION}: never empty. */
export function clusterLocation({ settings, node }: Located): string {
  if (settings.clusterLocation !== '') return settings.clusterLocation;
  const { 'topology.kubernetes.io/zone': zone, 'topology.kubernetes.io/region': region } = node().labels;
  // a label may be empty
  return zone || region || UNKNOWN_LOCATION;
}

/** Whether clients can tell if a location is a region or a zone: by its one or two hyphens. */
export function isRegionOrZone(location: string): boolean {
  return /^[^-]+-[^-]+(-[^-]+)?$/.test(location);
}

/** `projects/NUMBER/zones/ZONE`, as Compute Engine spells it. */
export function zone(instance: Instance): string {
  return `projects/${instance.settings.workloadIdentityProvider.projectNumber}/zones/${clusterLocation(instance)}`;
}

/** GKE's format, 64 hexadecimal digits; derived from what distinguishes clusters and needs no permission to read. */
export function clusterUID({ settings }: Instance): string {
  return sha256(`${settings.workloadIdentityProvider.name}\n${settings.clusterName}`).toString('hex');
}

/** The one account a caller has besides `default`. */
export interface Account {
  /** The name of its directory: the Google account's email, or the workload identity pool as GKE names it. */
  readonly name: string;
  /** The same, or the caller's own principal if the ServiceAccount's annotation asks for that. */
  readonly email: string;
}

/** Throws `account-annotation-invalid`. */
export function accountOf(
  caller: Caller,
  { projectID, workloadIdentityProvider }: InstanceSettings,
): Account {
  const pool = `${projectID}.svc.id.goog`;
  const account = googleAccountOf(caller);
  if (account !== undefined) return { name: account, email: account };
  if (!hasPrincipalAsEmail(caller.serviceAccount)) return { name: pool, email: pool };
  return { name: pool, email: principalOf(caller.serviceAccount, workloadIdentityProvider) };
}

const REMEDY =
  'Set --cluster-location (CLUSTER_LOCATION, settings.clusterLocation of the module) to a region of Google ' +
  'Cloud near the cluster, such as europe-west1, or label the Node with topology.kubernetes.io/zone.';

interface LocationWarningOptions {
  readonly settings: Located['settings'];
  /** This Node; undefined until it is known. */
  node(): ReturnType<Located['node']> | undefined;
  readonly effects: Pick<Effects, 'sleep'>;
  readonly log: Pick<Log, 'warn'>;
}

/** Warns once, as soon as the Node is known, if clients cannot use the location that the server gives them. Never throws. */
export async function warnOfLocation(options: LocationWarningOptions, signal: AbortSignal): Promise<void> {
  const { settings, effects, log } = options;
  let node = options.node();
  while (node === undefined) {
    // rejects only because the server is shutting down
    const ended = await effects.sleep(1000, signal).then(
      () => false,
      () => true,
    );
    if (ended) return;
    node = options.node();
  }
  const known = node;
  const location = clusterLocation({ settings, node: () => known });
  if (location === UNKNOWN_LOCATION) {
    log.warn({ location, remedy: REMEDY }, 'the location of the cluster is unknown');
  } else if (!isRegionOrZone(location)) {
    log.warn({ location, remedy: REMEDY }, 'the location of the cluster is neither a region nor a zone');
  }
}
