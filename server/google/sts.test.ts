import { describe, expect, test } from 'bun:test';
import { Secret } from '../core/secret.ts';
import { Sts } from './sts.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const AUDIENCE = '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/prov';
const SUBJECT = { token: new Secret('header.claims.signature'), expiresAt: NOW + 600_000 };

interface Sent {
  readonly url: string;
  readonly init: BunFetchRequestInit | undefined;
}

async function exchange(answer: Response) {
  const sent: Sent[] = [];
  const sts = new Sts('https://sts.test', AUDIENCE, {
    now: () => NOW,
    fetch: async (url, init) => {
      sent.push({ url, init });
      return answer;
    },
  });
  const outcome = await sts
    .exchange(SUBJECT, 'scope-a scope-b', new AbortController().signal)
    .catch((error: unknown) => error);
  return { outcome, sent };
}

describe('Sts', () => {
  test('asks as RFC 8693 and Google say', async () => {
    const { sent } = await exchange(Response.json({ access_token: 'federated', expires_in: 590 }));
    expect(sent).toHaveLength(1);
    expect(sent[0]?.url).toBe('https://sts.test/v1/token');
    expect(sent[0]?.init).toMatchObject({
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    });
    expect(Object.fromEntries(new URLSearchParams(String(sent[0]?.init?.body)))).toEqual({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      audience: AUDIENCE,
      scope: 'scope-a scope-b',
      requested_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      subject_token: 'header.claims.signature',
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    });
  });

  test('returns the token and its expiry', async () => {
    const { outcome } = await exchange(Response.json({ access_token: 'federated', expires_in: 590 }));
    expect(outcome).toEqual({ token: new Secret('federated'), expiresAt: NOW + 590_000 });
    expect(outcome).toHaveProperty('token.reveal');
  });

  test('fails while its API is disabled, which has nothing to do with the provider', async () => {
    const details = [{ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: 'SERVICE_DISABLED' }];
    const { outcome } = await exchange(
      Response.json({ error: { code: 403, message: 'words', details } }, { status: 403 }),
    );
    expect(outcome).toMatchObject({
      code: 'google-api-disabled',
      operation: 'federated token',
      googleMessage: 'words',
    });
  });

  test.each([undefined, null])('expires with the Kubernetes token if expires_in is %p', async (value) => {
    const { outcome } = await exchange(Response.json({ access_token: 'federated', expires_in: value }));
    expect(outcome).toMatchObject({ expiresAt: SUBJECT.expiresAt });
  });

  test('never expires later than the Kubernetes token', async () => {
    const { outcome } = await exchange(Response.json({ access_token: 'federated', expires_in: 3600 }));
    expect(outcome).toMatchObject({ expiresAt: SUBJECT.expiresAt });
  });

  test.each([0, -1, 'soon', {}, 1e300, -1e300])('is not handed out with expires_in %p', async (value) => {
    const { outcome } = await exchange(Response.json({ access_token: 'federated', expires_in: value }));
    expect(outcome).toMatchObject({
      code: 'google-unavailable',
      remedy: expect.stringContaining("Node's clock"),
    });
  });

  test('of a subject that is too long is refused with a remedy', async () => {
    const error_description =
      'The size of mapped attribute google.subject exceeds the 127 bytes limit. Either modify your attribute mapping ' +
      'or the incoming assertion to produce a mapped attribute that is less than 127 bytes.';
    const { outcome } = await exchange(
      Response.json({ error: 'invalid_request', error_description }, { status: 400 }),
    );
    expect(outcome).toMatchObject({
      code: 'sts-subject-too-long',
      googleMessage: `invalid_request: ${error_description}`,
      remedy: expect.stringContaining('Shorten'),
    });
  });

  test("is refused with Google's words", async () => {
    const body = { error: 'invalid_target', error_description: 'The target service is invalid.' };
    const { outcome } = await exchange(Response.json(body, { status: 400 }));
    expect(outcome).toMatchObject({
      code: 'sts-refused',
      operation: 'federated token',
      status: 400,
      googleMessage: 'invalid_target: The target service is invalid.',
    });
  });

  test.each(['{}', '{"access_token":""}', '{"access_token":7}', '[]', 'null'])(
    'takes %s for no answer',
    async (body) => {
      const { outcome } = await exchange(new Response(body));
      expect(outcome).toMatchObject({ code: 'google-unavailable', operation: 'federated token' });
    },
  );
});
