import { beforeEach, describe, expect, test } from 'bun:test';
import { Fault } from '../core/fault.ts';
import { ManualClock, settled } from '../testing/manual-clock.ts';
import { ApiServer } from './api-server.ts';
import { RestClient, type TokenRequest } from './client.ts';
import type { KubernetesToken, Pod } from './objects.ts';
import { ResourceVersionExpired, type WatchEvent } from './resource.ts';

const TOKEN_REQUEST: TokenRequest = {
  namespace: 'default',
  serviceAccountName: 'web',
  audience: '//iam.googleapis.com/provider',
  expirationSeconds: 600,
  boundObject: { kind: 'Pod', name: 'web-0', uid: 'uid-1' },
};

interface Sent {
  readonly url: string;
  readonly init: BunFetchRequestInit;
}

let clock: ManualClock;
let sent: Sent[];
let respond: (signal: AbortSignal | null | undefined) => Response | Promise<Response>;
let authentications: number;
let client: RestClient;

beforeEach(() => {
  clock = new ManualClock();
  sent = [];
  authentications = 0;
  const server = new ApiServer(
    {
      server: 'https://api.test',
      async authenticate() {
        authentications += 1;
        return { headers: { Authorization: `Bearer ${authentications}` }, tls: { ca: 'the CA' } };
      },
    },
    {
      sleep: clock.sleep,
      async fetch(url, init = {}) {
        sent.push({ url, init });
        return respond(init.signal);
      },
    },
  );
  client = new RestClient(server, { random: () => 0.5 });
});

function podJSON(name: string, resourceVersion = '7'): object {
  const metadata = {
    namespace: 'default',
    name,
    uid: `uid-${name}`,
    creationTimestamp: '2026-01-01T00:00:00Z',
  };
  return { metadata: { ...metadata, resourceVersion }, spec: { nodeName: 'node-1' }, status: {} };
}

function status(code: number, reason = 'Reason', kind?: string): Response {
  return Response.json({ kind: 'Status', code, reason, message: 'why', details: { kind } }, { status: code });
}

function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error = await errorOf(promise);
  return error instanceof Fault ? error.code : String(error);
}

async function watch(lines: readonly object[], version = '5'): Promise<WatchEvent<Pod>[]> {
  respond = () => new Response(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  const events: WatchEvent<Pod>[] = [];
  const { signal } = new AbortController();
  for await (const event of client.podsOfNode('node-1').watch(version, signal)) events.push(event);
  return events;
}

describe('a request', () => {
  test('is authenticated again, does not follow redirects and accepts JSON', async () => {
    respond = () => status(404, 'NotFound');
    await client.getServiceAccount('default', 'web');
    await client.getServiceAccount('default', 'web');
    expect(sent[1]?.init).toMatchObject({
      method: 'GET',
      headers: { Authorization: 'Bearer 2', accept: 'application/json' },
      tls: { ca: 'the CA' },
      redirect: 'manual',
    });
  });

  test('is given up after 10 s, also if only the body is late', async () => {
    for (const late of [
      () => new Promise<Response>(() => {}),
      () =>
        new Response(
          new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array([123])) }),
        ),
    ]) {
      respond = late;
      const outcome = codeOf(client.getServiceAccount('default', 'web'));
      await clock.advance(9999);
      expect(sent.at(-1)?.init.signal?.aborted).toBe(false);
      await clock.advance(1);
      expect(await outcome).toBe('kubernetes-unavailable');
      expect(sent.at(-1)?.init.signal?.aborted).toBe(true);
    }
  });

  test("ends with the caller's own reason when the caller gives up", async () => {
    respond = () => new Promise(() => {});
    const caller = new AbortController();
    const outcome = errorOf(client.getServiceAccount('default', 'web', caller.signal));
    await settled();
    const reason = new Error('gone');
    caller.abort(reason);
    expect(await outcome).toBe(reason);
  });

  test.each<[number, string, string]>([
    [401, 'Unauthorized', 'kubernetes-unavailable'],
    [403, 'Forbidden', 'kubernetes-forbidden'],
    [404, '', 'kubernetes-unavailable'],
    [422, 'Invalid', 'kubernetes-forbidden'],
    [429, 'TooManyRequests', 'kubernetes-unavailable'],
    [500, 'InternalError', 'kubernetes-unavailable'],
    [503, '', 'kubernetes-unavailable'],
    [302, '', 'kubernetes-unavailable'],
  ])('answered with %i %s is %s', async (code, reason, expected) => {
    respond = () => (reason === '' ? new Response('<html>', { status: code }) : status(code, reason));
    expect(await codeOf(client.podsOfNode('node-1').list())).toBe(expected as never);
    expect(await codeOf(client.getServiceAccount('default', 'web'))).toBe(expected);
    expect(await codeOf(client.createToken(TOKEN_REQUEST))).toBe(expected);
  });

  test('forbidden: the remedy names the verb and the resource', async () => {
    respond = () => status(403);
    const error = await errorOf(client.createToken(TOKEN_REQUEST));
    expect(error instanceof Fault && error.remedy).toContain('create on serviceaccounts/token');
  });

  test('the network fails: unavailable, with the cause', async () => {
    const cause = new TypeError('ECONNREFUSED');
    respond = () => Promise.reject(cause);
    const error = await errorOf(client.node('node-1').list());
    expect(error).toBeInstanceOf(Fault);
    expect(error).toMatchObject({ code: 'kubernetes-unavailable', cause });
  });
});

