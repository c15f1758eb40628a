import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { aloneTargets, requestTargets } from './benchmark/targets.ts';
import { run } from './run.ts';

const BENCH = join(import.meta.dir, 'bench');

test('--help says what is measured, and that no flag is needed', async () => {
  const { exitCode, stdout } = await run([BENCH, '--help']);
  expect(exitCode).toBe(0);
  expect(stdout).toContain('Usage: scripts/bench [options]');
  expect(stdout).toContain('--rounds');
});

test('a flag that does not exist is bad use', async () => {
  const { exitCode, stderr } = await run([BENCH, '--fast']);
  expect(exitCode).toBe(2);
  expect(stderr).toContain("unknown option '--fast'");
});

test('the throughput and latency of the cached token are held against the floor', () => {
  const figures = (requestsPerSecond: number, p99: number) => [
    {
      name: 'cached token' as const,
      halfLoad: 20_000,
      contenders: [
        {
          name: 'gke-metadata-server' as const,
          requestsPerSecond: 40_000,
          cpuMicroseconds: 20,
          p50: 0.2,
          p99: 1,
          ofFloor: { requestsPerSecond, cpuMicroseconds: 1.1, p50: 1, p99 },
        },
      ],
    },
  ];
  const reached = (requestsPerSecond: number, p99: number) =>
    requestTargets(figures(requestsPerSecond, p99)).map((target) => target.reached);
  expect(reached(0.85, 1.3)).toEqual([true, true]);
  expect(reached(0.84, 1.31)).toEqual([false, false]);
});

test('memory, a new scope and rest are held against their limits', () => {
  const memory = (total: number) => ({ total, anonymous: 10, file: total - 10 });
  const reached = (after: number, settledTwice: number, ours: number, requests: readonly string[]) =>
    aloneTargets({
      memory: {
        requests: 1_000_000,
        started: memory(40),
        before: memory(45),
        after: memory(50),
        settled: memory(48),
        afterTwice: memory(after),
        settledTwice: memory(settledTwice),
        peak: after,
      },
      newScope: { answer: 100 + ours, googleCall: 100, ours, googleCalls: 1 },
      rest: { seconds: 60, requests },
    }).map((target) => target.reached);
  expect(reached(60, 49, 5, ['watch pods', 'watch nodes'])).toEqual([true, true, true, true]);
  expect(reached(60.1, 50, 5.1, ['watch pods', 'get serviceaccounts'])).toEqual([false, false, false, false]);
});
