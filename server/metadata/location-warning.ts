import type { Effects } from '../core/effects.ts';
import type { Log } from '../telemetry/events.ts';
import { clusterLocation, isRegionOrZone, type Located, UNKNOWN_LOCATION } from './facts.ts';

const REMEDY =
  'Set --cluster-location (CLUSTER_LOCATION, settings.clusterLocation of the module) to a region of Google ' +
  'Cloud near the cluster, such as europe-west1, or label the Node with topology.kubernetes.io/zone.';

export interface LocationWarningOptions {
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
    // rejects only because the server ends
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
