import { describe, expect, test } from 'bun:test';
import { ATTRIBUTE_MAPPING, plan, type Wanted } from './plan.ts';
import type { GoogleState, ProviderState } from './provider-state.ts';

const KEY = { kid: 'old', thumbprint: '1' };
const WANTED: Wanted = {
  names: { project: 'project', pool: 'pool', provider: 'cluster' },
  cluster: { issuer: 'https://issuer', jwks: '{}', keys: [KEY], algorithms: ['RS256'] },
  publicIssuer: false,
  jwksFile: 'jwks.json',
};
const PROVIDER: ProviderState = {
  deleted: false,
  disabled: false,
  name: 'projects/1/locations/global/workloadIdentityPools/pool/providers/cluster',
  issuer: 'https://issuer',
  keys: [KEY],
  attributeMapping: ATTRIBUTE_MAPPING,
  allowedAudiences: [],
};
const POOL = { deleted: false, disabled: false };

/** The verb and flags of each step, without those that name the place. */
function steps(state: Partial<GoogleState>, wanted: Partial<Wanted> = {}): string[] {
  return plan({ ...WANTED, ...wanted }, { pool: POOL, provider: PROVIDER, ...state }).map(({ args }) =>
    args
      .slice(2)
      .filter((arg) => !/^--(?:project|location|workload-identity-pool)=/.test(arg))
      .join(' '),
  );
}

const changed = (fields: Partial<ProviderState>, wanted?: Partial<Wanted>) =>
  steps({ provider: { ...PROVIDER, ...fields } }, wanted);
const MAPPING =
  "google.subject=assertion.sub,attribute.namespace=assertion['kubernetes.io']['namespace']," +
  "attribute.service_account_name=assertion['kubernetes.io']['serviceaccount']['name']";

describe('nothing', () => {
  test('nothing if all is as desired', () => expect(steps({})).toEqual([]));
  test('of the attributes that somebody has added', () => {
    expect(changed({ attributeMapping: { ...ATTRIBUTE_MAPPING, 'attribute.own': 'x' } })).toEqual([]);
  });
  test("of allowed audiences that have the provider's name", () => {
    expect(changed({ allowedAudiences: ['other', `//iam.googleapis.com/${PROVIDER.name}`] })).toEqual([]);
  });
});

test('from nothing: the pool, then the provider with all it needs', () => {
  expect(steps({ pool: undefined, provider: undefined })).toEqual([
    'create pool',
    `providers create-oidc cluster --issuer-uri=https://issuer --attribute-mapping=${MAPPING} --jwk-json-path=jwks.json`,
  ]);
});

test('what was deleted is undeleted, and then brought up to date', () => {
  const provider = { ...PROVIDER, deleted: true, issuer: 'https://other' };
  expect(steps({ pool: { ...POOL, deleted: true }, provider })).toEqual([
    'undelete pool',
    'providers undelete cluster',
    'providers update-oidc cluster --issuer-uri=https://issuer',
  ]);
});

describe('one update with what differs', () => {
  const NEW = { kid: 'new', thumbprint: '2' };

  test('a key that the cluster has added', () => {
    const cluster = { ...WANTED.cluster, keys: [KEY, NEW] };
    expect(steps({}, { cluster })).toEqual(['providers update-oidc cluster --jwk-json-path=jwks.json']);
    const [step] = plan({ ...WANTED, cluster }, { pool: POOL, provider: PROVIDER });
    expect(step?.why).toEqual(["the provider lacks the cluster's key new: Google refuses what it signs"]);
  });

  test('a key that the cluster has no more, and one that cannot be read', () => {
    expect(changed({ keys: [KEY, NEW] })).toEqual([
      'providers update-oidc cluster --jwk-json-path=jwks.json',
    ]);
    expect(changed({ keys: [] })).toHaveLength(1);
    expect(changed({ keys: undefined })).toHaveLength(1);
  });

  test('several differences are one command', () => {
    expect(changed({ issuer: 'https://other', keys: [NEW] })).toEqual([
      'providers update-oidc cluster --issuer-uri=https://issuer --jwk-json-path=jwks.json',
    ]);
  });

  test('a mapping keeps what somebody has added, with any characters', () => {
    const attributeMapping = { 'google.subject': 'assertion.other', 'attribute.own': 'f(a, b)' };
    expect(changed({ attributeMapping })).toEqual([
      `providers update-oidc cluster --attribute-mapping=^;^google.subject=assertion.sub;attribute.own=f(a, b);${MAPPING.split(',').slice(1).join(';')}`,
    ]);
  });

  test('allowed audiences get its own name beside them', () => {
    expect(changed({ allowedAudiences: ['other'] })).toEqual([
      `providers update-oidc cluster --allowed-audiences=other,//iam.googleapis.com/${PROVIDER.name}`,
    ]);
  });
});

describe('a public issuer', () => {
  test('needs no keys', () => {
    expect(changed({ keys: undefined }, { publicIssuer: true })).toEqual([]);
    expect(steps({ provider: undefined }, { publicIssuer: true })).toEqual([
      `providers create-oidc cluster --issuer-uri=https://issuer --attribute-mapping=${MAPPING}`,
    ]);
  });
  test('is not looked at while there are uploaded keys: they are taken away', () => {
    expect(steps({}, { publicIssuer: true })).toEqual([
      'providers update-oidc cluster --jwk-json-path=jwks.json',
    ]);
  });
});
