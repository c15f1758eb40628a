import { expect, test } from 'bun:test';
import { exportJWK, generateKeyPair, type JWK } from 'jose';
import { parseKeySet } from '../../server/kubernetes/cluster-keys.ts';
import { Field } from '../../server/kubernetes/field.ts';
import type { ClusterIssuer } from '../provider/cluster-issuer.ts';
import { makeDocuments } from './documents.ts';
import { parseIssuer, requireSameIssuer } from './issuer-url.ts';

const ISSUER = 'https://bucket.s3.eu-central-1.amazonaws.com/my-cluster';

async function newKey(kid: string, alg = 'RS256'): Promise<{ publicKey: JWK; privateKey: JWK }> {
  const pair = await generateKeyPair(alg, { extractable: true });
  const named = async (key: CryptoKey) => ({ use: 'sig', kid, alg, ...(await exportJWK(key)) });
  return { publicKey: await named(pair.publicKey), privateKey: await named(pair.privateKey) };
}

async function clusterWith(...keys: readonly JWK[]): Promise<ClusterIssuer> {
  const jwks = JSON.stringify({ keys });
  const algorithms = keys.map(({ alg = '' }) => alg);
  return { issuer: ISSUER, jwks, keys: await parseKeySet(new Field({ keys }, 'JWKS')), algorithms };
}

const kept = (...keys: readonly JWK[]) => ({ file: 'old.json', text: JSON.stringify({ keys }) });
const keysOf = (jwks: string): JWK[] => JSON.parse(jwks).keys;

test('the discovery document has what OpenID Connect and AWS require, at the public URLs', async () => {
  const { publicKey } = await newKey('a');
  const { documents, notes } = await makeDocuments(await clusterWith(publicKey), []);
  expect(JSON.parse(documents['/.well-known/openid-configuration'])).toEqual({
    issuer: ISSUER,
    jwks_uri: `${ISSUER}/openid/v1/jwks`,
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
    claims_supported: ['sub', 'iss'],
  });
  expect(keysOf(documents['/openid/v1/jwks'])).toEqual([publicKey]);
  expect(notes).toEqual([]);
});

test('a kept key follows those of the cluster, and one that the cluster has is there once', async () => {
  const [now, old] = [(await newKey('now')).publicKey, (await newKey('old', 'ES256')).publicKey];
  const { documents, keys, notes } = await makeDocuments(await clusterWith(now), [kept(old, now), kept(old)]);
  expect(keysOf(documents['/openid/v1/jwks'])).toEqual([now, old]);
  expect(keys.map(({ kid }) => kid)).toEqual(['now', 'old']);
  expect(JSON.parse(documents['/.well-known/openid-configuration'])).toMatchObject({
    id_token_signing_alg_values_supported: ['RS256', 'ES256'],
  });
  expect(notes).toEqual([expect.stringContaining('Entra verifies RS256 only')]);
});

test('no private key is published, nor a member that is not public', async () => {
  const [{ publicKey }, other] = [await newKey('a'), await newKey('b')];
  const cluster = await clusterWith({ ...publicKey, x5u: 'http://127.0.0.1/' });
  const { documents } = await makeDocuments(cluster, []);
  expect(keysOf(documents['/openid/v1/jwks'])).toEqual([publicKey]);
  for (const key of [other.privateKey, { kty: 'oct', kid: 'c', alg: 'HS256', k: 'c2VjcmV0' }]) {
    expect(makeDocuments(cluster, [kept(key)])).rejects.toThrow('old.json has a private key.');
  }
});

test.each([
  ['no JSON', 'BEGIN PUBLIC KEY', 'it is not JSON'],
  ['a list', '[]', 'is empty'],
  ['no keys', '{"keys":[]}', 'is empty'],
  ['keys that are not a list', '{"keys":{}}', 'JWKS.keys is not a list'],
  ['a key without a name', '{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB","alg":"RS256"}]}', 'kid is missing'],
  [
    'a key that is not one',
    '{"keys":[{"kid":"a","kty":"RSA","alg":"RS256"}]}',
    'cannot parse the public key a',
  ],
  ['a key without alg', '{"keys":[{"kid":"a","kty":"RSA","n":"AQAB","e":"AQAB"}]}', 'the key a has no alg'],
])('a file to keep with %s is refused', async (_, text, why) => {
  const cluster = await clusterWith((await newKey('a')).publicKey);
  expect(makeDocuments(cluster, [{ file: 'old.json', text }])).rejects.toThrow(why);
});

test('another key with the ID of one that is there is refused', async () => {
  const [one, other] = [(await newKey('a')).publicKey, (await newKey('a')).publicKey];
  const cluster = await clusterWith(one);
  expect(makeDocuments(cluster, [kept(other)])).rejects.toThrow('old.json has another key with the ID a');
});

test.each([
  'http://bucket.example.com',
  'bucket.example.com',
  'https://user@bucket.example.com',
  'https://bucket.example.com/?a=b',
  'https://bucket.example.com/#a',
  'https://bucket.example.com/a b',
  '',
])('%p is not an issuer', (value) => {
  expect(() => parseIssuer(value)).toThrow('It must be an https URL');
});

test('another issuer than the cluster names is refused, with the flags to set', async () => {
  const cluster = await clusterWith((await newKey('a')).publicKey);
  expect(() => requireSameIssuer(ISSUER, cluster)).not.toThrow();
  expect(() => requireSameIssuer('https://other', cluster)).toThrow(
    `  --service-account-issuer=https://other\n  --service-account-jwks-uri=https://other/openid/v1/jwks\n  --service-account-issuer=${ISSUER}`,
  );
  expect(() => requireSameIssuer(`${ISSUER}/`, cluster)).toThrow('differs in a trailing slash');
});
