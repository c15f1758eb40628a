import { describe, expect, test } from 'bun:test';
import type { Fetch } from '../core/effects.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { unsignedToken } from '../testing/unsigned-token.ts';
import { type IdToken, parseIdToken } from './id-token.ts';
import { keepTokenFile, renewalTime, writeTokenFile } from './keep-token-file.ts';
import { TokenFileError } from './token-file-error.ts';

const MINUTE = 60_000;
const UID = '5e4c9d0a-6f0e-4d0b-9f6b-2f6a3f0d9c11';
const AUDIENCE = 'token-injector/sts/assume-role-with-web-identity';
const REQUEST = {
  endpoint: { authority: '[fd00::5]:16321', server: '[fd00::5]:16321' },
  podUID: UID,
  audience: AUDIENCE,
};
const NOT_ANNOTATED =
  'Your Kubernetes service account (default/app) is not annotated with a target Google service account.\n' +
  'Please add the annotation.\n';

const DENIED = "Unable to generate ID token; IAM returned 403 Forbidden: Permission 'x' denied";

type Respond = () => Response;
const answer =
  (status: number, text: string, headers: Record<string, string> = {}): Respond =>
  () =>
    new Response(text, { status, headers: { 'metadata-flavor': 'Google', ...headers } });
const refuse: Respond = () => {
  throw Object.assign(new Error('Unable to connect'), { code: 'ConnectionRefused' });
};
const NOT_IN_SYNC = answer(503, 'Not in sync with Kubernetes yet; try again.\n', { 'retry-after': '1' });

/** A server that answers as `identity` is set, on a clock that the test moves, and what came of it. */
function world({ found }: { found?: IdToken } = {}) {
  const clock = new ManualClock();
  const urls: string[] = [];
  const logged: { level: string; fields: object; message: string }[] = [];
  const written: { token: string; at: number }[] = [];
  const state = {
    identity: (() => answer(200, tokenFor(60))()) as Respond,
    podUID: answer(200, UID),
    write: () => {},
  };
  function tokenFor(minutes: number): string {
    return unsignedToken({ aud: AUDIENCE, exp: (clock.now() + minutes * MINUTE) / 1000 });
  }
  const fetch: Fetch = async (url, init) => {
    expect(new Headers(init?.headers).get('metadata-flavor')).toBe('Google');
    urls.push(url);
    return url.endsWith('/pod-uid') ? state.podUID() : state.identity();
  };
  const logger = (level: string) => (fields: object, message: string) =>
    void logged.push({ level, fields, message });
  const dependencies = {
    fetch,
    now: clock.now,
    sleep: clock.sleep,
    random: () => 0.5,
    log: { debug: logger('debug'), info: logger('info'), warn: logger('warn'), error: logger('error') },
    file: {
      path: '/var/run/token',
      read: async () => found,
      write: async ({ token }: IdToken) => {
        state.write();
        written.push({ token: token.reveal(), at: clock.now() });
      },
    },
  };
  return { clock, urls, logged, written, state, dependencies, tokenFor };
}

async function failureOf(promise: Promise<unknown>): Promise<TokenFileError> {
  const error = await promise.catch((thrown: unknown) => thrown);
  if (!(error instanceof TokenFileError)) throw error;
  return error;
}

/** What a promise has come to, without waiting for it. */
function watch(promise: Promise<unknown>) {
  const seen: { done?: true; error?: unknown } = {};
  promise.then(
    () => {
      seen.done = true;
    },
    (error) => {
      seen.error = error;
    },
  );
  return seen;
}

function found(minutes: number): IdToken {
  const expiry = new ManualClock().now() + minutes * MINUTE;
  const token = parseIdToken(unsignedToken({ exp: expiry / 1000 }));
  if (token === undefined) throw new Error('not a token');
  return token;
}

describe('writeTokenFile', () => {
  test('asks who this Pod is, then for a token of the audience, and writes it', async () => {
    const { urls, written, dependencies, tokenFor, logged } = world();
    await writeTokenFile(REQUEST, dependencies);
    const instance = 'http://[fd00::5]:16321/computeMetadata/v1/instance';
    expect(urls).toEqual([
      `${instance}/pod-uid`,
      `${instance}/service-accounts/default/identity?audience=token-injector%2Fsts%2Fassume-role-with-web-identity&format=full`,
    ]);
    expect(written.map(({ token }) => token)).toEqual([tokenFor(60)]);
    expect(JSON.stringify(logged)).not.toContain(tokenFor(60).split('.')[1] ?? '');
  });

  test('waits as long as it takes for a server that is missing, not ready or does not know the Pod', async () => {
    const { clock, state, dependencies, written, logged } = world();
    state.identity = refuse;
    const seen = watch(writeTokenFile(REQUEST, dependencies));
    await clock.advance(30 * MINUTE);
    state.identity = NOT_IN_SYNC;
    await clock.advance(30 * MINUTE);
    state.podUID = answer(200, 'of the previous Pod');
    state.identity = () => answer(200, 'must not be asked for')();
    await clock.advance(30 * MINUTE);
    expect([seen, written]).toEqual([{}, []]);
    state.podUID = answer(200, UID);
    state.identity = () => answer(200, unsignedToken({ exp: (clock.now() + 60 * MINUTE) / 1000 }))();
    await clock.advance(MINUTE);
    expect([seen, written.length]).toEqual([{ done: true }, 1]);
    const reasons = logged.map(({ fields }) => ('reason' in fields ? String(fields.reason) : ''));
    expect(reasons.some((reason) => reason.includes('ConnectionRefused'))).toBe(true);
    expect(reasons.some((reason) => reason.includes('503: Not in sync'))).toBe(true);
    expect(reasons.some((reason) => reason.includes('previous Pod with its IP'))).toBe(true);
    expect(logged.length).toBeLessThan(200);
  });

  test.each([
    [404, NOT_ANNOTATED, NOT_ANNOTATED.split('\n')[0] ?? '', 'Please add the annotation. For each step'],
    [403, DENIED, DENIED, 'explain NAMESPACE/POD'],
  ])('ends at a refusal (%d), in the words of the server', async (status, text, reason, remedy) => {
    const { state, dependencies, written } = world();
    state.identity = answer(status, text);
    const error = await failureOf(writeTokenFile(REQUEST, dependencies));
    expect(error.code).toBe('token-refused');
    expect(error.message).toBe(`the metadata server refused an ID token (${status}): ${reason}`);
    expect(error.remedy).toContain(remedy);
    expect(written).toEqual([]);
  });

  test('ends if the file cannot be written', async () => {
    const { state, dependencies } = world();
    state.write = () => {
      throw new TokenFileError('token-file-not-written', 'cannot write /var/run/token: EROFS', {
        remedy: '',
      });
    };
    const error = await failureOf(writeTokenFile(REQUEST, dependencies));
    expect(error.code).toBe('token-file-not-written');
  });

  test.each([
    ['something else', () => '<html>', 'something other than an ID token'],
    ['an endless response', () => 'a.b.c'.repeat(1_000_000), 'something other than an ID token'],
    ['an expired token', () => unsignedToken({ exp: 1 }), 'has already expired'],
  ])('does not write %s', async (_, body, reason) => {
    const { clock, state, dependencies, written, logged } = world();
    state.identity = () => answer(200, body())();
    const seen = watch(writeTokenFile(REQUEST, dependencies));
    await clock.advance(MINUTE);
    expect([seen, written]).toEqual([{}, []]);
    expect(logged[0]).toMatchObject({ level: 'warn', fields: { reason: expect.stringContaining(reason) } });
  });
});

