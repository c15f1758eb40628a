import { describe, expect, test } from 'bun:test';
import { ACCESS_TOKEN, EMAIL, FakeMetadata, fault, ID_TOKEN } from '../testing/fake-metadata.ts';
import { TREE } from './tree.ts';

const V1 = '/computeMetadata/v1/';
const SA = `${V1}instance/service-accounts/`;
const SCOPES = [
  'https://www.googleapis.com/auth/cloud-platform',
  'https://www.googleapis.com/auth/userinfo.email',
] as const;
const UID = '5ab836d267c92b37bfef63cf8009038ed7f36363f502ad4d6b018bc904520f8e';

interface Expected {
  readonly text: string;
  readonly json?: unknown;
}

/** Each row of the tree, and what it says. */
const EXPECTED: Readonly<Record<string, Expected>> = {
  '/': { text: 'computeMetadata/\n', json: ['computeMetadata/'] },
  '/computeMetadata/': { text: 'v1/\n', json: ['v1/'] },
  [V1]: { text: 'instance/\nproject/\n', json: ['instance/', 'project/'] },
  [`${V1}instance/`]: {
    text: 'attributes/\nhostname\nid\nservice-accounts/\nzone\n',
    json: ['attributes/', 'hostname', 'id', 'service-accounts/', 'zone'],
  },
  [`${V1}instance/attributes/`]: {
    text: 'cluster-location\ncluster-name\ncluster-uid\n',
    json: ['cluster-location', 'cluster-name', 'cluster-uid'],
  },
  [`${V1}instance/attributes/cluster-location`]: { text: 'eu-west-1b', json: 'eu-west-1b' },
  [`${V1}instance/attributes/cluster-name`]: { text: 'my-cluster', json: 'my-cluster' },
  [`${V1}instance/attributes/cluster-uid`]: { text: UID, json: UID },
  [`${V1}instance/hostname`]: { text: 'node-1', json: 'node-1' },
  [`${V1}instance/id`]: { text: '3279901371310574', json: 3279901371310574 },
  [`${V1}instance/name`]: { text: 'node-1', json: 'node-1' },
  [`${V1}instance/pod-uid`]: { text: 'p-1', json: 'p-1' },
  [`${V1}instance/zone`]: {
    text: 'projects/123456789012/zones/eu-west-1b',
    json: 'projects/123456789012/zones/eu-west-1b',
  },
  [SA]: { text: `default/\n${EMAIL}/\n`, json: ['default/', `${EMAIL}/`] },
  [`${SA}:account/`]: {
    text: 'aliases\nemail\nidentity\nscopes\ntoken\n',
    json: ['aliases', 'email', 'identity', 'scopes', 'token'],
  },
  [`${SA}:account/aliases`]: { text: 'default\n', json: ['default'] },
  [`${SA}:account/email`]: { text: EMAIL, json: EMAIL },
  [`${SA}:account/identity`]: { text: ID_TOKEN },
  [`${SA}:account/scopes`]: { text: `${SCOPES[0]}\n${SCOPES[1]}\n`, json: [...SCOPES] },
  [`${SA}:account/token`]: {
    text: `{"access_token":"${ACCESS_TOKEN}","expires_in":3600,"token_type":"Bearer"}`,
  },
  [`${V1}project/`]: {
    text: 'numeric-project-id\nproject-id\n',
    json: ['numeric-project-id', 'project-id'],
  },
  [`${V1}project/numeric-project-id`]: { text: '123456789012', json: 123456789012 },
  [`${V1}project/project-id`]: { text: 'my-project', json: 'my-project' },
  [`${V1}universe/`]: { text: 'universe-domain\n', json: ['universe-domain'] },
  [`${V1}universe/universe-domain`]: { text: 'googleapis.com', json: 'googleapis.com' },
  [`${V1}universe/universe_domain`]: { text: 'googleapis.com', json: 'googleapis.com' },
};

test('this file has an expectation for each path of the tree', () => {
  expect(TREE.map(({ path }) => path).sort()).toEqual(Object.keys(EXPECTED).sort());
});

