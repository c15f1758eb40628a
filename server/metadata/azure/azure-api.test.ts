import { describe, expect, test } from 'bun:test';
import { AzureFault } from '../../azure/azure-fault.ts';
import type { AzureTokenRequest } from '../../azure/azure-tokens.ts';
import type { AzureToken } from '../../azure/entra.ts';
import { Fault } from '../../core/fault.ts';
import { Secret } from '../../core/secret.ts';
import { FakeMetadata, fault, NOW, PEER } from '../../testing/fake-metadata.ts';

const TOKEN = '/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://vault.azure.net';
const AZURE = { headers: { Metadata: 'true' } };

/** Status, type and JSON of a response. */
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

const CLIENT = '00000000-aaaa-bbbb-cccc-000000000001';

describe('with Azure tokens', () => {
  function setUp(failure?: unknown) {
    const metadata = new FakeMetadata();
    const asked: AzureTokenRequest[] = [];
    const token: AzureToken = {
      token: new Secret('azure-token'),
      issuedAt: NOW,
      expiresAt: NOW + 3_600_000,
      clientID: CLIENT,
      resource: 'https://vault.azure.net',
    };
    const azureTokens = {
      token: async (_: unknown, request: AzureTokenRequest) => {
        asked.push(request);
        if (failure !== undefined) throw failure;
        return token;
      },
    };
    const app = metadata.app({}, { azureTokens: { ...azureTokens, cachedToken: () => undefined } });
    const get = (path: string, headers: Record<string, string> = AZURE.headers) =>
      app.handle(new Request(`http://169.254.169.254${path}`, { headers }));
    return { metadata, get, asked };
  }

  test("a token is Azure's JSON, in which all values are strings", async () => {
    const { get, asked, metadata } = setUp();
    metadata.time = NOW + 1500;
    const response = await get(TOKEN);
    expect([response.status, response.headers.get('content-type')]).toEqual([
      200,
      'application/json; charset=utf-8',
    ]);
    expect(await response.json()).toEqual({
      access_token: 'azure-token',
      client_id: CLIENT,
      expires_in: '3598',
      expires_on: String(NOW / 1000 + 3600),
      ext_expires_in: '3598',
      not_before: String(NOW / 1000),
      resource: 'https://vault.azure.net',
      token_type: 'Bearer',
    });
    expect(asked).toEqual([{ resource: 'https://vault.azure.net', clientID: undefined }]);
  });

  test('a slash at the end changes nothing: MSAL for Node.js adds one to the authority of a variable', async () => {
    const { get } = setUp();
    expect((await get(TOKEN.replace('token?', 'token/?'))).status).toBe(200);
  });

  test('a client is asked for by its ID', async () => {
    const { get, asked } = setUp();
    await get(`${TOKEN}&client_id=${CLIENT}`);
    expect(asked[0]?.clientID).toBe(CLIENT);
  });

  test.each([
    ['/metadata/identity/oauth2/token?resource=x', "Required query variable 'api-version' is missing"],
    [
      '/metadata/identity/oauth2/token?api-version=2018-02-01',
      "Required query variable 'resource' is missing",
    ],
    [
      `${TOKEN}&msi_res_id=/subscriptions/1`,
      "Identity not found: a Pod's identity is named by client_id, or by its ServiceAccount",
    ],
    [
      `${TOKEN}&object_id=1`,
      "Identity not found: a Pod's identity is named by client_id, or by its ServiceAccount",
    ],
  ])('%s is 400', async (path, description) => {
    const { get, asked } = setUp();
    const response = await get(path);
    expect([response.status, await response.json()]).toEqual([
      400,
      { error: 'invalid_request', error_description: description },
    ]);
    expect(asked).toEqual([]);
  });

  test.each<[string, unknown, number, object]>([
    [
      'a refusal of Entra',
      new AzureFault('entra-refused', { status: 401, error: 'invalid_client', description: 'AADSTS1: no' }),
      400,
      { error: 'invalid_client', error_description: 'AADSTS1: no' },
    ],
    [
      'no response of Entra',
      new AzureFault('entra-unavailable', {}),
      503,
      { error: 'temporarily_unavailable', error_description: 'Microsoft Entra does not respond; try again.' },
    ],
    [
      'a missing annotation',
      new Fault('azure-identity-missing', 'ServiceAccount a/b has no annotation', { remedy: '' }),
      400,
      {
        error: 'invalid_request',
        error_description: 'Identity not found: ServiceAccount a/b has no annotation',
      },
    ],
    [
      'a bad parameter',
      new Fault('parameter-invalid', 'invalid resource', { remedy: '' }),
      400,
      { error: 'invalid_request', error_description: 'invalid resource' },
    ],
    [
      'a refusal of the API server',
      fault('kubernetes-forbidden'),
      400,
      {
        error: 'invalid_request',
        error_description: expect.stringMatching(/^Identity not found: The Kubernetes API server refused/),
      },
    ],
    [
      'no response of the API server',
      fault('kubernetes-unavailable'),
      503,
      { error: 'temporarily_unavailable', error_description: expect.stringContaining('try again') },
    ],
    ['a bug', new Error('a bug'), 500, { error: 'server_error', error_description: 'Internal Server Error' }],
  ])('%s is a response that SDKs understand', async (_, failure, status, json) => {
    const { get } = setUp(failure);
    const response = await get(TOKEN);
    expect([response.status, await response.json()]).toEqual([status, json]);
    expect(response.headers.has('retry-after')).toBe(status === 503);
  });

  test('a bug is logged', async () => {
    const { get, metadata } = setUp(new Error('a bug'));
    await get(TOKEN);
    expect(metadata.logged).toMatchObject([{ level: 'error', message: 'unexpected failure' }]);
  });

  test('an address that no Pod has gets no token', async () => {
    const { get, metadata, asked } = setUp();
    metadata.peer = `${PEER}8`;
    const response = await get(TOKEN);
    expect(response.status).toBe(400);
    expect(asked).toEqual([]);
  });

  test('requests are counted by their route, whatever their case', async () => {
    const { get, metadata } = setUp();
    await get(TOKEN.replace('metadata', 'METADATA'));
    const { text } = await metadata.metrics.exposition();
    expect(text).toContain(
      'http_requests_total{route="/metadata/identity/oauth2/token",method="GET",status="200"} 1',
    );
  });
});