describe('keepTokenFile', () => {
  test('renews a token when half of its life is left, again and again', async () => {
    const { clock, dependencies, written, state } = world();
    state.identity = () => answer(200, unsignedToken({ exp: (clock.now() + 60 * MINUTE) / 1000 }))();
    const startedAt = clock.now();
    watch(keepTokenFile(REQUEST, dependencies));
    await clock.advance(100 * MINUTE);
    expect(written.map(({ at }) => (at - startedAt) / MINUTE)).toEqual([0, 30, 60, 90]);
  });

  test('does not ask again for what the init container has just written', async () => {
    const { clock, dependencies, urls } = world({ found: found(60) });
    watch(keepTokenFile(REQUEST, dependencies));
    await clock.advance(29 * MINUTE);
    expect(urls).toEqual([]);
    await clock.advance(2 * MINUTE);
    expect(urls).toHaveLength(2);
  });

  test('asks at once if what it finds has expired', async () => {
    const { clock, dependencies, written } = world({ found: found(-1) });
    watch(keepTokenFile(REQUEST, dependencies));
    await clock.advance(0);
    expect(written).toHaveLength(1);
  });

  test('outlives the absence of the server, with the file as it is, and renews once it is back', async () => {
    const { clock, dependencies, written, state, logged } = world({ found: found(60) });
    state.podUID = refuse;
    const seen = watch(keepTokenFile(REQUEST, dependencies));
    await clock.advance(59 * MINUTE);
    expect(written).toEqual([]);
    const lines = logged.map(({ level, message }) => `${level} ${message}`);
    expect(new Set(lines)).toEqual(new Set(['warn cannot renew the token']));
    // with growing pauses, and no more lines than one in 30 s
    expect(lines.length).toBeLessThanOrEqual(60);
    await clock.advance(2 * MINUTE);
    expect(logged.at(-1)).toMatchObject({
      level: 'error',
      message: 'cannot renew the token, which has expired',
      fields: { code: 'token-unavailable', expiresAt: '2026-01-01T01:00:00.000Z' },
    });
    state.podUID = answer(200, UID);
    await clock.advance(MINUTE);
    expect([seen, written.length]).toEqual([{}, 1]);
  });

  test('survives a refusal too, which somebody may fix', async () => {
    const { clock, dependencies, written, state } = world();
    const good = state.identity;
    state.identity = answer(404, NOT_ANNOTATED);
    const seen = watch(keepTokenFile(REQUEST, dependencies));
    await clock.advance(60 * MINUTE);
    expect([seen, written]).toEqual([{}, []]);
    state.identity = good;
    await clock.advance(4 * MINUTE);
    expect(written).toHaveLength(1);
  });

  test('asks no sooner than the server says', async () => {
    const { clock, dependencies, urls, state } = world();
    state.identity = answer(503, 'Too many requests for new tokens', { 'retry-after': '120' });
    watch(keepTokenFile(REQUEST, dependencies));
    await clock.advance(119_000);
    expect(urls).toHaveLength(2);
    await clock.advance(2000);
    expect(urls).toHaveLength(4);
  });
});

describe('renewalTime', () => {
  const token = (milliseconds: number) => ({ ...found(0), expiresAt: milliseconds });

  test.each([
    ['an hour, early', 60 * MINUTE, 0, 24 * MINUTE],
    ['an hour, late', 60 * MINUTE, 1, 36 * MINUTE],
    ['a minute', MINUTE, 0.5, 30_000],
    ['a few seconds', 5000, 0.5, 10_000],
    ['ten years', 3650 * 24 * 60 * MINUTE, 0.5, 12 * 60 * MINUTE],
    ['none', 0, 0.5, 0],
    ['less than none', -MINUTE, 0.5, 0],
  ])('of a token with a life of %s', (_, life, random, expected) => {
    expect(Math.round(renewalTime(token(life), 0, random))).toBe(expected);
  });
});
