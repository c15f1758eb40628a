import { describe, expect, test } from 'bun:test';
import { inspect } from 'node:util';
import type { Fetch } from '../core/effects.ts';
import { Secret } from '../core/secret.ts';
import { GoogleFault } from './google-fault.ts';
import { postToGoogle } from './post-to-google.ts';

const CREDENTIAL = 'short.credential';
const NOW = Date.parse('2026-01-01T00:00:00Z');

async function post(fetch: Fetch): Promise<unknown> {
  const request = {
    operation: 'access token',
    url: 'https://iam.test/call',
    headers: { authorization: `Bearer ${CREDENTIAL}` },
    body: '{}',
    credential: new Secret(CREDENTIAL),
    refusal: (status: number) => (status === 403 ? 'iam-permission-denied' : 'iam-refused'),
  } as const;
  return postToGoogle({ fetch, now: () => NOW }, request, new AbortController().signal);
}

async function faultOf(answer: Response | Error): Promise<GoogleFault> {
  const fault = await post(async () => {
    if (answer instanceof Error) throw answer;
    return answer;
  }).catch((error: unknown) => error);
  if (!(fault instanceof GoogleFault)) throw new Error(`no GoogleFault: ${fault}`);
  return fault;
}

const iamError = (code: number, message: string, headers?: Record<string, string>) =>
  Response.json({ error: { code, message } }, { status: code, ...(headers && { headers }) });

describe('postToGoogle', () => {
  test('returns the JSON of a 200, and never follows a redirect with a credential', async () => {
    let redirect: string | undefined;
    const json = await post(async (_, init) => {
      redirect = init?.redirect;
      return Response.json({ accessToken: 'x' });
    });
    expect(json).toEqual({ accessToken: 'x' });
    expect(redirect).toBe('manual');
  });

  test.each([
    [400, 'iam-refused'],
    [401, 'iam-refused'],
    [403, 'iam-permission-denied'],
    [404, 'iam-refused'],
    [408, 'google-unavailable'],
    [429, 'google-unavailable'],
    [500, 'google-unavailable'],
    [503, 'google-unavailable'],
    [302, 'google-unavailable'],
  ] as const)('%p is %s', async (status, code) => {
    expect(await faultOf(iamError(status, 'words'))).toMatchObject({
      code,
      status,
      operation: 'access token',
      googleMessage: 'words',
    });
  });

  test('no response is google-unavailable with its cause and no status', async () => {
    const cause = new Error('connection refused');
    const fault = await faultOf(cause);
    expect(fault).toMatchObject({ code: 'google-unavailable', googleMessage: '', cause });
    expect(fault.status).toBeUndefined();
  });

  test.each([
    ['no JSON', new Response('<html>a proxy</html>')],
    ['too long an answer', new Response(`"${'x'.repeat(70_000)}"`)],
  ])('%s is google-unavailable, and not repeated', async (_, response) => {
    const fault = await faultOf(response);
    expect(fault.code).toBe('google-unavailable');
    expect(inspect(fault)).not.toContain('proxy');
    expect(inspect(fault)).not.toContain('xxxx');
  });

  test('reads no more of an endless response than its limit', async () => {
    let pulled = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        pulled++;
        controller.enqueue(new Uint8Array(16 * 1024));
      },
    });
    const fault = await faultOf(new Response(endless, { status: 403 }));
    expect(fault.code).toBe('google-unavailable');
    expect(pulled).toBeLessThan(10);
  });

  test('reads the message of an OAuth error, as STS sends', async () => {
    const body = { error: 'invalid_grant', error_description: 'The audience does not match.' };
    const fault = await faultOf(Response.json(body, { status: 400 }));
    expect(fault.googleMessage).toBe('invalid_grant: The audience does not match.');
  });

  test('bounds the message and keeps one printable line', async () => {
    const fault = await faultOf(iamError(403, `one \u001b[2J ${'word '.repeat(200)}\nsecond line`));
    expect(fault.googleMessage).toStartWith('one ?[2J word');
    expect(fault.googleMessage).toHaveLength(300);
  });

  test('never shows the credential or anything like a token', async () => {
    const token = `eyJhbGciOiJSUzI1NiJ9.${'a1-_'.repeat(30)}.${'Zz'.repeat(30)}`;
    const fault = await faultOf(iamError(400, `bad ${CREDENTIAL} or ${token} it is`));
    expect(fault.googleMessage).toBe('bad [redacted] or [redacted] it is');
    for (const view of [inspect(fault), JSON.stringify(fault), fault.message, String(fault.stack)]) {
      expect(view).not.toContain(CREDENTIAL);
      expect(view).not.toContain('eyJ');
    }
  });

  test.each([
    ['3', 3000],
    ['Thu, 01 Jan 2026 00:00:05 GMT', 5000],
    ['Wed, 31 Dec 2025 00:00:00 GMT', 0],
    ['soon', undefined],
  ])('reads Retry-After: %s', async (value, milliseconds) => {
    const fault = await faultOf(iamError(503, 'later', { 'retry-after': value }));
    expect(fault.retryAfter).toBe(milliseconds);
  });
});
