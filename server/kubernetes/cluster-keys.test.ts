import { beforeEach, describe, expect, test } from 'bun:test';
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose';
import { Fault } from '../core/fault.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { ApiServer } from './api-server.ts';
import {
  KeyRotation,
  keySetDifference,
  type PublicKey,
  parseKeySet,
  readClusterKeys,
} from './cluster-keys.ts';
import { Field } from './field.ts';

async function jwk(algorithm = 'RS256', kid = 'a'): Promise<Record<string, unknown>> {
  const { publicKey } = await generateKeyPair(algorithm);
  return { use: 'sig', alg: algorithm, kid, ...(await exportJWK(publicKey)) };
}

const parse = (keys: unknown) => parseKeySet(new Field({ keys }, 'JWKS'));

/** What `readClusterKeys` makes of a response, and what it asked. */
async function answered(response: Response) {
  const asked: { url: string; accept: unknown }[] = [];
  const cluster = {
    server: 'https://api.test',
    authenticate: async () => ({ headers: { Authorization: 'Bearer token' }, tls: {} }),
  };
  const server = new ApiServer(cluster, {
    sleep: new ManualClock().sleep,
    async fetch(url, init = {}) {
      asked.push({ url, accept: new Headers(init.headers).get('accept') });
      return response;
    },
  });
  const outcome = await readClusterKeys(server).catch((error: unknown) => error);
  return { asked, outcome };
}

const status = (code: number, message: string) =>
  Response.json({ kind: 'Status', message }, { status: code });

describe('parseKeySet', () => {
  test.each(['RS256', 'ES256'])('%s: kid and RFC 7638 thumbprint', async (algorithm) => {
    const key = await jwk(algorithm, 'its name');
    const thumbprint = await calculateJwkThumbprint(key);
    expect(await parse([key])).toEqual([{ kid: 'its name', thumbprint }]);
  });

  test.each([
    undefined,
    [],
    {},
    [{ kty: 'RSA', n: 'AQAB', e: 'AQAB' }],
    [{ kid: 'a' }],
    [{ kid: 'a', kty: 'RSA' }],
  ])('%j is a clear error', async (keys) => {
    expect(await parse(keys).catch((error: unknown) => error)).toMatchObject({
      code: 'kubernetes-unavailable',
    });
  });
});

describe('keySetDifference', () => {
  test('the same keys in another order are the same set', async () => {
    const [a, b] = [await jwk('RS256', 'a'), await jwk('ES256', 'b')];
    const difference = keySetDifference(await parse([a, b]), await parse([b, a]));
    expect(difference).toEqual({ added: [], removed: [] });
  });

  test('by kid: what is new, what is gone', async () => {
    const [a, b, c] = [await jwk('RS256', 'a'), await jwk('RS256', 'b'), await jwk('RS256', 'c')];
    const difference = keySetDifference(await parse([a, b]), await parse([b, c]));
    expect(difference).toEqual({ added: ['c'], removed: ['a'] });
  });

  test('another key under the same kid is another key, and so is the same under another', async () => {
    const key = await jwk();
    for (const other of [await jwk(), { ...key, kid: 'b' }]) {
      const { added, removed } = keySetDifference(await parse([key]), await parse([other]));
      expect([added.length, removed]).toEqual([1, ['a']]);
    }
  });
});

describe('readClusterKeys', () => {
  test('asks for the type that the API server has, as JSON alone is 406', async () => {
    const { asked, outcome } = await answered(Response.json({ keys: [await jwk()] }));
    expect(asked).toEqual([{ url: 'https://api.test/openid/v1/jwks', accept: 'application/jwk-set+json' }]);
    expect(outcome).toMatchObject([{ kid: 'a' }]);
  });

  test('forbidden: the remedy names the binding', async () => {
    const { outcome } = await answered(status(403, 'cannot get path'));
    expect(outcome).toMatchObject({ code: 'kubernetes-forbidden', message: 'cannot get path' });
    expect(outcome instanceof Fault && outcome.remedy).toContain('system:service-account-issuer-discovery');
  });

  test('not there: the remedy names the issuer', async () => {
    const { outcome } = await answered(new Response('404 page not found', { status: 404 }));
    expect(outcome).toMatchObject({ code: 'kubernetes-forbidden' });
    expect(outcome instanceof Fault && outcome.remedy).toContain('--service-account-issuer');
  });

  test('an API server that fails is unavailable', async () => {
    expect((await answered(status(500, 'why'))).outcome).toMatchObject({ code: 'kubernetes-unavailable' });
  });

  test('stops reading a response that is too long', async () => {
    let pulled = 0;
    const long = new ReadableStream({
      pull(controller) {
        pulled += 1;
        if (pulled === 200) controller.close();
        else controller.enqueue(new Uint8Array(32 * 1024).fill(32));
      },
    });
    const { outcome } = await answered(new Response(long));
    expect(outcome).toMatchObject({ code: 'kubernetes-unavailable' });
    expect(pulled).toBeLessThan(10);
  });
});

interface Told {
  readonly reason?: unknown;
  readonly added?: unknown;
  readonly removed?: unknown;
  readonly remedy?: unknown;
}

