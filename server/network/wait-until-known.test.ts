import { describe, expect, test } from 'bun:test';
import type { Fetch, Sleep } from '../core/effects.ts';
import type { IPAddress } from '../kubernetes/ip-address.ts';
import type { Log } from '../telemetry/log.ts';
import { nodeEndpoint, redirectedEndpoint } from './node-server.ts';
import { type WaitDependencies, waitUntilKnown } from './wait-until-known.ts';

const FLAVOR = { 'metadata-flavor': 'Google' };
const TIMEOUT_SECONDS = 30;
const UID = '5e4c9d0a-6f0e-4d0b-9f6b-2f6a3f0d9c11';
// literals in canonical spelling
const address = (literal: string) => literal as IPAddress;
const IPV4 = redirectedEndpoint({ family: 'IPv4', from: [], target: address('10.0.0.5'), port: 16_321 });
const IPV6 = redirectedEndpoint({ family: 'IPv6', from: [], target: address('fd00::5'), port: 16_321 });
const wait = (dependencies: WaitDependencies, endpoint = IPV4) =>
  waitUntilKnown(endpoint, UID, TIMEOUT_SECONDS, dependencies);

type Respond = (signal: AbortSignal | null | undefined) => Response | Promise<Response>;
const answer =
  (status: number, text = '', headers: Record<string, string> = FLAVOR): Respond =>
  () =>
    new Response(text, { status, headers });
const refuse: Respond = () => {
  throw Object.assign(new Error('Unable to connect'), { code: 'ConnectionRefused' });
};
const hang: Respond = (signal) =>
  new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)));

/**
 * A virtual clock: a sleep that is waited for advances it; the limit of an attempt fires when
 * the attempt hangs. `answers` are given in turn, the last one forever.
 */
function world(...answers: Respond[]) {
  let time = 0;
  const urls: string[] = [];
  const logged: { fields: object; message: string }[] = [];
  const sleep: Sleep = (milliseconds, signal) =>
    new Promise((resolve, reject) => {
      // later than every microtask of an attempt that does not hang
      const timer = setImmediate(() => {
        time += milliseconds;
        resolve();
      });
      signal?.addEventListener('abort', () => {
        clearImmediate(timer);
        reject(signal.reason);
      });
    });
  const fetch: Fetch = async (url, init) => {
    expect(new Headers(init?.headers).get('metadata-flavor')).toBe('Google');
    urls.push(url);
    const next = answers.length > 1 ? answers.shift() : answers[0];
    return (next ?? refuse)(init?.signal);
  };
  const log: Log = {
    debug() {},
    info: (fields, message) => logged.push({ fields, message }),
    warn() {},
    error() {},
  };
  return {
    dependencies: { fetch, sleep, now: () => time, random: () => 0.5, log },
    urls,
    logged,
    time: () => time,
  };
}

async function failure(...answers: Respond[]) {
  const { dependencies, time } = world(...answers);
  const error = await wait(dependencies).then(
    () => undefined,
    (reason) => reason,
  );
  expect(error?.code).toBe('server-not-ready');
  expect(time()).toBeLessThanOrEqual((TIMEOUT_SECONDS + 5) * 1000);
  return error;
}

