import { describe, expect, test } from 'bun:test';
import type { Sleep } from '../core/effects.ts';
import type { Log } from '../telemetry/log.ts';
import { AdmissionMetrics } from './admission-metrics.ts';
import { ALLOWED, type ReviewResponse, refused } from './review.ts';
import { admissionRoutes, type Reviewer } from './routes.ts';

const MIB = 1024 * 1024;
const REVIEW = {
  apiVersion: 'admission.k8s.io/v1',
  kind: 'AdmissionReview',
  request: {
    uid: 'abc-123',
    operation: 'CREATE',
    resource: { group: '', version: 'v1', resource: 'serviceaccounts' },
    subResource: 'token',
    namespace: 'shop',
    name: 'cart',
    userInfo: { username: 'someone', extra: { key: ['a', 'b'], odd: 1 } },
    object: { fieldOfTomorrow: [{ a: 1 }] },
    dryRun: false,
  },
};

const withField = (field: object) => ({ ...REVIEW, request: { ...REVIEW.request, ...field } });

function webhook(reviewer: Reviewer = async () => ALLOWED, sleep: Sleep = () => new Promise(() => {})) {
  const logged: object[] = [];
  const record = (fields: object, message: string) => logged.push({ message, ...fields });
  const time = { now: 0 };
  const log: Log = { debug: record, info: record, warn: record, error: record };
  const metrics = new AdmissionMetrics('1.2.3');
  const app = admissionRoutes({
    mutatePod: reviewer,
    guardTokenRequest: reviewer,
    events: metrics,
    log,
    effects: { now: () => time.now, sleep },
  });
  const post = (body: string | ReadableStream, headers: Record<string, string> = {}, path = '/mutate/pods') =>
    app.handle(
      new Request(`https://webhook${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body,
      }),
    );
  return { app, metrics, logged, time, post };
}

async function outcomes(metrics: AdmissionMetrics): Promise<string[]> {
  const { text } = await metrics.exposition();
  return text.split('\n').filter((line) => line.startsWith('gke_metadata_server_webhook_reviews_total'));
}

/** By kind of injection. */
async function counts(metrics: AdmissionMetrics, name: string): Promise<Readonly<Record<string, number>>> {
  const { text } = await metrics.exposition();
  const lines = text.matchAll(new RegExp(`^gke_metadata_server_webhook_${name}{kind="(.+)"} (\\d+)$`, 'gm'));
  return Object.fromEntries([...lines].map(([, kind, value]) => [kind, Number(value)]));
}

describe('a review', () => {
  test('is passed on with its object unchanged, and the response has its uid', async () => {
    const seen: unknown[] = [];
    const { post } = webhook(async (request) => {
      seen.push({ ...request, extra: [...request.extra] });
      return ALLOWED;
    });
    const response = await post(JSON.stringify(REVIEW), {}, '/validate/token-requests');
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toStartWith('application/json');
    expect(await response.json()).toEqual({
      apiVersion: 'admission.k8s.io/v1',
      kind: 'AdmissionReview',
      response: { uid: 'abc-123', allowed: true },
    });
    expect(seen).toEqual([
      {
        uid: 'abc-123',
        operation: 'CREATE',
        resource: 'serviceaccounts/token',
        namespace: 'shop',
        name: 'cart',
        username: 'someone',
        extra: [
          ['key', ['a', 'b']],
          ['odd', []],
        ],
        object: { fieldOfTomorrow: [{ a: 1 }] },
      },
    ]);
  });

  test('is answered with a patch and warnings', async () => {
    const patch = [{ op: 'add', path: '/spec/x', value: 'ä' }] as const;
    const { post, metrics } = webhook(async () => ({
      allowed: true,
      patch,
      warnings: ['w'],
      injected: ['google', 'aws'],
    }));
    const { response } = (await (await post(JSON.stringify(REVIEW))).json()) as {
      response: { patch: string };
    };
    expect(response).toMatchObject({ allowed: true, patchType: 'JSONPatch', warnings: ['w'] });
    expect(JSON.parse(Buffer.from(response.patch, 'base64').toString())).toEqual([...patch]);
    expect(Object.keys(response)).not.toContain('injected');
    expect(await counts(metrics, 'injections_total')).toEqual({
      google: 1,
      aws: 1,
      'aws-pod-identity': 0,
      azure: 0,
      'google-to-aws': 0,
      'external-account': 0,
    });
  });

  test('that an injection refuses is counted by its kind, and by no other', async () => {
    const { post, metrics } = webhook(async () => refused('the role is invalid', 'aws'));
    expect(await counts(metrics, 'injections_refused_total')).toMatchObject({ aws: 0, azure: 0 });
    const { response } = (await (await post(JSON.stringify(REVIEW))).json()) as { response: object };
    expect(Object.keys(response)).toEqual(['uid', 'allowed', 'status']);
    expect(await counts(metrics, 'injections_refused_total')).toMatchObject({ aws: 1, azure: 0 });
    expect(await counts(metrics, 'injections_total')).toMatchObject({ aws: 0 });
  });

  test('is refused with code and message', async () => {
    const { post, logged } = webhook(async () => refused('not yours'));
    expect(await (await post(JSON.stringify(REVIEW))).json()).toMatchObject({
      response: { uid: 'abc-123', allowed: false, status: { code: 403, message: 'not yours' } },
    });
    expect(logged).toContainEqual(expect.objectContaining({ uid: 'abc-123', reason: 'not yours' }));
  });

  test('gets an answer with its uid when the webhook fails, which tells nothing of why', async () => {
    const { post, metrics } = webhook(async () => {
      throw new Error('secret detail');
    });
    const response = await post(JSON.stringify(REVIEW));
    const body = await response.text();
    expect(body).not.toContain('secret detail');
    expect(JSON.parse(body)).toMatchObject({
      response: { uid: 'abc-123', allowed: false, status: { code: 503 } },
    });
    expect(await outcomes(metrics)).toEqual([
      'gke_metadata_server_webhook_reviews_total{webhook="pods",outcome="failed"} 1',
    ]);
  });

  test('gets an answer with its uid when the webhook hangs', async () => {
    const signals: AbortSignal[] = [];
    const limits: number[] = [];
    const { post } = webhook(
      (_, signal) => {
        signals.push(signal);
        return new Promise<ReviewResponse>(() => {});
      },
      async (milliseconds) => {
        // the limit of the body's reading comes first, and does not pass here
        if (limits.push(milliseconds) === 1) await new Promise(() => {});
      },
    );
    expect(await (await post(JSON.stringify(REVIEW))).json()).toMatchObject({
      response: { uid: 'abc-123', allowed: false, status: { code: 503 } },
    });
    expect(signals[0]?.aborted).toBe(true);
  });
});

describe('what is not a review', () => {
  test.each<[string, unknown, string]>([
    ['no JSON', undefined, 'expected an AdmissionReview in JSON'],
    ['a list', [], 'expected an object of kind AdmissionReview'],
    ['null', null, 'expected an object of kind AdmissionReview'],
    ['another kind', { ...REVIEW, kind: 'Pod' }, 'expected an object of kind AdmissionReview'],
    [
      'an older version',
      { ...REVIEW, apiVersion: 'admission.k8s.io/v1beta1' },
      'apiVersion admission.k8s.io/v1',
    ],
    ['without a request', { ...REVIEW, request: undefined }, 'has no request'],
    ['without a uid', { ...REVIEW, request: { ...REVIEW.request, uid: '' } }, 'has no request.uid'],
    ['with an endless uid', withField({ uid: 'x'.repeat(2_800_000) }), 'request.uid is longer than 128'],
    ['with an endless name', withField({ name: 'x'.repeat(254) }), 'request.name is longer than 253'],
    ['of a Namespace that is a path', withField({ namespace: '..' }), 'request.namespace is not the name'],
    [
      'of an endless Namespace',
      withField({ namespace: 'x'.repeat(64) }),
      'request.namespace is not the name',
    ],
  ])('%s gets 400 and a text', async (_, body, message) => {
    const { post, metrics } = webhook();
    const response = await post(body === undefined ? '{"kind":' : JSON.stringify(body));
    expect([response.status, response.headers.get('content-type')]).toEqual([
      400,
      'text/plain; charset=utf-8',
    ]);
    const answer = await response.text();
    expect(answer).toContain(message);
    expect(answer.length).toBeLessThan(200);
    expect(await outcomes(metrics)).toEqual([
      'gke_metadata_server_webhook_reviews_total{webhook="pods",outcome="malformed"} 1',
    ]);
  });

  test('nested deeper than any stack is refused, not fallen over', async () => {
    const { post } = webhook();
    expect((await post('['.repeat(MIB))).status).toBe(403);
  });

  test.each(['text/plain', 'application/yaml', ''])('content type %p gets 415', async (type) => {
    const response = await webhook().post(JSON.stringify(REVIEW), { 'content-type': type });
    expect([response.status, await response.text()]).toEqual([
      415,
      'expected a body of content type application/json\n',
    ]);
  });

  test('a charset is taken', async () => {
    const headers = { 'content-type': 'Application/JSON; charset=utf-8' };
    expect((await webhook().post(JSON.stringify(REVIEW), headers)).status).toBe(200);
  });

  test.each([
    ['GET', '/mutate/pods'],
    ['POST', '/mutate/pods/'],
    ['POST', '/mutate'],
  ])('%s %s is not found', async (method, path) => {
    const { app } = webhook();
    const response = await app.handle(new Request(`https://webhook${path}`, { method }));
    expect([response.status, await response.text()]).toEqual([404, 'Not Found\n']);
  });
});

