import { describe, expect, test } from 'bun:test';
import { FakeMetadata } from '../testing/fake-metadata.ts';

const TOKEN = '/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://vault.azure.net';
const AZURE = { headers: { Metadata: 'true' } };

/** Status, type and JSON of an answer. */
async function ask(path: string, init: RequestInit): Promise<unknown[]> {
  const response = await new FakeMetadata().get(path, init);
  return [response.status, response.headers.get('content-type'), await response.json()];
}

function refusal(error_description: string) {
  return [400, 'application/json', { error: 'invalid_request', error_description }];
}

describe("a path of Azure's metadata service is 400 with its JSON, never 404, which its SDKs retry", () => {
  test.each([
    TOKEN,
    '/metadata/identity',
    '/metadata/identity/',
    '/METADATA/identity/oauth2/token',
    '/Metadata/Identity/info?api-version=2018-02-01',
    '/%6detadata/identity/oauth2/token',
  ])('%s', async (path) => {
    expect(await ask(path, AZURE)).toEqual(refusal('Identity not found'));
  });

  test.each(['/metadata/instance?api-version=2021-02-01', '/metadata/instance/compute/vmId'])(
    '%s',
    async (path) => {
      expect(await ask(path, AZURE)).toEqual(refusal('Instance metadata not found'));
    },
  );

  test('and names the header that is missing: `Metadata: true`, in any case', async () => {
    for (const headers of [{}, { Metadata: 'false' }, { 'Metadata-Flavor': 'Google' }]) {
      expect(await ask(TOKEN, { headers })).toEqual(refusal('Required metadata header not specified'));
    }
    expect(await ask(TOKEN, { headers: { metadata: 'True' } })).toEqual(refusal('Identity not found'));
  });
});

test.each(['/metadata', '/metadata/', '/metadata/v1.json', '/metadata/identityx', '/x/metadata/identity'])(
  '%s is nobody in particular',
  async (path) => {
    expect((await new FakeMetadata().get(path, AZURE)).status).toBe(404);
  },
);

test('a request that a proxy has forwarded is refused, as Azure does', async () => {
  const headers = { ...AZURE.headers, 'X-Forwarded-For': '10.0.0.1' };
  expect((await new FakeMetadata().get(TOKEN, { headers })).status).toBe(403);
});

test("an AWS SDK's request for a session is 405 and for a role 404: it goes on after these two", async () => {
  const metadata = new FakeMetadata();
  const session = await metadata.get('/latest/api/token', {
    method: 'PUT',
    headers: { 'x-aws-ec2-metadata-token-ttl-seconds': '21600' },
  });
  const role = await metadata.get('/latest/meta-data/iam/security-credentials/', { headers: {} });
  expect([session.status, role.status]).toEqual([405, 404]);
});
