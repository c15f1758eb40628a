import { spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';

/** A process that no recycled pid can be mistaken for, on this boot or a later one. */
export interface ProcessIdentity {
  readonly pid: number;
  /** The boot's id and the process's start in clock ticks since then (proc(5), stat field 22). */
  readonly started: string;
}

/** Undefined if there is no such process, or only a zombie that nobody has waited for yet. */
export function identify(pid: number): ProcessIdentity | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // field 2 is the name in parentheses and may hold anything; field 3 follows the last ')'
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, startTicks] = [fields[0], fields[19]];
  if (startTicks === undefined || state === 'X' || (state === 'Z' && !hasThreads(pid))) return undefined;
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return { pid, started: `${boot}/${startTicks}` };
}

/** A zombie's other threads may still be at work, such as on files, for a moment after it is killed. */
function hasThreads(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).length > 1;
  } catch {
    return false;
  }
}

export function isRunning(identity: ProcessIdentity): boolean {
  return identify(identity.pid)?.started === identity.started;
}

/** SIGTERM, at most `patience` milliseconds, then SIGKILL; returns once it is gone. Touches no other process. */
export async function end(identity: ProcessIdentity, patience: number): Promise<void> {
  if (!isRunning(identity)) return;
  if (patience > 0) {
    process.kill(identity.pid, 'SIGTERM');
    for (let waited = 0; waited < patience && isRunning(identity); waited += 20) await Bun.sleep(20);
  }
  if (isRunning(identity)) process.kill(identity.pid, 'SIGKILL');
  while (isRunning(identity)) await Bun.sleep(10);
}

/** Starts a program that outlives this one, in a session of its own, its output appended to `log`. */
export async function startDaemon(command: readonly string[], log: string): Promise<ProcessIdentity> {
  const [program, ...args] = command;
  if (program === undefined) throw new Error('startDaemon: the command is empty');
  const output = openSync(log, 'a', 0o600);
  try {
    const child = spawn(program, args, { detached: true, stdio: ['ignore', output, output] });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    child.unref();
    const identity = child.pid === undefined ? undefined : identify(child.pid);
    if (!identity) throw new Error(`${program} ended at once; its log: ${log}`);
    return identity;
  } finally {
    closeSync(output);
  }
}
