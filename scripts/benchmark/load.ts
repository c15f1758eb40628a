import { readFileSync, rmSync } from 'node:fs';
import { runOrThrow } from '../run.ts';
import { LOAD_CORE } from './machine.ts';

/** What is asked for, of one of the servers. */
export interface Target {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

const CONNECTIONS = 32;

/** As many requests as are answered in so many seconds, over 32 connections; returns how many they were. */
export async function saturate(target: Target, seconds: number): Promise<number> {
  return requestsOf(await h2load(target, [`--clients=${CONNECTIONS}`, `--duration=${seconds}`]));
}

/** Exactly so many requests. */
export async function send(target: Target, requests: number): Promise<void> {
  await h2load(target, [`--clients=${Math.min(CONNECTIONS, requests)}`, `--requests=${requests}`]);
}

/** Requests at a constant rate over 32 connections: the milliseconds of each. `logFile` is overwritten. */
export async function pace(
  target: Target,
  rate: number,
  seconds: number,
  logFile: string,
): Promise<Float64Array> {
  // h2load appends
  rmSync(logFile, { force: true });
  const pacing = [`--rps=${rate / CONNECTIONS}`, `--duration=${seconds}`, `--log-file=${logFile}`];
  await h2load(target, [`--clients=${CONNECTIONS}`, ...pacing]);
  const lines = readFileSync(logFile, 'utf8').trimEnd().split('\n');
  // start, status and duration, in microseconds
  return Float64Array.from(lines, (line) => Number(line.split('\t')[2]) / 1000);
}

/** One thread of h2load on the load's core. Throws if any answer is not 2xx. */
async function h2load(target: Target, options: readonly string[]): Promise<string> {
  const headers = Object.entries(target.headers).map(([name, value]) => `--header=${name}: ${value}`);
  const client = ['taskset', '-c', LOAD_CORE, 'h2load', '--h1', '--threads=1'];
  const output = await runOrThrow([...client, ...options, ...headers, target.url]);
  const { failed, errored, timeout } =
    /(?<failed>\d+) failed, (?<errored>\d+) errored, (?<timeout>\d+) timeout/.exec(output)?.groups ?? {};
  const others = /status codes: \d+ 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx/.exec(output)?.slice(1);
  if ([failed, errored, timeout, ...(others ?? ['?'])].some((count) => count !== '0')) {
    throw new Error(`${target.url} did not answer every request with 2xx:\n${output}`);
  }
  return output;
}

function requestsOf(output: string): number {
  return Number(/(\d+) succeeded/.exec(output)?.[1]);
}
