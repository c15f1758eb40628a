import { writeFile } from 'node:fs/promises';
import { formatTerminationMessage, TERMINATION_LOG } from '../kubernetes/pod-details.ts';
import type { Log } from '../telemetry/log.ts';

/** Why a container that the webhook added has failed. */
interface ContainerFailure {
  readonly code: string;
  readonly message: string;
  readonly remedy: string;
}

/** Says so in the log and in the termination message, which `kubectl describe pod` shows. Returns the exit code. */
export async function reportFailure(
  log: Log,
  { code, message: reason, remedy }: ContainerFailure,
  what: string,
): Promise<1> {
  log.error({ code, reason, remedy }, what);
  // outside a container the file does not exist, and the log has the same text
  await writeFile(TERMINATION_LOG, formatTerminationMessage({ reason, remedy }), { flag: 'r+' }).catch(
    () => {},
  );
  return 1;
}
