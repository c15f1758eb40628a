/** Where the kubelet lets a container leave its last words, unless its specification names another file. */
export const TERMINATION_LOG = '/dev/termination-log';

/** Why a container of ours failed, and what to do about it. */
export interface TerminationMessage {
  readonly reason: string;
  readonly remedy: string;
}

const REMEDY = '\nRemedy: ';

/** The two lines that `kubectl describe pod` shows. The kubelet keeps 4096 bytes. */
export function formatTerminationMessage({ reason, remedy }: TerminationMessage): string {
  const line = (text: string) => text.replaceAll(/\s+/g, ' ').trim().slice(0, 1500);
  return `${line(reason)}${REMEDY}${line(remedy)}\n`;
}

/** Undefined if the message is not one of {@link formatTerminationMessage}. */
export function parseTerminationMessage(message: string): TerminationMessage | undefined {
  const [reason = '', remedy, ...others] = message.trimEnd().split(REMEDY);
  return remedy === undefined || others.length > 0 ? undefined : { reason, remedy };
}
