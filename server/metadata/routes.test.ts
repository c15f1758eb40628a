import { describe, expect, test } from 'bun:test';
import { FakeMetadata, fault } from '../testing/fake-metadata.ts';

const V1 = '/computeMetadata/v1/';
const SA = `${V1}instance/service-accounts/`;
const TOKEN = `${SA}default/token`;
const FLAVOR = { 'Metadata-Flavor': 'Google' };

const bare = { headers: {} };

describe('who may ask', () => {
  test('/ answers without the flavor header, and with it on the answer', async () => {
    const response = await new FakeMetadata().get('/', bare);
    expect([response.status, await response.text()]).toEqual([200, 'computeMetadata/\n']);
    expect(response.headers.get('metadata-flavor')).toBe('Google');
  });

  test.each([
    '/computeMetadata',
    '/computeMetadata/',
    V1,
    TOKEN,
    `${V1}nothing`,
    `${V1}instance`,
    '/%63omputeMetadata/v1/project/project-id',
  ])('%s is 403 without the header', async (path) => {
    const expected = [
      403,
      'text/plain; charset=utf-8',
      'Missing required header "Metadata-Flavor": "Google"',
      'Google',
    ];
    for (const headers of [{}, { 'Metadata-Flavor': 'google' }, { 'Metadata-Flavour': 'Google' }]) {
      const response = await new FakeMetadata().get(path, { headers });
      const { headers: sent } = response;
      expect([
        response.status,
        sent.get('content-type'),
        await response.text(),
        sent.get('metadata-flavor'),
      ]).toEqual(expected);
    }
  });

  test.each(['/', TOKEN, `${V1}nothing`])(
    '%s is 403 with an X-Forwarded-For, even an empty one',
    async (path) => {
      for (const forwarded of ['10.0.0.1', '']) {
        const headers = { ...FLAVOR, 'X-Forwarded-For': forwarded };
        const response = await new FakeMetadata().get(path, { headers });
        expect([response.status, response.headers.get('metadata-flavor')]).toEqual([403, 'Google']);
        expect(await response.text()).not.toContain('ya29');
      }
    },
  );

  test('an unknown address, or one that has disconnected, gets no token', async () => {
    const metadata = new FakeMetadata();
    for (const peer of [undefined, '10.9.9.9']) {
      metadata.peer = peer;
      expect((await metadata.get(TOKEN)).status).toBe(404);
    }
  });
});

describe('methods', () => {
  test.each(['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND'])('%s is 405', async (method) => {
    const response = await new FakeMetadata().get(TOKEN, { method, headers: FLAVOR });
    expect([response.status, response.headers.get('allow'), response.headers.get('metadata-flavor')]).toEqual(
      [405, 'GET, HEAD', 'Google'],
    );
  });
});

test.each([
  `${V1}../../etc/passwd`,
  '/computeMetadata//v1/',
  '//computeMetadata/v1/',
  `${V1}%2e%2e/%2e%2e/%2e%2e/etc/passwd`,
  `${V1}instance/%00`,
  `${V1}instance/id%00`,
  `${V1}%`,
  `${V1}%zz`,
  `${V1}%c0%ae%c0%ae/`,
  `${V1}__proto__`,
  `${V1}constructor/`,
  `${V1}instance/service-accounts/__proto__/token`,
  `${V1}instance/service-accounts/:account/token`,
  `${V1}instance/service-accounts//token`,
  `${V1}instance/service-accounts/default%2Ftoken%2Fx`,
  `${V1}instance/machine-type`,
  `${V1}instance/preempted`,
  '/computeMetadata/v1beta1/',
  '/0.1/meta-data/',
  `/${'a/'.repeat(3000)}`,
  '/favicon.ico',
])('%s is not found', async (path) => {
  const metadata = new FakeMetadata();
  const response = await metadata.get(path);
  expect([response.status, await response.text()]).toEqual([404, 'Not Found\n']);
  expect(response.headers.get('metadata-flavor')).toBe('Google');
  expect(metadata.logged).toEqual([]);
});