const JSON_TYPE = 'application/json';

describe('what a client makes the webhook log', () => {
  const bodies: [
    string,
    Reviewer,
    (index: number) => string,
    { message: string; [field: string]: unknown },
    string,
  ][] = [
    [
      'refused reviews',
      async () => refused('not you'),
      (index) => JSON.stringify(withField({ uid: `u${index}`, namespace: `n${index}`, name: `p${index}` })),
      { message: 'review', webhook: 'pods', uid: 'u0', namespace: 'n0', name: 'p0', reason: 'not you' },
      JSON_TYPE,
    ],
    [
      'reviews that make it fail',
      async () => {
        throw new Error('fault');
      },
      (index) => JSON.stringify(withField({ uid: `u${index}` })),
      { message: 'review failed', uid: 'u0' },
      JSON_TYPE,
    ],
    [
      'malformed reviews',
      async () => ALLOWED,
      (index) => JSON.stringify({ kind: `k${index}` }),
      { message: 'malformed review', webhook: 'pods', status: 400 },
      JSON_TYPE,
    ],
    [
      'bodies of another type',
      async () => ALLOWED,
      () => '',
      { message: 'malformed review', webhook: 'pods', status: 415 },
      'text/plain',
    ],
  ];
  test.each(bodies)('of %s is a line in 30 seconds, with a count', async (_, reviewer, body, line, type) => {
    const { post, logged, time } = webhook(reviewer);
    const headers = { 'content-type': type };
    const lines = () => logged.filter((entry) => 'message' in entry && entry.message === line.message);
    for (let index = 0; index < 100; index++) await post(body(index), headers);
    expect(lines()).toEqual([expect.objectContaining(line)]);
    time.now = 30_000;
    await post(body(100), headers);
    expect(lines()).toEqual([expect.anything(), expect.objectContaining({ suppressed: 99 })]);
  });

  test('of one webhook does not keep it from logging of the other', async () => {
    const { post, logged } = webhook(async () => refused('no'));
    for (const path of ['/mutate/pods', '/mutate/pods', '/validate/token-requests']) {
      await post(JSON.stringify(REVIEW), {}, path);
    }
    expect(logged).toEqual([
      expect.objectContaining({ webhook: 'pods' }),
      expect.objectContaining({ webhook: 'token-requests' }),
    ]);
  });
});

