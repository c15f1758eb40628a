import { connect } from 'node:net';
import type { Sleep } from '../core/effects.ts';
import { Fault } from '../core/fault.ts';
import { printable } from '../core/printable.ts';

/** Where a server says which instance of this project it belongs to. */
export const INSTANCE_PATH = '/.well-known/gke-metadata-server';

const PATIENCE = 2000;
/** A server that is just ending resets connections: then it is asked again, or is gone. */
const ATTEMPTS = 3;
const PAUSE = 300;
const LONGEST_ANSWER = 2048;

/**
 * Makes sure that whoever listens on the port is an earlier server of the same instance, which is to be taken over
 * from, or nobody. The port is shared (`reusePort`), so that any process of the same user could share it: the Pods
 * would be answered by one in turn. Throws `setting-invalid`. `flag` is the one that sets the port.
 */
export async function requireOwnPort(
  port: number,
  flag: string,
  instance: string,
  sleep: Sleep,
): Promise<void> {
  if (port === 0) return;
  for (let attempt = 1; ; attempt++) {
    const answer = await ask(port);
    if (answer === 'nobody' || answer === instance) return;
    if (answer === undefined && attempt < ATTEMPTS) {
      await sleep(PAUSE);
      continue;
    }
    if (answer === undefined) {
      throw new Fault('setting-invalid', `cannot listen on port ${port}: another program has it`, {
        remedy: `End that program, or choose another port with ${flag}.`,
      });
    }
    const other = printable(answer, 300);
    throw new Fault('setting-invalid', `cannot listen on port ${port}: the instance ${other} has it`, {
      remedy:
        `This is ${instance}, and a Node runs one instance. Uninstall one of the two, give them different Nodes ` +
        `(nodeSelector), or choose another port with ${flag}.`,
    });
  }
}

/** The instance that listens, `nobody`, or undefined if it is not one of this project, or does not say. */
function ask(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    let received = '';
    // not by fetch, which a proxy of the environment would be asked through
    const socket = connect({ port, host: '127.0.0.1', timeout: PATIENCE });
    const end = (answer: string | undefined) => {
      socket.destroy();
      resolve(answer);
    };
    socket.on('connect', () => {
      socket.write(`GET ${INSTANCE_PATH} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    });
    socket.on('data', (data) => {
      received += data;
      if (received.length > LONGEST_ANSWER) end(undefined);
    });
    socket.on('close', () => end(/^HTTP\/1\.1 200 [\s\S]*?\r\n\r\n(.+)\n$/.exec(received)?.[1]));
    socket.on('timeout', () => end(undefined));
    socket.on('error', ({ code }: NodeJS.ErrnoException) =>
      end(code === 'ECONNREFUSED' ? 'nobody' : undefined),
    );
  });
}
