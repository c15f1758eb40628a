import { expect, test } from 'bun:test';
import { connect } from 'node:net';
import { type Carrier, socketPeer } from '../metadata/routes.ts';
import { ACCESS_TOKEN, FakeMetadata, fault, PEER } from '../testing/fake-metadata.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { type App, drain, listen } from './listener.ts';

const V1 = '/computeMetadata/v1/';
const TOKEN = `${V1}instance/service-accounts/default/token`;

/** A server on a real socket, and raw exchanges with it. */
class Listening implements AsyncDisposable {
  readonly metadata = new FakeMetadata();
  readonly clock = new ManualClock();
  readonly peers: (string | undefined)[] = [];
  readonly server = listen(
    this.metadata.app(
      {},
      {
        effects: this.clock,
        peerOf: (request: Request, server: Carrier) => {
          this.peers.push(socketPeer(request, server));
          return PEER;
        },
      },
    ),
    0,
  );

  constructor() {
    const expiresAt = this.clock.now() + 3600_000;
    this.metadata.token = { ...this.metadata.token, expiresAt };
  }

  /** The raw response to a request of these lines, on a new connection. */
  raw(...lines: string[]): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.server.port ?? 0, '127.0.0.1');
      let received = '';
      socket.on('data', (data) => {
        received += data;
      });
      socket.on('close', () => resolve(received));
      socket.on('error', reject);
      socket.write([...lines, 'Connection: close', '', ''].join('\r\n'));
    });
  }

  fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = { 'Metadata-Flavor': 'Google' };
    return fetch(`http://127.0.0.1:${this.server.port}${path}`, { headers, redirect: 'manual', ...init });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.stop(true);
  }
}

/** Status, headers in lower case, body. */
function parsed(raw: string): [string, Map<string, string>, string] {
  const [head = '', ...body] = raw.split('\r\n\r\n');
  const [status = '', ...fields] = head.split('\r\n');
  const headers = fields.map((field) => field.split(': ', 2) as [string, string]);
  return [
    status,
    new Map(headers.map(([name, value]) => [name.toLowerCase(), value])),
    body.join('\r\n\r\n'),
  ];
}

const FLAVOR = 'Metadata-Flavor: Google';

test.each([
  [200, TOKEN, FLAVOR],
  [200, `${TOKEN}?scopes=`, FLAVOR],
  [200, `${V1}instance/`, FLAVOR],
  [200, `${V1}?recursive=true`, FLAVOR],
  [200, '/', 'Accept: */*'],
  [301, `${V1.slice(0, -1)}?recursive=true`, FLAVOR],
  [301, `${V1}instance/service-accounts/default`, FLAVOR],
  [400, `${V1}instance/service-accounts/default/identity`, FLAVOR],
  [403, TOKEN, 'Accept: */*'],
  [403, TOKEN, `${FLAVOR}\r\nX-Forwarded-For: 1.2.3.4`],
  [404, `${V1}instance/nothing`, FLAVOR],
  [404, `${V1}instance/%00`, FLAVOR],
  [404, `${V1}%zz`, FLAVOR],
  [404, `/${V1}`, FLAVOR],
])(
  '%i %s: flavor, server and Content-Length by GET; the same headers and no body by HEAD',
  async (status, path, header) => {
    await using listening = new Listening();
    const [line, headers, body] = parsed(
      await listening.raw(`GET ${path} HTTP/1.1`, 'Host: metadata', header),
    );
    expect(line).toStartWith(`HTTP/1.1 ${status} `);
    expect(headers.get('metadata-flavor')).toBe('Google');
    expect(headers.get('server')).toBe('GKE Metadata Server');
    expect(headers.get('content-length')).toBe(String(Buffer.byteLength(body)));

    const [headLine, headHeaders, headBody] = parsed(
      await listening.raw(`HEAD ${path} HTTP/1.1`, 'Host: metadata', header),
    );
    headers.delete('date');
    headHeaders.delete('date');
    expect([headLine, headBody]).toEqual([line, '']);
    expect(Object.fromEntries(headHeaders)).toEqual(Object.fromEntries(headers));
  },
);

