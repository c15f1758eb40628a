import { readFileSync } from 'node:fs';
import { runOrThrow } from '../run.ts';

/** The servers take turns on one core; what drives them has another. */
export const SERVER_CORE = '0';
export const LOAD_CORE = '1';

/** Resident memory in MiB, and its parts. */
export interface ResidentMemory {
  readonly total: number;
  /** Heaps and stacks: what the process keeps for itself. */
  readonly anonymous: number;
  /** Pages of the executable and its libraries: shared by all processes that run them, and dropped under pressure. */
  readonly file: number;
}

// USER_HZ: 100 on every Linux that Bun runs on
const TICKS_A_SECOND = 100;

/** User and system time of a process with all its threads, in seconds (proc(5), stat fields 14 and 15). */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // field 2 is the name in parentheses and may hold anything
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND;
}

export function residentMemory(pid: number): ResidentMemory {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const mebibytes = (field: string) =>
    Number(new RegExp(`^${field}: +([0-9]+) kB$`, 'm').exec(rollup)?.[1]) / 1024;
  const total = mebibytes('Rss');
  const anonymous = mebibytes('Anonymous');
  return { total, anonymous, file: total - anonymous };
}

/** The most a process ever had resident, in MiB. */
export function peakResidentMemory(pid: number): number {
  return Number(/^VmHWM:\s+([0-9]+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

/**
 * Has a file read from the disk again when it is next used, as after a restart of the Node. What has just been
 * written lies in memory in larger pieces, of which a program that runs it gets some 6 MB more mapped.
 */
export async function dropFromPageCache(file: string): Promise<void> {
  await runOrThrow(['sync', file]);
  await runOrThrow(['dd', `if=${file}`, 'iflag=nocache', 'count=0', 'status=none']);
}
