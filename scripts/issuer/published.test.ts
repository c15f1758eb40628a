import { beforeAll, expect, test } from 'bun:test';
import { exportJWK, generateKeyPair } from 'jose';
import type { Fetch } from '../../server/core/effects.ts';
import { parseKeySet } from '../../server/kubernetes/cluster-keys.ts';
import { Field } from '../../server/kubernetes/field.ts';
import type { ClusterIssuer } from '../provider/cluster-issuer.ts';
import { makeDocuments } from './documents.ts';
import { comparePublished } from './published.ts';

const ISSUER = 'https://bucket.example.com/my-cluster';
const DISCOVERY = `${ISSUER}/.well-known/openid-configuration`;
const JWKS = `${ISSUER}/openid/v1/jwks`;

let cluster: ClusterIssuer;
let discovery: Record<string, unknown>;
let keys: object[];
beforeAll(async () => {
  keys = await Promise.all([newKey('a'), newKey('b')]);
  cluster = await clusterWith(keys);
  const { documents } = await makeDocuments(cluster, []);
  discovery = JSON.parse(documents['/.well-known/openid-configuration']);
});

async function newKey(kid: string): Promise<object> {
  const { publicKey } = await generateKeyPair('RS256', { extractable: true });
  return { kid, alg: 'RS256', use: 'sig', ...(await exportJWK(publicKey)) };
}

async function clusterWith(jwks: readonly object[]): Promise<ClusterIssuer> {
  const parsed = await parseKeySet(new Field({ keys: jwks }, 'JWKS'));
  return { issuer: ISSUER, jwks: JSON.stringify({ keys: jwks }), keys: parsed, algorithms: ['RS256'] };
}

/** Serves these, and no other URL. */
function serving(responses: Record<string, () => Response>): Fetch {
  return async (url, init) => {
    expect(init?.redirect).toBe('manual');
    const response = responses[url];
    if (response === undefined) throw new Error(`no bucket at ${url}`);
    return response();
  };
}

const bucket = (changes: Record<string, () => Response> = {}) =>
  comparePublished(
    serving({
      [DISCOVERY]: () => Response.json(discovery),
      [JWKS]: () => Response.json({ keys }),
      ...changes,
    }),
    cluster,
  );

test('what is served is the cluster: nothing to say', async () => {
  expect(await bucket()).toEqual({ differences: [], notes: [] });
  const type = { 'Content-Type': 'application/jwk-set+json; charset=utf-8' };
  const asKubernetes = { [JWKS]: () => Response.json({ keys }, { headers: type }) };
  expect(await bucket(asKubernetes)).toEqual({ differences: [], notes: [] });
});

test.each([
  ['missing', () => new Response('', { status: 404 }), 'the response is 404. Upload it'],
  ['private', () => new Response('', { status: 403 }), 'the response is 403. Let everybody read it'],
  ['elsewhere', () => Response.redirect('https://other/x', 301), 'redirects to https://other/x'],
  ['a page', () => new Response('<html>', { headers: { 'Content-Type': 'text/html' } }), 'is not JSON'],
  ['endless', () => Response.json('x'.repeat(70_000)), 'a response longer than 65536 bytes'],
  [
    'away',
    () => {
      throw new Error('certificate has expired');
    },
    'certificate has expired. It must be reachable from the internet',
  ],
])('each of the two documents is %s', async (_, response, text) => {
  for (const url of [DISCOVERY, JWKS]) {
    const { differences } = await bucket({ [url]: response });
    expect(differences.at(-1)).toContain(text);
    expect(differences.at(-1)).toContain(url);
  }
});

test('without a Content-Type as of JSON', async () => {
  const { differences } = await bucket({
    [JWKS]: () =>
      new Response(JSON.stringify({ keys }), { headers: { 'Content-Type': 'binary/octet-stream' } }),
  });
  expect(differences).toEqual([
    `the Content-Type of ${JWKS} is binary/octet-stream: set it to application/json when you upload it`,
  ]);
});

test.each([
  ['another issuer', { issuer: `${ISSUER}/` }, `issuer is ${ISSUER}/, not ${ISSUER}`],
  ['no issuer', { issuer: undefined }, 'issuer is missing'],
  ['keys by http', { jwks_uri: 'http://bucket.example.com/keys' }, 'jwks_uri is not an https URL'],
  ['no claims', { claims_supported: undefined }, 'claims_supported lacks sub, iss'],
  ['an algorithm too few', { id_token_signing_alg_values_supported: 'RS256' }, 'lacks RS256'],
])('a discovery document with %s', async (_, changes, text) => {
  const { differences } = await bucket({ [DISCOVERY]: () => Response.json({ ...discovery, ...changes }) });
  expect(differences).toEqual([expect.stringContaining(text)]);
});

test('the keys are read from the URL in the document', async () => {
  const elsewhere = 'https://keys.example.com/keys.json';
  const served = {
    [DISCOVERY]: () => Response.json({ ...discovery, jwks_uri: elsewhere }),
    [elsewhere]: () => Response.json({ keys }),
    [JWKS]: () => Response.json({ keys: [] }),
  };
  expect(await bucket(served)).toEqual({ differences: [], notes: [] });
});

test('a key too few is a difference, one too many is worth a note, and so are keys that are cached for long', async () => {
  const [first, second] = keys;
  const other = await newKey('b');
  const few = await bucket({ [JWKS]: () => Response.json({ keys: [first] }) });
  expect(few.differences).toEqual([expect.stringContaining("lacks the cluster's key b")]);
  // the same name is not the same key
  const wrong = await bucket({ [JWKS]: () => Response.json({ keys: [first, other] }) });
  expect(wrong.differences).toEqual([expect.stringContaining("lacks the cluster's key b")]);
  const headers = { 'Cache-Control': 'public, max-age=3600' };
  const more = await bucket({
    [JWKS]: () => Response.json({ keys: [first, second, renamed(other)] }, { headers }),
  });
  expect(more.differences).toEqual([]);
  expect(more.notes).toEqual([
    expect.stringContaining('has the key c, which the cluster does not have'),
    expect.stringContaining('may be cached for 3600 s'),
  ]);
  const none = await bucket({ [JWKS]: () => Response.json({ keys: [] }) });
  expect(none.differences).toEqual([expect.stringContaining('is not a JWKS')]);
});

/** The same key under another name. */
function renamed(key: object): object {
  return { ...key, kid: 'c' };
}