const HOUR = 3_600_000;
const OLD: PublicKey = { kid: 'old', thumbprint: '1' };
const NEW: PublicKey = { kid: 'new', thumbprint: '2' };
const unavailable = new Fault('kubernetes-unavailable', 'ECONNREFUSED', { remedy: 'Check it.' });
const forbidden = new Fault('kubernetes-forbidden', 'cannot get path', { remedy: 'Bind it.' });

let clock: ManualClock;
let looks: number[];
let compared: boolean[];
let lines: { level: string; fields: Told }[];
let found: () => Promise<readonly PublicKey[]>;
let ending: AbortController;
let running: Promise<void>;

beforeEach(() => {
  clock = new ManualClock(0);
  [looks, compared, lines] = [[], [], []];
  ending = new AbortController();
});

function start(first: () => Promise<readonly PublicKey[]>, random = 0.5): void {
  found = first;
  const line = (level: string) => (fields: object) => {
    lines.push({ level, fields: { ...fields } });
  };
  const rotation = new KeyRotation({
    read: () => {
      looks.push(clock.now());
      return found();
    },
    effects: { sleep: clock.sleep, random: () => random },
    events: { clusterKeysCompared: (changed) => compared.push(changed) },
    log: { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') },
  });
  running = rotation.run(ending.signal);
}

describe('keys', () => {
  test('are looked at at once, then every hour, more or less', async () => {
    start(async () => [OLD], 0.9);
    await clock.advance(3 * HOUR);
    expect(looks).toEqual([0, 1.4 * HOUR, 2.8 * HOUR]);
    expect(compared).toEqual([false, false, false]);
    expect(lines).toEqual([]);
  });

  test('in another order are the same', async () => {
    start(async () => [OLD, NEW]);
    await clock.advance(0);
    found = async () => [NEW, OLD];
    await clock.advance(HOUR);
    expect(compared).toEqual([false, false]);
  });

  test('one added: logged once, with what to do before it is used', async () => {
    start(async () => [OLD]);
    await clock.advance(0);
    found = async () => [OLD, NEW];
    await clock.advance(2 * HOUR);
    expect(compared).toEqual([false, true, true]);
    expect(lines).toEqual([
      { level: 'warn', fields: { added: ['new'], removed: [], remedy: expect.stringContaining('rejects') } },
    ]);
    expect(lines[0]?.fields.remedy).toContain('scripts/create-or-update-provider --check');
  });

  test('one removed: logged, with what to do after its last use', async () => {
    start(async () => [OLD, NEW]);
    await clock.advance(0);
    found = async () => [NEW];
    await clock.advance(HOUR);
    expect(lines).toEqual([
      { level: 'warn', fields: { added: [], removed: ['old'], remedy: expect.stringContaining('once') } },
    ]);
  });

  test('logs each further change, and a return to the first keys', async () => {
    start(async () => [OLD]);
    await clock.advance(0);
    for (const keys of [[OLD, NEW], [NEW], [OLD]]) {
      found = async () => keys;
      await clock.advance(HOUR);
    }
    expect(compared).toEqual([false, true, true, false]);
    expect(lines.map(({ level, fields }) => [level, fields.added, fields.removed])).toEqual([
      ['warn', ['new'], []],
      ['warn', ['new'], ['old']],
      ['info', undefined, undefined],
    ]);
  });
});

describe('a failure', () => {
  test('is logged once and retried with back-off; the metric stays absent', async () => {
    start(() => Promise.reject(unavailable));
    await clock.advance(75_000);
    expect(looks).toEqual([0, 10_000, 30_000, 70_000]);
    expect(compared).toEqual([]);
    expect(lines).toEqual([{ level: 'warn', fields: { reason: 'ECONNREFUSED', remedy: 'Check it.' } }]);

    found = async () => [OLD];
    await clock.advance(80_000);
    expect(compared).toEqual([false]);
    found = () => Promise.reject(unavailable);
    await clock.advance(HOUR + 15_000);
    expect(lines).toHaveLength(2);
    // a success resets the back-off
    expect((looks.at(-1) ?? 0) - (looks.at(-2) ?? 0)).toBe(10_000);
  });

  test('of permission is logged once, and retried no more than every hour', async () => {
    start(() => Promise.reject(forbidden));
    await clock.advance(2.5 * HOUR);
    expect(looks).toEqual([0, HOUR, 2 * HOUR]);
    expect(lines).toEqual([{ level: 'warn', fields: { reason: 'cannot get path', remedy: 'Bind it.' } }]);
  });

  test('later leaves the first keys the ones to compare with', async () => {
    start(async () => [OLD]);
    await clock.advance(0);
    found = () => Promise.reject(unavailable);
    await clock.advance(HOUR);
    found = async () => [NEW];
    await clock.advance(10_000);
    expect(compared).toEqual([false, true]);
  });
});

test('it ends with its signal, in the middle of a look too, and tells nothing of that', async () => {
  for (const read of [
    async () => [OLD],
    () =>
      new Promise<never>((_, reject) => {
        ending.signal.addEventListener('abort', () => reject(ending.signal.reason), { once: true });
      }),
  ]) {
    ending = new AbortController();
    start(read);
    await clock.advance(0);
    ending.abort();
    await running;
  }
  expect(lines).toEqual([]);
  expect(clock.sleepers).toBe(0);
});
