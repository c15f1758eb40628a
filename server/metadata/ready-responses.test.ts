import { describe, expect, test } from 'bun:test';
import type { Caller } from '../caller/caller.ts';
import { Secret } from '../core/secret.ts';
import type { ExpiringToken } from '../google/tokens.ts';
import { RouteMetrics } from '../telemetry/route-metrics.ts';
import { annotated, EMAIL, FakeMetadata, fault, NOW } from '../testing/fake-metadata.ts';
import { ReadyResponses, TokenResponses } from './ready-responses.ts';
import type { MetadataResponse } from './response.ts';

const token = (value: string, expiresAt: number): ExpiringToken => ({ token: new Secret(value), expiresAt });

test('expires_in is the whole seconds left now, however often it is asked', () => {
  let time = 0;
  const responses = new TokenResponses(3600, () => time);
  const secret = token('ya29.a', 3_599_900);
  const expiresIn = () => JSON.parse(responses.of(secret)?.body ?? '{}').expires_in;

  expect(expiresIn()).toBe(3599);
  expect(expiresIn()).toBe(3599);
  time = 1000;
  expect(expiresIn()).toBe(3598);
  time = 3_598_900;
  expect(expiresIn()).toBe(1);
});

test('it is at most the longest configured duration', () => {
  expect(new TokenResponses(600, () => 0).of(token('ya29.a', 3_600_000))?.body).toBe(
    '{"access_token":"ya29.a","expires_in":600,"token_type":"Bearer"}',
  );
});