describe('waitUntilKnown', () => {
  test('asks who this Pod is until the server knows, then for its first token', async () => {
    const { dependencies, urls } = world(refuse, answer(503), answer(404), answer(200, UID));
    await wait(dependencies);
    const instance = 'http://169.254.169.254/computeMetadata/v1/instance';
    expect(urls).toEqual([
      ...Array(4).fill(`${instance}/pod-uid`),
      `${instance}/service-accounts/default/token`,
    ]);
  });

  test('asks over IPv6 where only that is redirected', async () => {
    const { dependencies, urls } = world(answer(200, UID));
    await wait(dependencies, IPV6);
    expect(urls[0]).toStartWith('http://[fd20:ce::254]/');
  });

  test("asks the Node's first address if nothing is redirected, as its clients do", async () => {
    const hosts = [address('fd00::5'), address('10.0.0.5')];
    const { dependencies, urls } = world(answer(200, UID));
    await wait(dependencies, nodeEndpoint({ hostAddresses: hosts, serverPort: 16_321 }));
    expect(urls[0]).toStartWith('http://[fd00::5]:16321/computeMetadata/v1/instance/pod-uid');
  });

  test('lets a Pod start whose ServiceAccount Google or its annotation refuses', async () => {
    const { dependencies } = world(answer(403, 'denied'));
    await wait(dependencies);
  });

  test('does not wait long for the first token, and never fails by it', async () => {
    const slow = world(answer(200, UID), hang);
    await wait(slow.dependencies);
    expect(slow.time()).toBe(1000);
    await wait(world(answer(200, UID), refuse).dependencies);
  });

  test('never logs or keeps what the token request answers', async () => {
    const { dependencies, logged } = world(answer(200, UID), answer(200, '{"access_token":"ya29.secret"}'));
    await wait(dependencies);
    expect(JSON.stringify(logged)).not.toContain('ya29');
  });

  test('reports progress when it sees something new, and seldom that it is the same', async () => {
    const { dependencies, logged } = world(
      ...Array<Respond>(8).fill(refuse),
      ...Array<Respond>(8).fill(answer(503, 'not in sync')),
      answer(200, UID),
    );
    await wait(dependencies);
    const progress = logged.filter(({ message }) => message === 'waiting for the metadata server');
    expect(progress[0]?.fields).toMatchObject({ seen: expect.stringContaining('ConnectionRefused') });
    expect(progress[1]?.fields).toMatchObject({ seen: expect.stringContaining('not in sync') });
    expect(progress).toHaveLength(2);
  });

  test('says what to check where nothing listens', async () => {
    const error = await failure(refuse);
    expect(error.message).toContain('cannot connect to 10.0.0.5:16321 (ConnectionRefused)');
    expect(error.remedy).toContain('metadata server runs on this Node');
  });

  test('says what to check if there is no response', async () => {
    const error = await failure(hang);
    expect(error.message).toContain('no answer from 10.0.0.5:16321');
    expect(error.remedy).toContain('NetworkPolicy');
  });

  test("says what to check if the Pod is not known, with the server's words", async () => {
    const error = await failure(answer(404, 'no Pod has the address 10.0.0.1'));
    expect(error.message).toContain('no Pod has the address 10.0.0.1');
    expect(error.remedy).toContain('masquerades');
  });

  test('says the same while its address is not reported yet', async () => {
    const error = await failure(
      answer(503, 'The Kubernetes API server reports no running Pod with this source IP yet'),
    );
    expect(error.message).toContain('the server does not know this Pod (503: ');
    expect(error.remedy).toContain('status.podIPs');
  });

  test('waits while the server still takes it for the Pod that had its address before', async () => {
    const { dependencies, urls } = world(answer(200, 'another'), answer(200, 'another'), answer(200, UID));
    await wait(dependencies);
    expect(urls).toHaveLength(4);
    const error = await failure(answer(200, 'another'));
    expect(error.message).toContain('still takes this Pod for the previous Pod with its IP (UID another)');
    expect(error.remedy).toContain('Kubernetes API');
  });

  test('says what to check if the server is not ready', async () => {
    const error = await failure(answer(503, 'not in sync'));
    expect(error.message).toContain('503: not in sync');
    expect(error.remedy).toContain('/readyz');
  });

  test('does not take another server for the metadata server', async () => {
    const error = await failure(answer(200, '<html>', {}));
    expect(error.message).toContain('something other than a metadata server responded with 200');
  });

  test('reports what was seen last', async () => {
    const error = await failure(refuse, answer(404, 'unknown'));
    expect(error.message).toContain('does not know this Pod');
  });
});
