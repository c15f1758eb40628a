import { expect, test } from 'bun:test';
import { Fault } from '../core/fault.ts';
import { ManualClock, settled } from '../testing/manual-clock.ts';
import { Changes, LONGEST_WAIT_SECONDS, parseWait } from './changes.ts';
import type { MetadataResponse } from './response.ts';

class Value {
  readonly clock = new ManualClock();
  readonly draining = new AbortController();
  readonly gone = new AbortController();
  readonly changes = new Changes(this.clock, this.draining.signal);
  etag = 'first';
  failure: unknown;

  /** A waiting request; `answered` is undefined while it waits. */
  wait(query: string, holder = 'uid of pod') {
    const wait = parseWait(new URLSearchParams(query));
    if (wait === undefined) throw new Error('not a waiting request');
    const request: { answered?: string | undefined; failure?: unknown } = {};
    this.changes
      .wait(holder, wait, this.gone.signal, async () => this.#look())
      .then(
        ({ etag }) => {
          request.answered = etag;
        },
        (error: unknown) => {
          request.failure = error;
        },
      );
    return request;
  }

  #look(): MetadataResponse {
    if (this.failure !== undefined) throw this.failure;
    return { status: 200, contentType: 'application/text', body: this.etag, etag: this.etag };
  }
}

const codeOf = (error: unknown) => (error instanceof Fault ? error.code : error);

test('without last_etag it waits for the value to change', async () => {
  const value = new Value();
  const request = value.wait('wait_for_change=true');
  await value.clock.advance(30_000);
  expect(request.answered).toBeUndefined();
  value.etag = 'second';
  await value.clock.advance(1000);
  expect(request.answered).toBe('second');
  expect(value.changes.waiting).toBe(0);
});

test('a last_etag that differs returns at once, one that does not waits', async () => {
  const value = new Value();
  const differs = value.wait('wait_for_change=true&last_etag=0');
  const same = value.wait('wait_for_change=TRUE&last_etag=first');
  await settled();
  expect([differs.answered, same.answered, value.changes.waiting]).toEqual(['first', undefined, 1]);
});

test('timeout_sec ends it with the current value', async () => {
  const value = new Value();
  const request = value.wait('wait_for_change=true&timeout_sec=10');
  await value.clock.advance(9999);
  expect(request.answered).toBeUndefined();
  await value.clock.advance(1);
  expect(request.answered).toBe('first');
  const now = value.wait('wait_for_change=true&timeout_sec=0');
  await settled();
  expect(now.answered).toBe('first');
});

test.each(['', '&timeout_sec=999999999'])('the wait is bounded: %s', async (timeout) => {
  const value = new Value();
  const request = value.wait(`wait_for_change=true${timeout}`);
  await value.clock.advance(LONGEST_WAIT_SECONDS * 1000 - 1);
  expect(request.answered).toBeUndefined();
  await value.clock.advance(1);
  expect(request.answered).toBe('first');
});

test.each(['-1', '1.5', '', 'x', '1e3', '1000000000000'])('timeout_sec=%s is refused', (timeout) => {
  const query = new URLSearchParams({ wait_for_change: 'true', timeout_sec: timeout });
  expect(() => parseWait(query)).toThrow('timeout_sec must be a whole number of seconds');
});

test('requests that do not ask for it do not wait', () => {
  for (const query of ['', 'wait_for_change=false', 'wait_for_change=', 'last_etag=0&timeout_sec=x']) {
    expect(parseWait(new URLSearchParams(query))).toBeUndefined();
  }
});

test('it ends at once when the client goes, and leaves nothing behind', async () => {
  const value = new Value();
  value.wait('wait_for_change=true');
  await settled();
  expect([value.changes.waiting, value.clock.sleepers]).toEqual([1, 1]);
  value.gone.abort();
  await settled();
  expect([value.changes.waiting, value.clock.sleepers]).toEqual([0, 0]);
});

test('it ends at once, with the value, when the server drains', async () => {
  const value = new Value();
  const request = value.wait('wait_for_change=true');
  await settled();
  value.draining.abort();
  await settled();
  expect([request.answered, value.changes.waiting]).toEqual(['first', 0]);
});

test('a failure while it waits is the response', async () => {
  const value = new Value();
  const request = value.wait('wait_for_change=true');
  await settled();
  value.failure = new Fault('google-unavailable', '', { remedy: '' });
  await value.clock.advance(1000);
  expect([codeOf(request.failure), value.changes.waiting]).toEqual(['google-unavailable', 0]);
});

test('one caller may hold 8; when 256 wait in all, a caller that holds none may still wait and the others may not', async () => {
  const value = new Value();
  const codesOf = (requests: readonly { readonly failure?: unknown }[]) =>
    requests.map(({ failure }) => codeOf(failure));
  const ofOne = Array.from({ length: 9 }, () => value.wait('wait_for_change=true', 'caller 0'));
  await settled();
  expect(codesOf(ofOne)).toEqual([...Array(8).fill(undefined), 'caller-busy']);
  for (let index = 8; index < 256; index++) value.wait('wait_for_change=true', `caller ${1 + (index % 31)}`);
  await settled();
  expect(value.changes.waiting).toBe(256);
  const modest = [1, 2].map(() => value.wait('wait_for_change=true', 'modest'));
  await settled();
  expect(codesOf(modest)).toEqual([undefined, 'caller-busy']);
  value.draining.abort();
  await settled();
  expect(value.changes.waiting).toBe(0);
});
