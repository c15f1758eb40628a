import { describe, expect, test } from 'bun:test';
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose';
import { Fault } from '../core/fault.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { ApiServer } from './api-server.ts';
import { Field } from './field.ts';
import { keySetDifference, parseKeySet, readClusterKeys } from './key-set.ts';

async function jwk(algorithm = 'RS256', kid = 'a'): Promise<Record<string, unknown>> {
  const { publicKey } = await generateKeyPair(algorithm);
  return { use: 'sig', alg: algorithm, kid, ...(await exportJWK(publicKey)) };
}

const parse = (keys: unknown) => parseKeySet(new Field({ keys }, 'JWKS'));

/** What `readClusterKeys` makes of an answer, and what it asked. */
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

  test('an answer that is far too long is not read to its end', async () => {
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
