import { join } from 'node:path';
import type { Case, Contender, ContenderName } from './contenders.ts';
import { pace, saturate } from './load.ts';
import { cpuSeconds } from './machine.ts';
import { median, percentile, ratioOfPairs } from './statistics.ts';

/** What each round gave, in order. */
interface Runs {
  readonly requestsPerSecond: number[];
  readonly cpuMicroseconds: number[];
  readonly p50: number[];
  readonly p99: number[];
}

/** One server in one case: medians over the rounds. */
interface ContenderFigures {
  readonly name: ContenderName;
  readonly requestsPerSecond: number;
  /** Server CPU a request, user and system. */
  readonly cpuMicroseconds: number;
  /** At half the load that the floor can take, in milliseconds. */
  readonly p50: number;
  readonly p99: number;
  /** Against the floor, each run against the floor's in the same round. */
  readonly ofFloor: {
    readonly requestsPerSecond: number;
    readonly cpuMicroseconds: number;
    readonly p50: number;
    readonly p99: number;
  };
}

export interface CaseFigures {
  readonly name: Case['name'];
  /** Requests a second at which latencies were measured. */
  readonly halfLoad: number;
  readonly contenders: readonly ContenderFigures[];
}

interface RoundOptions {
  readonly rounds: number;
  /** Of each run. */
  readonly seconds: number;
  readonly folder: string;
  readonly progress: (text: string) => void;
}

/**
 * Throughput, then latency at half load, of each server in turn, round by round: what disturbs the machine for longer
 * than a run disturbs them all.
 */
export async function measureCase(
  measured: Case,
  contenders: readonly Contender[],
  { rounds, seconds, folder, progress }: RoundOptions,
): Promise<CaseFigures> {
  const runs = new Map<Contender, Runs>();
  for (const contender of contenders) {
    runs.set(contender, { requestsPerSecond: [], cpuMicroseconds: [], p50: [], p99: [] });
    // until the code is compiled
    await saturate(contender.target, 2);
  }
  for (let round = 1; round <= rounds; round++) {
    progress(`${measured.name}: throughput, round ${round} of ${rounds}`);
    for (const [{ target, pid }, run] of runs) {
      const before = cpuSeconds(pid);
      const requests = await saturate(target, seconds);
      run.requestsPerSecond.push(requests / seconds);
      run.cpuMicroseconds.push(((cpuSeconds(pid) - before) / requests) * 1e6);
    }
  }
  const floor = runsOf(runs, 'floor');
  const halfLoad = Math.round(median(floor.requestsPerSecond) / 2);
  for (let round = 1; round <= rounds; round++) {
    progress(`${measured.name}: latency at ${halfLoad} requests/s, round ${round} of ${rounds}`);
    for (const [{ target }, run] of runs) {
      const latencies = await pace(target, halfLoad, seconds, join(folder, 'latencies.tsv'));
      run.p50.push(percentile(latencies, 50));
      run.p99.push(percentile(latencies, 99));
    }
  }
  return {
    name: measured.name,
    halfLoad,
    contenders: contenders.map(({ name }) => figures(name, runsOf(runs, name), floor)),
  };
}

function runsOf(runs: ReadonlyMap<Contender, Runs>, wanted: ContenderName): Runs {
  for (const [{ name }, run] of runs) if (name === wanted) return run;
  throw new Error(`${wanted} is not among the servers`);
}

function figures(name: ContenderName, runs: Runs, floor: Runs): ContenderFigures {
  return {
    name,
    requestsPerSecond: median(runs.requestsPerSecond),
    cpuMicroseconds: median(runs.cpuMicroseconds),
    p50: median(runs.p50),
    p99: median(runs.p99),
    ofFloor: {
      requestsPerSecond: ratioOfPairs(runs.requestsPerSecond, floor.requestsPerSecond),
      cpuMicroseconds: ratioOfPairs(runs.cpuMicroseconds, floor.cpuMicroseconds),
      p50: ratioOfPairs(runs.p50, floor.p50),
      p99: ratioOfPairs(runs.p99, floor.p99),
    },
  };
}
