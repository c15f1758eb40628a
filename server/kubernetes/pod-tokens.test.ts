import { beforeAll, describe, expect, test } from 'bun:test';
import { exportJWK, generateKeyPair, type JSONWebKeySet, type JWTPayload, SignJWT } from 'jose';
import { Fault } from '../core/fault.ts';
import { PodTokens, TokenRejected } from './pod-tokens.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const AUDIENCE = 'pods.eks.amazonaws.com';
const CLAIMS: JWTPayload = {
  aud: [AUDIENCE],
  exp: NOW / 1000 + 600,
  sub: 'system:serviceaccount:shop:cart',
  'kubernetes.io': {
    namespace: 'shop',
    pod: { name: 'cart-1', uid: 'pod-uid' },
    serviceaccount: { name: 'cart', uid: 'sa-uid' },
  },
};

const { exp: _, ...ENDLESS } = CLAIMS;

let first: CryptoKeyPair;
let second: CryptoKeyPair;
beforeAll(async () => {
  [first, second] = await Promise.all([generateKeyPair('RS256'), generateKeyPair('RS256')]);
});

async function keySet(pairs: Record<string, CryptoKeyPair>): Promise<JSONWebKeySet> {
  const keys = Object.entries(pairs).map(async ([kid, { publicKey }]) => ({
    ...(await exportJWK(publicKey)),
    kid,
    alg: 'RS256',
  }));
  return { keys: await Promise.all(keys) };
}

function sign(claims: JWTPayload, kid = 'first', pair = first): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid }).sign(pair.privateKey);
}

function setUp() {
  const time = { now: NOW };
  const cluster = { reads: 0, keys: () => keySet({ first }) };
  const tokens = new PodTokens({
    audience: AUDIENCE,
    effects: { now: () => time.now },
    readKeys: () => {
      cluster.reads++;
      return cluster.keys();
    },
  });
  return { tokens, time, cluster };
}

async function rejection(promise: Promise<unknown>): Promise<TokenRejected> {
  const error = await promise.catch((thrown: unknown) => thrown);
  if (!(error instanceof TokenRejected)) throw error;
  return error;
}

describe('PodTokens', () => {
  test('says whose token it is', async () => {
    const { tokens, cluster } = setUp();
    const token = await sign(CLAIMS);
    for (const _ of [1, 2]) {
      expect(await tokens.verify(token)).toEqual({
        namespace: 'shop',
        serviceAccountName: 'cart',
        podUID: 'pod-uid',
      });
    }
    expect(cluster.reads).toBe(1);
  });

  test.each<[string, JWTPayload, string]>([
    ['another audience', { ...CLAIMS, aud: 'sts.amazonaws.com' }, 'unexpected "aud" claim value'],
    ['an expired token', { ...CLAIMS, exp: NOW / 1000 - 1 }, '"exp" claim timestamp check failed'],
    ['a token without an end', ENDLESS, 'missing required "exp" claim'],
    [
      'a token of the Node',
      { ...CLAIMS, 'kubernetes.io': { namespace: 'shop' } },
      'it is not bound to a Pod',
    ],
    ['a token of another system', { ...CLAIMS, 'kubernetes.io': 'x' }, 'it is not bound to a Pod'],
  ])('rejects %s', async (_, claims, message) => {
    const { tokens } = setUp();
    expect(await rejection(tokens.verify(await sign(claims)))).toMatchObject({ reason: 'invalid', message });
  });

  test.each([
    ['', 'it is not a JWT'],
    ['Bearer x', 'it is not a JWT'],
    ['a.b.c', 'it is not a JWT'],
    ['x'.repeat(20_000), 'it is too long'],
  ])('rejects %j as no token', async (text, message) => {
    const { tokens } = setUp();
    expect(await rejection(tokens.verify(text))).toMatchObject({ reason: 'unparsable', message });
  });

  test('rejects a signature of another key, and none', async () => {
    const { tokens } = setUp();
    expect((await rejection(tokens.verify(await sign(CLAIMS, 'first', second)))).reason).toBe('invalid');
    const [, payload] = (await sign(CLAIMS)).split('.');
    const none = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.`;
    await rejection(tokens.verify(none));
  });

  test('knows a new key of the cluster at once, and asks for keys once in ten seconds only', async () => {
    const { tokens, cluster, time } = setUp();
    await tokens.verify(await sign(CLAIMS));
    cluster.keys = () => keySet({ first, second });
    const token = await sign(CLAIMS, 'second', second);
    await rejection(tokens.verify(token));
    expect(cluster.reads).toBe(1);
    time.now += 10_000;
    expect((await tokens.verify(token)).podUID).toBe('pod-uid');
    for (const _ of [1, 2, 3]) await rejection(tokens.verify(await sign(CLAIMS, 'third')));
    expect(cluster.reads).toBe(2);
  });

  test('forgets a token when it expires', async () => {
    const { tokens, time } = setUp();
    const token = await sign(CLAIMS);
    await tokens.verify(token);
    time.now += 601_000;
    await rejection(tokens.verify(token));
  });

  test('passes on that the keys cannot be read', async () => {
    const { tokens, cluster } = setUp();
    const unavailable = new Fault('kubernetes-unavailable', 'gone', { remedy: '' });
    cluster.keys = () => Promise.reject(unavailable);
    await expect(tokens.verify(await sign(CLAIMS))).rejects.toBe(unavailable);
    cluster.keys = () => keySet({ first });
    expect((await tokens.verify(await sign(CLAIMS))).podUID).toBe('pod-uid');
  });
});