describe('list', () => {
  test("asks for this Node's Pods only, as new as there are", async () => {
    respond = () =>
      Response.json({ metadata: { resourceVersion: '9' }, items: [podJSON('a'), podJSON('b')] });
    const { items, resourceVersion } = await client.podsOfNode('node-1').list();
    expect([items.map((pod) => pod.name), resourceVersion]).toEqual([['a', 'b'], '9']);
    expect(sent[0]?.url).toBe('https://api.test/api/v1/pods?fieldSelector=spec.nodeName%3Dnode-1');
  });

  test('of the Node itself', async () => {
    respond = () => Response.json({ metadata: { resourceVersion: '9' }, items: null });
    expect(await client.node('node-1').list()).toEqual({ items: [], unreadable: [], resourceVersion: '9' });
    expect(sent[0]?.url).toBe('https://api.test/api/v1/nodes?fieldSelector=metadata.name%3Dnode-1');
  });

  test.each(['', 'null', '[]', '{}', '{"metadata":{"resourceVersion":"1"},"items":{}}', '<html>'])(
    'answered with %s is a clear error',
    async (body) => {
      respond = () => new Response(body);
      expect(await codeOf(client.podsOfNode('node-1').list())).toBe('kubernetes-unavailable');
    },
  );

  test('one that cannot be read is left out', async () => {
    const items = [podJSON('a'), { ...podJSON('x'), status: { podIPs: 'none' } }, 'nonsense', podJSON('b')];
    respond = () => Response.json({ metadata: { resourceVersion: '9' }, items });
    const listing = await client.podsOfNode('node-1').list();
    expect(listing.items.map((pod) => pod.name)).toEqual(['a', 'b']);
    expect(listing.unreadable?.map(({ uid, name }) => [uid, name])).toEqual([
      ['uid-x', 'default/x'],
      [undefined, ''],
    ]);
  });

  test('answered with 410: the version has expired', async () => {
    respond = () => status(410, 'Expired');
    expect(await errorOf(client.podsOfNode('node-1').list())).toBeInstanceOf(ResourceVersionExpired);
  });
});

