import { expect, test } from 'bun:test';
import { OPENSSL_MISSING, selfSigned } from '../testing/certificate-folder.ts';
import { FaultSwitch, Listener, RESET } from './listener.ts';

const CHUNKED = { headers: { 'transfer-encoding': 'chunked' } };

type Handle = ConstructorParameters<typeof Listener>[0]['handle'];

/** What became of a request. */
function outcome(answer: Promise<unknown>): Promise<'answered' | 'cut'> {
  return answer.then(
    () => 'answered',
    () => 'cut',
  );
}

/** A listener that is stopped with the test. */
async function listen(handle: Handle) {
  const listener = new Listener({ hostname: '127.0.0.1', port: 0, handle });
  await listener.start();
  return Object.assign(listener, { [Symbol.asyncDispose]: () => listener.stop() });
}

test('passes method, path, headers and body in, and status, headers and body out', async () => {
  await using listener = await listen(async (request) => {
    const { pathname, search } = new URL(request.url);
    const seen = [request.method, pathname, search, request.headers.get('x-a'), await request.text()];
    return Response.json(seen, { status: 201, headers: { 'x-b': 'there' } });
  });
  const response = await fetch(`${listener.url}/p?q=1`, {
    method: 'POST',
    headers: { 'x-a': 'here' },
    body: 'body',
  });
  expect([response.status, response.headers.get('x-b'), await response.json()]).toEqual([
    201,
    'there',
    ['POST', '/p', '?q=1', 'here', 'body'],
  ]);
});

test.skipIf(OPENSSL_MISSING)('with a certificate it speaks https, and stops as it does without', async () => {
  const tls = await selfSigned('stand-in');
  const options = { hostname: '127.0.0.1', port: 0, tls, handle: async () => new Response('secret') };
  const listener = new Listener(options);
  await listener.start();
  const get = () => fetch(listener.url, { tls: { ca: tls.certificate } });
  expect([new URL(listener.url).protocol, await (await get()).text()]).toEqual(['https:', 'secret']);
  await listener.stop();
  expect(await outcome(get())).toBe('cut');
});

test('the headers of a stream are sent before its first byte', async () => {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  await using listener = await listen(async () => new Response(readable, CHUNKED));
  // would wait forever if they were held back
  const response = await fetch(listener.url);
  const writer = writable.getWriter();
  void writer.write(new TextEncoder().encode('late'));
  void writer.close();
  expect(await response.text()).toBe('late');
});

test('a client that leaves aborts the request and cancels the stream', async () => {
  const cancelled = Promise.withResolvers<void>();
  const aborted = Promise.withResolvers<void>();
  await using listener = await listen(async (request) => {
    request.signal.addEventListener('abort', () => aborted.resolve());
    return new Response(new ReadableStream({ cancel: () => cancelled.resolve() }), CHUNKED);
  });
  const leaving = new AbortController();
  await fetch(listener.url, { signal: leaving.signal });
  leaving.abort();
  await Promise.all([aborted.promise, cancelled.promise]);
  expect(leaving.signal.aborted).toBe(true);
});

test('a reset is a cut connection, not a response', async () => {
  await using listener = await listen(async () => RESET);
  expect(await outcome(fetch(listener.url))).toBe('cut');
});

test('a body longer than 64 KiB is refused', async () => {
  await using listener = await listen(async () => new Response('taken'));
  const post = (bytes: number) => fetch(listener.url, { method: 'POST', body: 'x'.repeat(bytes) });
  expect([(await post(64 * 1024)).status, (await post(64 * 1024 + 1)).status]).toEqual([200, 413]);
});

test('a bug of the handler is reported', async () => {
  await using listener = await listen(() => Promise.reject(new Error('mistaken')));
  const response = await fetch(listener.url);
  expect([response.status, await response.text()]).toEqual([500, 'The stand-in failed: Error: mistaken\n']);
});

test('stop cuts open connections and closes the port; start opens the same one', async () => {
  const arrived = Promise.withResolvers<void>();
  let hang = true;
  await using listener = await listen(async () => {
    if (!hang) return new Response('back');
    arrived.resolve();
    return await new Promise<Response>(() => {});
  });
  const { url } = listener;
  const cut = outcome(fetch(url, { method: 'POST' }));
  await arrived.promise;
  await listener.stop();
  expect(await cut).toBe('cut');
  expect(await outcome(fetch(url))).toBe('cut');
  hang = false;
  await listener.start();
  expect([listener.url, await (await fetch(url)).text()]).toEqual([url, 'back']);
});

test('has no address before it has started', () => {
  const listener = new Listener({ hostname: '127.0.0.1', port: 0, handle: async () => RESET });
  expect(() => listener.url).toThrow('before its first start()');
});

const refusal = (status: number) => new Response(null, { status });
const noSleep = () => Promise.reject(new Error('not to be called'));
const request = (signal = new AbortController().signal) => new Request('http://stand-in.example', { signal });

test('lets everything through until it is set', async () => {
  expect(await new FaultSwitch().intercept(request(), noSleep, refusal)).toBeUndefined();
});

test('responds with the status that many times', async () => {
  const fault = new FaultSwitch();
  fault.failWith(503, 2);
  const answers = [];
  for (let i = 0; i < 3; i += 1) answers.push(await fault.intercept(request(), noSleep, refusal));
  expect(answers.map((answer) => (answer instanceof Response ? answer.status : answer))).toEqual([
    503,
    503,
    undefined,
  ]);
});

test('resets until it is healed', async () => {
  const fault = new FaultSwitch();
  fault.failWith('reset');
  expect(await fault.intercept(request(), noSleep, refusal)).toBe(RESET);
  fault.heal();
  expect(await fault.intercept(request(), noSleep, refusal)).toBeUndefined();
});

test('what hangs continues when healed, and is abandoned when the client leaves', async () => {
  const fault = new FaultSwitch();
  fault.failWith('hang');
  const leaving = new AbortController();
  const left = fault.intercept(request(leaving.signal), noSleep, refusal);
  const stayed = fault.intercept(request(), noSleep, refusal);
  leaving.abort();
  expect(await left).toBe(RESET);
  fault.heal();
  expect(await stayed).toBeUndefined();
});

test('delays by the sleep it is given, before failures too', async () => {
  const fault = new FaultSwitch();
  fault.delayMilliseconds = 250;
  fault.failWith(500);
  const slept: number[] = [];
  const sleep = async (milliseconds: number) => void slept.push(milliseconds);
  const answer = await fault.intercept(request(), sleep, refusal);
  expect([answer instanceof Response && answer.status, slept]).toEqual([500, [250]]);
});