test('two large reviews are looked at at a time, and small ones meanwhile', async () => {
  const begun: string[] = [];
  const ends: (() => void)[] = [];
  const { post } = webhook(async ({ name }) => {
    begun.push(name);
    if (name === 'large') await new Promise<void>((resolve) => ends.push(resolve));
    return ALLOWED;
  });
  const large = JSON.stringify({ ...withField({ name: 'large' }), pad: 'x'.repeat(200_000) });
  const responses = Promise.all([post(large), post(large), post(large)]);
  while (begun.length < 2) await Bun.sleep(0);
  expect((await post(JSON.stringify(withField({ name: 'small' })))).status).toBe(200);
  expect(begun).toEqual(['large', 'large', 'small']);
  ends.shift()?.();
  while (begun.length < 4) await Bun.sleep(0);
  for (const end of ends) end();
  expect((await responses).map(({ status }) => status)).toEqual([200, 200, 200]);
});

test('a large review that waits too long gets 503 and a text', async () => {
  const limits: (() => void)[] = [];
  const { post } = webhook(
    () => new Promise(() => {}),
    () => new Promise((resolve) => limits.push(resolve)),
  );
  const large = JSON.stringify({ ...REVIEW, pad: 'x'.repeat(200_000) });
  for (const _ of [1, 2]) post(large).catch(() => {});
  // each has a limit for its body and one for its response
  while (limits.length < 4) await Bun.sleep(0);
  const waiting = post(large);
  while (limits.length < 6) await Bun.sleep(0);
  limits[5]?.();
  const response = await waiting;
  expect([response.status, await response.text()]).toEqual([503, 'too many reviews at a time: retry\n']);
});

test('a body of 3 MiB is taken, one byte more gets 403', async () => {
  const unpadded = JSON.stringify({ ...REVIEW, pad: '' }).length;
  const padded = (bytes: number) => JSON.stringify({ ...REVIEW, pad: 'x'.repeat(bytes - unpadded) });
  expect((await webhook().post(padded(3 * MIB))).status).toBe(200);
  const response = await webhook().post(padded(3 * MIB + 1));
  expect([response.status, await response.text()]).toEqual([403, 'the body is larger than 3145728 bytes\n']);
});