test('a bug is 500 with a fixed text, and is logged with its error', async () => {
  const metadata = new FakeMetadata();
  const error = new Error('the inside of it');
  metadata.callerFailure = error;
  for (const path of [TOKEN, `${SA}default/email`]) {
    expect(await metadata.text(path)).toEqual([500, 'Internal Server Error\n']);
  }
  expect(metadata.logged.map(({ level, fields }) => [level, fields])).toEqual([
    ['error', expect.objectContaining({ error })],
    ['error', expect.objectContaining({ error })],
  ]);
});

test('even a bug before the API is 500 with a fixed text and the flavor', async () => {
  const app = new FakeMetadata().app(
    {},
    {
      peerOf: () => {
        throw new Error('the inside of it');
      },
    },
  );
  for (const path of [TOKEN, '/', `${V1}nothing`]) {
    const response = await app.handle(new Request(`http://metadata${path}`, { headers: FLAVOR }));
    expect([response.status, await response.text(), response.headers.get('metadata-flavor')]).toEqual([
      500,
      'Internal Server Error\n',
      'Google',
    ]);
  }
});

describe('what is reported about requests', () => {
  test('at debug: one line for each request, without tokens or queries, and with paths cut short', async () => {
    const metadata = new FakeMetadata();
    const app = metadata.app({ logLevel: 'debug' });
    const ask = (path: string) => app.handle(new Request(`http://metadata${path}`, { headers: FLAVOR }));
    await ask(TOKEN);
    await ask(`${SA}default/identity?audience=secret-audience`);
    await ask(`/${'x'.repeat(5000)}`);
    metadata.tokenFailure = fault('sts-refused');
    await ask(TOKEN);

    expect(metadata.logged.map(({ level, message, fields }) => ({ level, message, ...fields }))).toEqual([
      expect.objectContaining({
        level: 'debug',
        method: 'GET',
        route: `${SA}:account/token`,
        status: 200,
        path: TOKEN,
      }),
      expect.objectContaining({ route: `${SA}:account/identity`, status: 200 }),
      expect.objectContaining({ route: 'unknown', status: 404 }),
      expect.objectContaining({ route: `${SA}:account/token`, status: 403, code: 'sts-refused' }),
    ]);
    const all = JSON.stringify(metadata.logged);
    expect(all).not.toMatch(/ya29|eyJ|secret-audience/);
    expect(all.length).toBeLessThan(3000);
  });

  test('at info: nothing', async () => {
    const metadata = new FakeMetadata();
    await metadata.get(TOKEN);
    metadata.tokenFailure = fault('sts-refused');
    await metadata.get(TOKEN);
    expect(metadata.logged).toEqual([]);
  });

  test('in metrics: nothing that a caller can make up', async () => {
    const metadata = new FakeMetadata();
    for (const path of ['/made-up', `${V1}made-up`, `${SA}made-up@x.iam.gserviceaccount.com/token`]) {
      await metadata.get(`${path}?made-up=1`);
    }
    await metadata.get(TOKEN, { method: 'PROPFIND', headers: FLAVOR });
    await metadata.get(TOKEN);
    const { text } = await metadata.metrics.exposition();
    expect(text).not.toMatch(/made-up|propfind/i);
    const requests = text
      .split('\n')
      .filter((line) => line.startsWith('gke_metadata_server_http_requests_total'));
    const line = (route: string, method: string, status: number, count: number) =>
      `gke_metadata_server_http_requests_total{route="${route}",method="${method}",status="${status}"} ${count}`;
    expect(requests.sort()).toEqual(
      [
        line('unknown', 'GET', 404, 2),
        line(`${SA}:account/token`, 'GET', 404, 1),
        line(`${SA}:account/token`, 'other', 405, 1),
        line(`${SA}:account/token`, 'GET', 200, 1),
      ].sort(),
    );
  });
});
