import type { Random } from '../core/effects.ts';
import { Fault } from '../core/fault.ts';
import { listPath } from './api-path.ts';
import {
  type ApiCall,
  ApiRefusal,
  type ApiServer,
  type ApiStatus,
  faultOf,
  parseStatus,
} from './api-server.ts';
import { Field } from './field.ts';
import { parseOrLeaveOut, parseResourceVersion, type Unreadable } from './objects.ts';

/** As client-go: the API server ends a watch after 5 to 10 minutes, each at its own time. */
const SHORTEST_WATCH_SECONDS = 300;
/** An object is at most 1.5 MiB in etcd; as JSON, whose escapes are longer, not more than this. */
const LONGEST_EVENT_BYTES = 8 * 1024 * 1024;
const NEWLINE = 10;

export type WatchEvent<T> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T; readonly resourceVersion: string }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string }
  | {
      readonly type: 'UNREADABLE';
      readonly object: Unreadable;
      /** Undefined if it cannot be read either. */
      readonly resourceVersion: string | undefined;
    };

export interface Listing<T> {
  readonly items: readonly T[];
  /** Objects that are left out. */
  readonly unreadable?: readonly Unreadable[];
  readonly resourceVersion: string;
}

/** One kind of object, narrowed to what this Node may see. */
export interface Resource<T> {
  list(signal?: AbortSignal): Promise<Listing<T>>;
  /**
   * Events after `resourceVersion`, until the API server ends the watch, which it does every few minutes.
   * Throws {@link ResourceVersionExpired} on 410 Gone (HTTP status or ERROR event), a Fault otherwise.
   */
  watch(resourceVersion: string, signal: AbortSignal): AsyncIterable<WatchEvent<T>>;
}

/** 410 Gone: the version has been compacted; list again. */
export class ResourceVersionExpired extends Error {}

/** Which objects: those of a resource whose `field` has the value `nodeName`. */
interface ResourceSelection<T> {
  readonly name: 'pods' | 'nodes';
  readonly field: 'spec.nodeName' | 'metadata.name';
  readonly nodeName: string;
  /** What the objects are called in messages. */
  readonly kind: string;
  readonly parse: (object: Field) => T;
}

/** {@link Resource} over HTTP. `random` spreads the ends of watches. */
export function restResource<T>(
  server: ApiServer,
  random: Random,
  { name, field, nodeName, kind, parse }: ResourceSelection<T>,
): Resource<T> {
  const path = (query: Record<string, string>) => listPath(name, field, nodeName, query);
  return {
    // No resourceVersion means the newest state: an older one could map an address to its previous Pod. API
    // servers serve it from memory since 1.31, by an index for these two selectors.
    async list(signal) {
      const call: ApiCall = { verb: 'list', resource: name, path: path({}) };
      const listing = new Field(await understood(server.json(call, signal)), `${kind}List`);
      const parsed = listing
        .at('items')
        .items()
        .map((item) => parseOrLeaveOut(item, parse));
      return {
        items: parsed.flatMap((one) => ('read' in one ? [one.read] : [])),
        unreadable: parsed.flatMap((one) => ('unreadable' in one ? [one.unreadable] : [])),
        resourceVersion: parseResourceVersion(listing),
      } satisfies Listing<T>;
    },
    async *watch(resourceVersion, signal) {
      const timeoutSeconds = Math.floor(SHORTEST_WATCH_SECONDS * (1 + random()));
      const query = { watch: 'true', allowWatchBookmarks: 'true', timeoutSeconds: `${timeoutSeconds}` };
      const call: ApiCall = { verb: 'watch', resource: name, path: path({ ...query, resourceVersion }) };
      const body = await understood(server.stream(call, signal));
      try {
        for await (const line of jsonLines(body, LONGEST_EVENT_BYTES)) {
          yield parseEvent(new Field(line, `${kind} event`), call, parse);
        }
      } catch (error) {
        signal.throwIfAborted();
        throw error instanceof Fault || error instanceof ResourceVersionExpired ? error : broken(name, error);
      }
    },
  };
}

/**
 * An event with an unreadable object or an unknown type becomes UNREADABLE: if it were thrown, the watch would resume and
 * receive it again. A bookmark without a version ends the watch.
 */
function parseEvent<T>(event: Field, call: ApiCall, parse: (object: Field) => T): WatchEvent<T> {
  const type = event.at('type').textIfAny();
  const object = event.at('object');
  switch (type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED': {
      const parsed = parseOrLeaveOut(object, (readable) => ({
        type,
        object: parse(readable),
        resourceVersion: parseResourceVersion(readable),
      }));
      return 'read' in parsed ? parsed.read : unreadable(object, parsed.unreadable);
    }
    case 'BOOKMARK':
      return { type, resourceVersion: parseResourceVersion(object) };
    case 'ERROR':
      throw understand(new ApiRefusal(call, parseErrorEvent(object)));
    default: {
      const cause = broken(call.resource, new Error('unknown event type'));
      return unreadable(object, { uid: undefined, name: '', cause });
    }
  }
}

function unreadable(object: Field, what: Unreadable): WatchEvent<never> {
  const resourceVersion = object.at('metadata').at('resourceVersion').textIfAny();
  return { type: 'UNREADABLE', object: what, resourceVersion };
}

/** The Status of an ERROR event, or a generic one if it has another form. */
function parseErrorEvent(object: Field): ApiStatus {
  try {
    return parseStatus(object, 500);
  } catch {
    return { code: 500, reason: '', message: 'unknown error', kind: '' };
  }
}

async function understood<T>(response: Promise<T>): Promise<T> {
  try {
    return await response;
  } catch (error) {
    throw error instanceof ApiRefusal ? understand(error) : error;
  }
}

function understand(refusal: ApiRefusal): Error {
  if (refusal.status.code !== 410) return faultOf(refusal);
  return new ResourceVersionExpired(refusal.message, { cause: refusal });
}

function broken(resource: string, cause: unknown): Fault {
  return new Fault('kubernetes-unavailable', `cannot continue the watch of ${resource}`, {
    remedy: 'The watch will resume. Check the API server and any proxy in front of it.',
    cause,
  });
}

/**
 * The parsed lines of a newline-delimited JSON stream. Bytes after the last newline are dropped. Throws
 * `kubernetes-unavailable` on a line that is not JSON or is longer than `mostBytes`.
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
      if (line.length > 0) yield parseLine(line.toString());
    }
    if (from === chunk.length) continue;
    started.push(chunk.subarray(from));
    startedBytes += chunk.length - from;
    checkLength(startedBytes, mostBytes);
  }
}

function checkLength(bytes: number, mostBytes: number): void {
  if (bytes > mostBytes) throw unreadableStream(`a watch event is longer than ${mostBytes} bytes`);
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw unreadableStream('a watch event is not JSON', error);
  }
}

function unreadableStream(what: string, cause?: unknown): Fault {
  return new Fault('kubernetes-unavailable', `cannot read the API server's response: ${what}`, {
    remedy: 'Check that the configured server is a Kubernetes API server.',
    cause,
  });
}