test('a cached default token is answered at once, with what is left of it, and counted', async () => {
  await using listening = new Listening();
  const { metadata, clock } = listening;
  for (const [passed, left] of [
    [0, 3600],
    [1500, 3598],
    [400, 3598],
    [200, 3597],
  ] as const) {
    await clock.advance(passed);
    const response = await listening.fetch(TOKEN);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('application/json');
    expect(response.headers.get('metadata-flavor')).toBe('Google');
    expect(await response.json()).toEqual({
      access_token: ACCESS_TOKEN,
      expires_in: left,
      token_type: 'Bearer',
    });
  }
  expect(metadata.scopesAsked).toEqual([]);
  const template = TOKEN.replace('default', ':account');
  const counts = [...metadata.metrics.route(template).counts()];
  expect(counts).toEqual([{ method: 'GET', status: 200, requests: 4 }]);
});

test('the way of the cached default token gives nothing to who may not have it', async () => {
  await using listening = new Listening();
  const { metadata } = listening;
  const unflavored = await listening.fetch(TOKEN, { headers: {} });
  expect([unflavored.status, await unflavored.text()]).toEqual([
    403,
    'Missing required header "Metadata-Flavor": "Google"',
  ]);
  const headers = { 'Metadata-Flavor': 'Google', 'X-Forwarded-For': '10.0.0.1' };
  expect((await listening.fetch(TOKEN, { headers })).status).toBe(403);
  expect((await listening.fetch(`${TOKEN}?scopes=a`)).status).toBe(200);
  expect(metadata.scopesAsked).toEqual(['a']);
  metadata.callerFailure = fault('caller-unknown');
  expect((await listening.fetch(TOKEN)).status).toBe(404);
});

test.each([
  ['another name', TOKEN, ['Host: evil.example']],
  ['another name and port', TOKEN, ['Host: evil.example:16321']],
  ['two Hosts, the first right', TOKEN, ['Host: metadata', 'Host: evil.example']],
  ['two Hosts, the second right', TOKEN, ['Host: evil.example', 'Host: metadata']],
  ['an absolute target', `http://evil.example${TOKEN}`, ['Host: evil.example']],
  ['an absolute target that is right', `http://metadata${TOKEN}`, ['Host: evil.example']],
  ['a known name as user', TOKEN, ['Host: metadata@evil.example']],
  ['a known name as prefix', TOKEN, ['Host: metadata.evil.example']],
])('%s: 403 in every way to the token, and to the rest', async (_, target, hosts) => {
  await using listening = new Listening();
  for (const query of ['', '?scopes=a', '?alt=json']) {
    for (const version of ['1.0', '1.1']) {
      const request = [`GET ${target}${query} HTTP/${version}`, ...hosts, FLAVOR];
      const [line, headers, body] = parsed(await listening.raw(...request));
      expect(line).toBe('HTTP/1.1 403 Forbidden');
      expect(headers.get('metadata-flavor')).toBe('Google');
      expect(body).toBe(
        "Requests whose Host is another server's are refused. " +
          'Use metadata.google.internal, metadata, localhost or an IP address.\n',
      );
    }
  }
  const root = target.replace(TOKEN, '/');
  expect(await listening.raw(`GET ${root} HTTP/1.1`, ...hosts)).toStartWith('HTTP/1.1 403 ');
});

test.each([
  ['no Host, in HTTP/1.0', TOKEN, '1.0', []],
  ['the name', TOKEN, '1.1', ['Host: metadata.google.internal']],
  ['in capitals, with dot and port', TOKEN, '1.1', ['Host: Metadata.Google.Internal.:80']],
  ['the address', TOKEN, '1.1', ['Host: 169.254.169.254']],
  ["a Node's address", TOKEN, '1.1', ['Host: [fd00::1]:16321']],
  ['an absolute target', `http://metadata${TOKEN}`, '1.1', ['Host: metadata']],
])('%s: the token', async (_, target, version, hosts) => {
  await using listening = new Listening();
  for (const query of ['', '?scopes=']) {
    const answer = await listening.raw(`GET ${target}${query} HTTP/${version}`, ...hosts, FLAVOR);
    expect(answer).toStartWith('HTTP/1.1 200 ');
    expect(answer).toContain(ACCESS_TOKEN);
  }
});

