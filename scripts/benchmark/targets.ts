import type { AloneFigures } from './alone.ts';
import type { CaseFigures } from './rounds.ts';

/** A figure that this project promises, and whether this run saw it. */
export interface Target {
  readonly name: string;
  readonly wanted: string;
  readonly seen: string;
  readonly reached: boolean;
}

// a page cache that comes and goes moves resident memory by about so much, in MiB
const FLAT = 1.5;
// the renewals of these two are all that a Node at rest asks for
const WATCHES: readonly string[] = ['watch pods', 'watch nodes'];

export function requestTargets(cases: readonly CaseFigures[]): readonly Target[] {
  const token = cases.find(({ name }) => name === 'cached token');
  const ours = token?.contenders.find(({ name }) => name === 'gke-metadata-server');
  if (ours === undefined) return [];
  const { p99 } = ours.ofFloor;
  return [
    ...cases.flatMap(({ name, contenders }) => {
      const ofFloor = contenders.find((contender) => contender.name === 'gke-metadata-server')?.ofFloor;
      const least = name === 'recursive listing' ? 0.5 : 0.85;
      const seen = ofFloor?.requestsPerSecond ?? 0;
      return target(`${name}: throughput of the floor`, `at least ${least}`, seen.toFixed(2), seen >= least);
    }),
    target("cached token: p99 of the floor's", 'at most 1.30', p99.toFixed(2), p99 <= 1.3),
  ];
}

export function aloneTargets({ memory, newScope, rest }: AloneFigures): readonly Target[] {
  const most = Math.max(memory.after.total, memory.afterTwice.total);
  const growth = memory.settledTwice.total - memory.settled.total;
  const others = rest.requests.filter((request) => !WATCHES.includes(request));
  return [
    target('resident memory after the load, MiB', 'at most 60', most.toFixed(1), most <= 60),
    target('growth over as many requests again, MiB', 'none (1.5)', growth.toFixed(1), growth <= FLAT),
    target(
      'a new scope beyond one Google call, ms',
      'at most 5',
      newScope.ours.toFixed(1),
      newScope.ours <= 5,
    ),
    target(
      `API requests in ${rest.seconds} s at rest but watches`,
      '0',
      `${others.length}`,
      others.length === 0,
    ),
  ];
}

function target(name: string, wanted: string, seen: string, reached: boolean): Target {
  return { name, wanted, seen, reached };
}