describe('watch', () => {
  test('gives events and bookmarks, asked for from a version and for 5 to 10 minutes', async () => {
    const bookmark = { metadata: { resourceVersion: '12', creationTimestamp: null } };
    const events = await watch([
      { type: 'ADDED', object: podJSON('a', '10') },
      { type: 'MODIFIED', object: podJSON('a', '11') },
      { type: 'BOOKMARK', object: bookmark },
      { type: 'DELETED', object: podJSON('a', '13') },
    ]);
    const told = events.map((e) => [e.type, e.resourceVersion, 'object' in e ? e.object.name : '']);
    expect(told).toEqual([
      ['ADDED', '10', 'a'],
      ['MODIFIED', '11', 'a'],
      ['BOOKMARK', '12', ''],
      ['DELETED', '13', 'a'],
    ]);
    expect(Object.fromEntries(new URL(sent[0]?.url ?? '').searchParams)).toEqual({
      fieldSelector: 'spec.nodeName=node-1',
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: '5',
      timeoutSeconds: '450',
    });
    expect(sent[0]?.init.timeout).toBe(false);
  });

  test.each([410, 500, 504])('an ERROR event of code %i', async (code) => {
    const error = await errorOf(
      watch([{ type: 'ERROR', object: { kind: 'Status', code, reason: 'Expired' } }]),
    );
    expect(error instanceof ResourceVersionExpired).toBe(code === 410);
    expect(error instanceof Fault && error.code).toBe(code === 410 ? false : 'kubernetes-unavailable');
  });

  test.each([
    {},
    { type: 'SURPRISE' },
    { type: 'SURPRISE', object: podJSON('x', '11') },
    { type: 'ADDED' },
    { type: 'ADDED', object: { ...podJSON('x'), status: { podIPs: 'none' } } },
    { type: 'MODIFIED', object: { ...podJSON('x'), spec: [] } },
    { type: 'DELETED', object: 'x' },
    [[]],
    { type: 1 },
  ])('%j is left out, and the watch goes on', async (line) => {
    const events = await watch([line, { type: 'ADDED', object: podJSON('a', '12') }]);
    expect(events.map(({ type }) => type)).toEqual(['UNREADABLE', 'ADDED']);
    expect(events[0]).toMatchObject({ object: { cause: { code: 'kubernetes-unavailable' } } });
  });

  test('names what is left out as far as it is readable', async () => {
    const object = { ...podJSON('x', '11'), status: { podIPs: 'none' } };
    const [event] = await watch([{ type: 'MODIFIED', object }]);
    expect(event).toMatchObject({
      type: 'UNREADABLE',
      resourceVersion: '11',
      object: { uid: 'uid-x', name: 'default/x' },
    });
    const long = { metadata: { name: `a\n${'b'.repeat(100_000)}` } };
    const [other] = await watch([{ type: 'MODIFIED', object: long }]);
    expect(other?.type === 'UNREADABLE' && other.object.name.length < 400).toBe(true);
    expect(other?.type === 'UNREADABLE' && other.object.name.includes('\n')).toBe(false);
  });

  test('a bookmark without a version is a clear error', async () => {
    expect(await codeOf(watch([{ type: 'BOOKMARK', object: {} }]))).toBe('kubernetes-unavailable');
  });

  test.each([
    undefined,
    null,
    'text',
    [[]],
    {},
    { code: '410' },
    { message: 7 },
    { details: [], reason: {} },
  ])('an ERROR event about %j is a clear error', async (object) => {
    expect(await codeOf(watch([{ type: 'ERROR', object }]))).toBe('kubernetes-unavailable');
  });

  test('its beginning is given up after 10 s, its whole is not', async () => {
    respond = () => new Promise(() => {});
    const { signal } = new AbortController();
    const next = () => client.podsOfNode('node-1').watch('5', signal)[Symbol.asyncIterator]().next();
    const beginning = codeOf(next());
    await clock.advance(10_000);
    expect(await beginning).toBe('kubernetes-unavailable');
    expect(sent[0]?.init.signal?.aborted).toBe(true);

    respond = () =>
      new Response(new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array([32])) }));
    void next();
    await clock.advance(500_000);
    expect(sent[1]?.init.signal?.aborted).toBe(false);
  });
});

describe('createToken', () => {
  test('binds the token to the object, for one audience', async () => {
    const answer = { token: 'the-token', expirationTimestamp: '2026-01-01T00:10:00Z' };
    respond = () => Response.json({ status: answer }, { status: 201 });
    const { token, expiresAt }: KubernetesToken = await client.createToken(TOKEN_REQUEST);
    expect([token.reveal(), expiresAt]).toEqual(['the-token', Date.parse('2026-01-01T00:10:00Z')]);
    expect(sent[0]?.url).toBe('https://api.test/api/v1/namespaces/default/serviceaccounts/web/token');
    expect(JSON.parse(String(sent[0]?.init.body))).toEqual({
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: {
        audiences: ['//iam.googleapis.com/provider'],
        expirationSeconds: 600,
        boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: 'web-0', uid: 'uid-1' },
      },
    });
  });

  test.each<[number, string, string | undefined, string]>([
    [404, 'NotFound', 'serviceaccounts', 'service-account-missing'],
    [404, 'NotFound', 'pods', 'bound-object-gone'],
    [404, 'NotFound', 'nodes', 'bound-object-gone'],
    [409, 'Conflict', 'serviceaccounts/token', 'bound-object-gone'],
  ])('%i %s about %s is %s', async (code, reason, kind, expected) => {
    respond = () => status(code, reason, kind);
    expect(await codeOf(client.createToken(TOKEN_REQUEST))).toBe(expected);
  });

  test('what it cannot read shows no token', async () => {
    for (const body of ['{"status":{"token":"the-token"}}', 'the-token', '{"status":"the-token"']) {
      respond = () => new Response(body, { status: 201 });
      const error = await errorOf(client.createToken(TOKEN_REQUEST));
      expect(error).toBeInstanceOf(Fault);
      expect(Bun.inspect(error)).not.toContain('the-token');
    }
  });
});

describe('getServiceAccount', () => {
  test('returns it, or undefined if it does not exist', async () => {
    respond = () => Response.json({ metadata: { namespace: 'default', name: 'web', uid: 'u' } });
    expect((await client.getServiceAccount('default', 'web'))?.uid).toBe('u');
    expect(sent[0]?.url).toBe('https://api.test/api/v1/namespaces/default/serviceaccounts/web');
    respond = () => status(404, 'NotFound', 'serviceaccounts');
    expect(await client.getServiceAccount('default', 'web')).toBeUndefined();
  });
});
