import type { AloneFigures } from './alone.ts';
import type { ResidentMemory } from './machine.ts';
import type { CaseFigures } from './rounds.ts';
import type { Target } from './targets.ts';

/** Everything one run of the benchmark saw; what is left out was not asked for. */
export interface Figures {
  readonly machine: string;
  /** Load average of the minute before the start: above 0 something else took time, too. */
  readonly busy: number;
  readonly bun: string;
  readonly nginx: 'measured' | 'not run: it is not installed';
  readonly cases?: readonly CaseFigures[];
  readonly alone?: AloneFigures;
  readonly targets: readonly Target[];
}

/** The figures for a person, as Markdown tables. */
export function report({ machine, busy, bun, nginx, cases = [], alone, targets }: Figures): string {
  const sections = [
    `${machine}, load average ${busy.toFixed(1)} before the start, Bun ${bun}; nginx ${nginx}`,
    ...cases.map(caseTable),
    ...(alone === undefined ? [] : [aloneTable(alone)]),
    table(
      ['target', 'wanted', 'seen', ''],
      targets.map(({ name, wanted, seen, reached }) => [
        name,
        wanted,
        seen,
        reached ? 'reached' : 'not reached',
      ]),
    ),
  ];
  return sections.join('\n\n');
}

function caseTable({ name, halfLoad, contenders }: CaseFigures): string {
  const rows = contenders.map(
    ({ name: contender, requestsPerSecond, cpuMicroseconds, p50, p99, ofFloor }) => [
      contender,
      `${requestsPerSecond.toFixed(0)} (${ofFloor.requestsPerSecond.toFixed(2)})`,
      `${cpuMicroseconds.toFixed(1)} (${ofFloor.cpuMicroseconds.toFixed(2)})`,
      `${p50.toFixed(2)} (${ofFloor.p50.toFixed(2)})`,
      `${p99.toFixed(2)} (${ofFloor.p99.toFixed(2)})`,
    ],
  );
  const latency = (percentile: string) => `${percentile} at ${halfLoad}/s, ms (of the floor's)`;
  const header = [
    name,
    'requests/s (of the floor)',
    "server CPU a request, µs (of the floor's)",
    latency('p50'),
    latency('p99'),
  ];
  return table(header, rows);
}

function aloneTable({ memory, newScope, rest }: AloneFigures): string {
  const { requests, started, before, after, settled, afterTwice, settledTwice, peak } = memory;
  const resident = ({ total, anonymous, file }: ResidentMemory) =>
    `${total.toFixed(1)} (${anonymous.toFixed(1)} anonymous, ${file.toFixed(1)} file)`;
  return table(
    ['gke-metadata-server alone', ''],
    [
      ['resident, MiB: started', resident(started)],
      ['… 110 Pods have their token', resident(before)],
      [`… after ${requests} requests`, resident(after)],
      ['… half a minute later', resident(settled)],
      [`… after ${requests} requests more`, resident(afterTwice)],
      ['… half a minute later', resident(settledTwice)],
      ['… at its peak', peak.toFixed(1)],
      [
        'new scope, Google at 100 ms',
        `${newScope.answer.toFixed(1)} ms, one Google call ${newScope.googleCall.toFixed(1)} ms; calls: ${newScope.googleCalls}`,
      ],
      [`API requests in ${rest.seconds} s at rest`, rest.requests.join(', ') || 'none'],
    ],
  );
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((cell, column) =>
    Math.max(cell.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`;
  return [line(header), rule, ...rows.map(line)].join('\n');
}
