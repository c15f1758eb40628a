import { Fault } from '../core/fault.ts';

const NEWLINE = 10;

/**
 * The lines of a newline-delimited JSON stream, parsed; what stands after the last newline was cut off and is
 * dropped. Throws `kubernetes-unavailable` on a line that is no JSON or is longer than `mostBytes`.
 */
export async function* jsonLines(
  body: ReadableStream<Uint8Array>,
  mostBytes: number,
): AsyncGenerator<unknown, void, undefined> {
  let started: Uint8Array[] = [];
  let startedBytes = 0;
  for await (const chunk of body) {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, from)) {
      const line = Buffer.concat([...started, chunk.subarray(from, end)]);
      from = end + 1;
      started = [];
      startedBytes = 0;
      checkLength(line.length, mostBytes);
      if (line.length > 0) yield parse(line.toString());
    }
    if (from === chunk.length) continue;
    started.push(chunk.subarray(from));
    startedBytes += chunk.length - from;
    checkLength(startedBytes, mostBytes);
  }
}

function checkLength(bytes: number, mostBytes: number): void {
  if (bytes > mostBytes) throw broken(`a watch event is longer than ${mostBytes} bytes`);
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw broken('a watch event is not JSON', error);
  }
}

function broken(what: string, cause?: unknown): Fault {
  return new Fault('kubernetes-unavailable', `the API server's answer cannot be read: ${what}`, {
    remedy: 'Check that the configured server is a Kubernetes API server.',
    cause,
  });
}
