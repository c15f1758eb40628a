import { describe, expect, test } from 'bun:test';
import {
  ACCESS_TOKEN,
  annotated,
  EMAIL,
  FakeMetadata,
  fault,
  ID_TOKEN,
  NOW,
} from '../testing/fake-metadata.ts';

const SA = '/computeMetadata/v1/instance/service-accounts/';
const TOKEN = `${SA}default/token`;

describe('the access token', () => {
  test.each([true, false])('has its remaining life; cached: %p', async (warm) => {
    const metadata = new FakeMetadata();
    metadata.warm = warm;
    metadata.time = NOW + 100_500;
    const response = await metadata.get(TOKEN);
    expect(await response.json()).toEqual({
      access_token: ACCESS_TOKEN,
      expires_in: 3499,
      token_type: 'Bearer',
    });
    expect(response.headers.get('content-type')).toBe('application/json');
    expect(metadata.scopesAsked).toEqual(warm ? [] : ['']);
  });

  test('is for the requested scopes, whether in commas or repeated parameters', async () => {
    const metadata = new FakeMetadata();
    for (const query of ['?scopes=a,b', '?scopes=a&scopes=b', '?scopes=https%3A%2F%2Fa,b&recursive=true']) {
      expect((await metadata.get(TOKEN + query)).status).toBe(200);
    }
    expect(metadata.scopesAsked).toEqual(['a,b', 'a,b', 'https://a,b']);
  });

  test('that has already expired is 503, never expires_in 0', async () => {
    const metadata = new FakeMetadata();
    metadata.time = metadata.token.expiresAt - 999;
    expect((await metadata.get(TOKEN)).status).toBe(503);
  });

  test('that is refused is the text of the refusal', async () => {
    const metadata = new FakeMetadata();
    metadata.tokenFailure = fault('iam-permission-denied');
    const [status, body] = await metadata.text(TOKEN);
    expect([status, body]).toEqual([
      403,
      expect.stringContaining("Permission 'iam.serviceAccounts.getAccessToken'"),
    ]);
    metadata.tokenFailure = fault('google-unavailable');
    const response = await metadata.get(TOKEN);
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '5']);
  });
});

describe('the identity token', () => {
  test.each([true, false])('is text, whatever format and licenses say; cached: %p', async (warm) => {
    const metadata = new FakeMetadata();
    metadata.warm = warm;
    const response = await metadata.get(`${SA}${EMAIL}/identity?audience=warm&format=full&licenses=TRUE`);
    expect([response.status, response.headers.get('content-type'), await response.text()]).toEqual([
      200,
      'application/text',
      ID_TOKEN,
    ]);
    expect(metadata.audiencesAsked).toEqual(warm ? [] : ['warm']);
  });

  test('needs an audience', async () => {
    expect(await new FakeMetadata().text(`${SA}default/identity`)).toEqual([
      400,
      'non-empty audience parameter required',
    ]);
  });

  test('needs an annotation: 404 that names the ServiceAccount', async () => {
    const metadata = new FakeMetadata();
    metadata.annotations = annotated();
    const [status, body] = await metadata.text(
      `${SA}default/identity?audience=a&format=standard&licenses=FALSE`,
    );
    expect([status, body]).toEqual([
      404,
      expect.stringMatching(/^Your Kubernetes service account \(shop\/checkout\) is not annotated/),
    ]);
  });
});

describe('wait_for_change', () => {
  test('returns once the token changes, with its ETag', async () => {
    const metadata = new FakeMetadata();
    const before = (await metadata.get(TOKEN)).headers.get('etag');
    let slept = 0;
    metadata.sleep = async (milliseconds) => {
      metadata.time += milliseconds;
      if (++slept === 3) metadata.annotations = annotated('other@my-project.iam.gserviceaccount.com');
    };
    const response = await metadata.get(`${SA}default/email?wait_for_change=true&timeout_sec=60`);
    expect([await response.text(), slept]).toEqual(['other@my-project.iam.gserviceaccount.com', 3]);
    expect(response.headers.get('etag')).not.toBe(before);
  });

  test('of a token ends with its timeout though expires_in falls every second', async () => {
    const metadata = new FakeMetadata();
    const etag = (await metadata.get(TOKEN)).headers.get('etag');
    const response = await metadata.get(`${TOKEN}?wait_for_change=true&last_etag=${etag}&timeout_sec=60`);
    expect(metadata.time).toBe(NOW + 60_000);
    expect(await response.json()).toMatchObject({ expires_in: 3540 });
  });

  test('is only for known callers, even for values that are the same for all', async () => {
    const metadata = new FakeMetadata();
    metadata.peer = '::ffff:10.9.9.9';
    let slept = 0;
    metadata.sleep = async () => {
      slept++;
    };
    const response = await metadata.get('/computeMetadata/v1/instance/zone?wait_for_change=true');
    expect([response.status, slept]).toEqual([404, 0]);
    expect((await metadata.get('/computeMetadata/v1/instance/zone')).status).toBe(200);
  });

  test('is for the Node itself even if it has no ServiceAccount', async () => {
    const metadata = new FakeMetadata();
    metadata.callerFailure = fault('node-without-service-account');
    const path = '/computeMetadata/v1/instance/zone?wait_for_change=true&timeout_sec=60';
    expect((await metadata.get(path)).status).toBe(200);
    expect(metadata.time).toBe(NOW + 60_000);
  });

  test('does not wait without the flavor header', async () => {
    const metadata = new FakeMetadata();
    const response = await metadata.get('/?wait_for_change=true', { headers: {} });
    expect([response.status, metadata.time]).toEqual([200, NOW]);
  });
});

test('an unexpected failure is logged once in 30 seconds, however often it occurs', async () => {
  const metadata = new FakeMetadata();
  metadata.callerFailure = new TypeError('a bug');
  const app = metadata.app();
  const request = () =>
    new Request(`http://metadata.google.internal${TOKEN}`, { headers: { 'Metadata-Flavor': 'Google' } });
  for (let count = 0; count < 100; count++) expect((await app.handle(request())).status).toBe(500);
  expect(metadata.logged.filter(({ level }) => level === 'error')).toHaveLength(1);
});
