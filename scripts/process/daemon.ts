import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { identify, type ProcessIdentity } from './process-identity.ts';

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