test('other methods are 405 on a socket too, with every header', async () => {
  await using listening = new Listening();
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE']) {
    const [line, headers, body] = parsed(
      await listening.raw(`${method} ${TOKEN} HTTP/1.1`, 'Host: metadata', FLAVOR),
    );
    expect(line).toStartWith('HTTP/1.1 405 ');
    expect([headers.get('allow'), headers.get('metadata-flavor')]).toEqual(['GET, HEAD', 'Google']);
    expect(headers.get('content-length')).toBe(String(Buffer.byteLength(body)));
  }
});

test('what no client sends does no harm', async () => {
  await using listening = new Listening();
  for (const request of [
    ['GET /a HTTP/1.0'],
    ['GET * HTTP/1.1', 'Host: metadata'],
    ['CONNECT m:80 HTTP/1.1', 'Host: metadata'],
    ['INVENTED / HTTP/1.1', 'Host: metadata'],
    ['GET / HTTP/1.1'],
    [`GET /${'a'.repeat(100_000)} HTTP/1.1`, 'Host: metadata'],
    [`GET ${TOKEN} HTTP/1.1`, 'Host: ?@#', FLAVOR, 'X-Forwarded-For:'],
    ['POST / HTTP/1.1', 'Host: metadata', 'Content-Length: 1000000000'],
  ]) {
    const answer = await listening.raw(...request).catch(() => '');
    expect(answer).not.toMatch(/^HTTP\/1.1 (?:2|5)|ya29/);
  }
  expect((await listening.fetch(TOKEN)).status).toBe(200);
});

test('the peer is who the socket says, and HTTP/1.0 without a Host is answered', async () => {
  await using listening = new Listening();
  const [line, , body] = parsed(await listening.raw(`GET ${V1}project/project-id HTTP/1.0`, FLAVOR));
  expect([line, body]).toEqual(['HTTP/1.1 200 OK', 'my-project']);
  expect(listening.peers).toEqual(['::ffff:127.0.0.1']);
});

test('a client that goes while it waits leaves nothing behind', async () => {
  await using listening = new Listening();
  const client = new AbortController();
  const path = `${V1}instance/id?wait_for_change=true`;
  const waiting = listening.fetch(path, { signal: client.signal }).catch(() => 'gone');
  await until(() => listening.clock.sleepers === 1);
  client.abort();
  expect(await waiting).toBe('gone');
  await until(() => listening.clock.sleepers === 0);
});

test('draining: answers say close, waiting requests end, then nothing listens', async () => {
  await using listening = new Listening();
  const { metadata, server } = listening;
  expect((await listening.fetch(TOKEN)).headers.get('connection')).not.toBe('close');
  const waiting = listening.fetch(`${V1}instance/id?wait_for_change=true`);
  await until(() => listening.clock.sleepers === 1);
  const { port } = server;
  let responses: Response[] = [];
  await drain(server, metadata.draining, async (_, signal) => {
    // the limit of the stop that follows, which is not reached
    if (signal !== undefined) return new Promise(() => {});
    responses = await Promise.all([listening.fetch(TOKEN), listening.fetch('/nothing')]);
  });
  expect(responses.map(({ status, headers }) => [status, headers.get('connection')])).toEqual([
    [200, 'close'],
    [404, 'close'],
  ]);
  expect((await waiting).status).toBe(200);
  await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow();
});

test('the next version may listen on the port before this one ends', async () => {
  await using listening = new Listening();
  const next = listen(new FakeMetadata().app(), listening.server.port ?? 0);
  expect(next.port).toBe(listening.server.port);
  await next.stop(true);
});

test('listens on IPv4 if the Node does not have IPv6; if neither works, the first error is thrown', () => {
  const attempts: string[] = [];
  const refusing = (works: string): App => ({
    server: { port: 1 } as App['server'],
    listen: ({ hostname }) => {
      attempts.push(hostname);
      if (hostname !== works) throw new Error(`no ${hostname}`);
    },
  });
  expect(listen(refusing('0.0.0.0'), 0).port).toBe(1);
  expect(() => listen(refusing('none'), 0)).toThrow('no ::');
  expect(attempts).toEqual(['::', '0.0.0.0', '::', '0.0.0.0']);
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}