test('it is never 0 or less', () => {
  const responses = new TokenResponses(3600, () => 1000);
  expect([999, 1000, 1999, 0].map((expiresAt) => responses.of(token('ya29.a', expiresAt)))).toEqual([
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
});

test('the ETag is of the token, not of the time left, and does not hold it', () => {
  let time = 0;
  const responses = new TokenResponses(3600, () => time);
  const secret = token('ya29.a', 3_600_000);
  const etag = responses.of(secret)?.etag;
  time = 60_000;
  expect(responses.of(secret)?.etag).toBe(etag);
  expect(responses.of(token('ya29.b', 3_600_000))?.etag).not.toBe(etag);
  expect(etag).toMatch(/^[0-9a-f]{16}$/);
});

describe('a request once more', () => {
  const V1 = '/computeMetadata/v1/';
  const SA = `${V1}instance/service-accounts/default/`;
  const FLAVOR = { 'Metadata-Flavor': 'Google' };

  /** Over a socket: only then Bun takes the server's own routes. */
  function setUp(overrides: Parameters<FakeMetadata['app']>[1] = {}) {
    const metadata = new FakeMetadata();
    let peersAsked = 0;
    const peerOf = () => {
      peersAsked++;
      return metadata.peer;
    };
    const listening = metadata.app({}, { ...overrides, peerOf }).listen(0);
    const { server } = listening;
    const get = async (path: string, headers: Record<string, string> = FLAVOR) => {
      const response = await fetch(`http://127.0.0.1:${server?.port}${path}`, { headers });
      return [response.status, await response.text()] as const;
    };
    return {
      metadata,
      get,
      peersAsked: () => peersAsked,
      [Symbol.asyncDispose]: async () => void (await listening.stop(true)),
    };
  }

  test.each([
    `${SA}token`,
    `${SA}token?scopes=https://www.googleapis.com/auth/pubsub`,
    `${SA}identity?audience=warm`,
    `${SA}email`,
    `${V1}project/project-id`,
    `${SA}?recursive=true`,
    `${V1}instance/zone`,
  ])('%s has the same response, and the same refusals', async (path) => {
    await using world = setUp();
    const { metadata, get } = world;
    const first = await get(path);
    expect(first[0]).toBe(200);
    expect(await get(path)).toEqual(first);
    for (const headers of [
      {},
      { 'Metadata-Flavor': 'google' },
      { ...FLAVOR, 'X-Forwarded-For': '10.0.0.1' },
    ]) {
      // a refused recursion is 500, as on GKE
      expect([403, 500]).toContain((await get(path, headers as Record<string, string>))[0]);
    }
    expect([403, 500]).toContain((await get(path, { ...FLAVOR, Host: 'evil.example' }))[0]);
    metadata.peer = '10.9.9.9';
    const isOfCaller = path.startsWith(SA);
    expect((await get(path))[0]).not.toBe(isOfCaller ? 200 : 404);
  });

  test('is of the caller and the Node as they are now', async () => {
    await using world = setUp();
    const { metadata, get } = world;
    expect(await get(`${SA}email`)).toEqual([200, EMAIL]);
    metadata.annotations = annotated('other@my-project.iam.gserviceaccount.com');
    expect(await get(`${SA}email`)).toEqual([200, 'other@my-project.iam.gserviceaccount.com']);
    const zone = `${V1}instance/zone`;
    expect((await get(zone))[1]).toEndWith('eu-west-1b');
    const { node } = metadata;
    if (node === undefined) throw new Error('no Node');
    metadata.node = { ...node, labels: { 'topology.kubernetes.io/zone': 'eu-west-1c' } };
    expect((await get(zone))[1]).toEndWith('eu-west-1c');
  });

  test('is not that of the Pod which had the address when the request began', async () => {
    const pod = (name: string): Caller => ({
      serviceAccount: { namespace: 'shop', name, uid: name, annotations: annotated(EMAIL) },
      boundTo: { kind: 'Pod', name, uid: name },
    });
    const [before, after] = [pod('before'), pod('after')];
    const tokenOf = ({ boundTo }: Caller) => token(`ya29.${boundTo.name}`, NOW + 3_600_000);
    const exchange = Promise.withResolvers<void>();
    const addressOf = { caller: before };
    await using world = setUp({
      callers: {
        known: () => addressOf.caller,
        identify: () => addressOf.caller,
        refused: () => {},
      },
      tokens: {
        cachedAccessToken: tokenOf,
        cachedIDToken: tokenOf,
        accessToken: (caller) =>
          caller === before ? exchange.promise.then(() => tokenOf(caller)) : tokenOf(caller),
        idToken: tokenOf,
      },
    });
    const first = world.get(`${SA}token`);
    while (world.peersAsked() === 0) await Bun.sleep(1);
    addressOf.caller = after;
    exchange.resolve();
    expect((await first)[1]).toContain('ya29.before');
    for (const _ of [1, 2]) expect((await world.get(`${SA}token`))[1]).toContain('ya29.after');
  });

  test('does not compute a listing again', async () => {
    await using world = setUp();
    const { metadata, get } = world;
    const { node } = metadata;
    let looks = 0;
    Object.defineProperty(metadata, 'node', {
      get: () => {
        looks++;
        return node;
      },
    });
    const looksOf = async () => {
      looks = 0;
      await get(`${V1}?recursive=true`);
      return looks;
    };
    expect(await looksOf()).toBeGreaterThan(1);
    // whether it is the same Node
    expect(await looksOf()).toBe(1);
  });

  test('takes the general path if the token is not cached any more', async () => {
    await using world = setUp();
    const { metadata, get } = world;
    await get(`${SA}token`);
    metadata.warm = false;
    metadata.tokenFailure = fault('google-unavailable');
    expect((await get(`${SA}token`))[0]).toBe(503);
  });

  test('waits for a change, however often it was asked', async () => {
    await using world = setUp();
    const path = `${SA}email?wait_for_change=true&timeout_sec=1&last_etag=x`;
    for (const _ of [1, 2]) expect((await world.get(path))[0]).toBe(200);
  });

  test('is counted like the first', async () => {
    await using world = setUp();
    for (const _ of [1, 2, 3]) await world.get(`${SA}email`);
    const { text } = await world.metadata.metrics.exposition();
    expect(text).toContain(
      `route="${V1}instance/service-accounts/:account/email",method="GET",status="200"} 3`,
    );
  });
});

describe('ReadyResponses', () => {
  const caller = () => ({}) as Caller;
  const entry = { again: () => undefined, metrics: new RouteMetrics() };
  const response = (body: string): MetadataResponse => ({
    status: 200,
    contentType: 'application/json',
    body,
  });

  test('keeps sixteen requests of a caller, and nothing of another', () => {
    const ready = new ReadyResponses();
    const [one, other] = [caller(), caller()];
    for (let index = 0; index <= 16; index++) ready.remember(one, `http://x/${index}`, entry, response('{}'));
    expect(ready.of(one, 'http://x/0')).toBeUndefined();
    expect(ready.of(one, 'http://x/1')).toBe(entry);
    expect(ready.of(other, 'http://x/1')).toBeUndefined();
  });

  test('keeps no long URL and no large body', () => {
    const ready = new ReadyResponses();
    const one = caller();
    const long = `http://x/${'a'.repeat(1024)}`;
    ready.remember(one, long, entry, response('{}'));
    ready.remember(one, 'http://x/', entry, response('a'.repeat(8193)));
    expect([ready.of(one, long), ready.of(one, 'http://x/')]).toEqual([undefined, undefined]);
  });
});