describe.each(TREE.map((row) => [row.path, row] as const))('%s', (template, row) => {
  const { text, json } = EXPECTED[template] ?? { text: 'no expectation' };
  const path = template.replace(':account', 'default');
  const query = row.kind === 'identity-token' ? '?audience=a' : '';

  test('as text, typed, with flavor, server and a stable ETag', async () => {
    const metadata = new FakeMetadata();
    const response = await metadata.get(path + query);
    expect([response.status, await response.text()]).toEqual([200, text]);
    expect(response.headers.toJSON()).toEqual({
      'content-type': row.kind === 'access-token' ? 'application/json' : 'application/text',
      'metadata-flavor': 'Google',
      server: 'GKE Metadata Server',
      etag: expect.stringMatching(/^[0-9a-f]{16}$/),
    });
    metadata.time += 30_000;
    expect((await metadata.get(path + query)).headers.get('etag')).toBe(response.headers.get('etag'));
  });

  test('as JSON if it has that form', async () => {
    const response = await new FakeMetadata().get(`${path}?alt=json&audience=a`);
    if (json === undefined) expect(await response.text()).toBe(text);
    else
      expect([response.headers.get('content-type'), await response.json()]).toEqual([
        'application/json',
        json,
      ]);
  });

  test('a directory without its slash is a redirect that keeps the query; a value with one is not found', async () => {
    if (path === '/') return;
    const metadata = new FakeMetadata();
    if (row.kind !== 'directory')
      return expect(await metadata.text(`${path}/`)).toEqual([404, 'Not Found\n']);
    const response = await metadata.get(`${path.slice(0, -1)}?recursive=true&alt=json`);
    expect([
      response.status,
      response.headers.get('location'),
      response.headers.get('metadata-flavor'),
    ]).toEqual([301, `${path}?recursive=true&alt=json`, 'Google']);
  });

  test('everything a directory lists exists', async () => {
    if (row.kind !== 'directory') return;
    const metadata = new FakeMetadata();
    for (const name of text.trimEnd().split('\n')) {
      expect((await metadata.get(`${path}${name}${name === 'identity' ? '?audience=a' : ''}`)).status).toBe(
        200,
      );
    }
  });

  test('counted under its template', async () => {
    const metadata = new FakeMetadata();
    await metadata.get(path + query);
    const { text: shown } = await metadata.metrics.exposition();
    expect(shown).toContain(`http_requests_total{route="${template}",method="GET",status="200"} 1\n`);
  });
});

test('no path has an empty value, though the Node has no labels', async () => {
  const metadata = new FakeMetadata();
  if (metadata.node === undefined) throw new Error('the Node is known here');
  metadata.node = { ...metadata.node, labels: {} };
  for (const { path, kind } of TREE) {
    const query = kind === 'identity-token' ? '?audience=a' : '';
    const [status, body] = await metadata.text(path.replace(':account', 'default') + query);
    expect([path, status, body]).toEqual([path, 200, expect.stringMatching(/\S/)]);
    // a name that ends in a slash is a directory; a value that does has nothing behind it
    if (kind !== 'directory') expect(body).not.toMatch(/\/$/m);
  }
  const [, everything] = await metadata.text(`${V1}?recursive=true`);
  expect(everything).not.toMatch(/""|\/"|null|\{\}|\[\]/);
});

const INSTANCE_JSON = {
  attributes: { 'cluster-location': 'eu-west-1b', 'cluster-name': 'my-cluster', 'cluster-uid': UID },
  hostname: 'node-1',
  id: 3279901371310574,
  serviceAccounts: {
    default: { aliases: ['default'], email: EMAIL, scopes: [...SCOPES] },
    [EMAIL]: { aliases: ['default'], email: EMAIL, scopes: [...SCOPES] },
  },
  zone: 'projects/123456789012/zones/eu-west-1b',
};

describe('recursion', () => {
  test('is one JSON object: camel case except attributes and accounts, numbers as numbers, no tokens', async () => {
    const response = await new FakeMetadata().get(`${V1}?recursive=true`);
    expect(response.headers.get('content-type')).toBe('application/json');
    expect(await response.json()).toEqual({
      instance: INSTANCE_JSON,
      project: { numericProjectId: 123456789012, projectId: 'my-project' },
    });
  });

  test.each([
    ['instance/', INSTANCE_JSON],
    ['instance/attributes/', INSTANCE_JSON.attributes],
    ['instance/service-accounts/', INSTANCE_JSON.serviceAccounts],
    ['instance/service-accounts/default/', INSTANCE_JSON.serviceAccounts.default],
    [`instance/service-accounts/${EMAIL}/`, INSTANCE_JSON.serviceAccounts.default],
    ['universe/', { universeDomain: 'googleapis.com' }],
  ])('starts at %s too', async (path, expected) => {
    expect(await (await new FakeMetadata().get(`${V1}${path}?recursive=TRUE`)).json()).toEqual(expected);
  });

  test('as text is one line for each value', async () => {
    expect(
      await new FakeMetadata().text(`${V1}instance/service-accounts/default/?recursive=true&alt=text`),
    ).toEqual([200, `aliases/0 default\nemail ${EMAIL}\nscopes/0 ${SCOPES[0]}\nscopes/1 ${SCOPES[1]}\n`]);
  });

  test.each(['/', '/computeMetadata/'])('does not begin above the version, at %s', async (path) => {
    expect(await new FakeMetadata().text(`${path}?recursive=true`)).toEqual([
      200,
      EXPECTED[path]?.text ?? '',
    ]);
  });

  test('that fails permanently is 500 with its text, that fails transiently 503', async () => {
    const metadata = new FakeMetadata();
    metadata.callerFailure = fault('node-without-service-account');
    expect(await metadata.text(`${V1}?recursive=true`)).toEqual([500, 'Could not recursively fetch uri\n']);
    expect(await metadata.text(`${V1}project/?recursive=true`)).toEqual([
      200,
      '{"numericProjectId":123456789012,"projectId":"my-project"}',
    ]);
    metadata.callerFailure = fault('stores-not-in-sync');
    expect((await metadata.get(`${V1}?recursive=true`)).status).toBe(503);
  });

  test('is not asked of a token: extra parameters are ignored', async () => {
    const [status, body] = await new FakeMetadata().text(`${SA}default/token?recursive=true&x=y&__proto__=1`);
    expect([status, JSON.parse(body).token_type]).toEqual([200, 'Bearer']);
  });
});
