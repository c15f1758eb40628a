import { describe, expect, test } from 'bun:test';
import { Fault } from '../core/fault.ts';
import { cooldown, isTransient, UpstreamFault } from './failure.ts';

const unavailable = (retryAfter?: number) =>
  new UpstreamFault('google-unavailable', 'no response', {
    remedy: '',
    transient: true,
    status: 503,
    retryAfter,
  });
const denied = new UpstreamFault('iam-permission-denied', 'denied', {
  remedy: '',
  transient: false,
  status: 403,
});
const middle = () => 0.5;
const podGone = new Fault('bound-object-gone', 'the Pod has gone', { remedy: '' });

describe('isTransient', () => {
  test.each([
    ['the cloud does not answer', unavailable(), true],
    ['the API server does not', new Fault('kubernetes-unavailable', 'no answer', { remedy: '' }), true],
    ['the cloud refuses', denied, false],
    ['the Pod has gone', podGone, false],
    ['a bug', new TypeError('a bug'), false],
  ])('%s', (_, error, transient) => {
    expect(isTransient(error)).toBe(transient);
  });
});

describe('cooldown', () => {
  test('of a transient failure doubles from 0.5 s to 10 s', () => {
    expect([1, 2, 3, 4, 5, 6, 50].map((failures) => cooldown(unavailable(), failures, middle))).toEqual([
      500, 1000, 2000, 4000, 8000, 10_000, 10_000,
    ]);
  });

  test('has jitter, so that those who failed together do not come back together', () => {
    expect(cooldown(unavailable(), 1, () => 0)).toBe(250);
    expect(cooldown(unavailable(), 1, () => 0.999)).toBeCloseTo(749.5);
  });

  test('is what the cloud asks for if that is longer, within reason', () => {
    expect(cooldown(unavailable(7000), 1, middle)).toBe(7000);
    expect(cooldown(unavailable(7000), 6, middle)).toBe(10_000);
    expect(cooldown(unavailable(86_400_000), 1, middle)).toBe(30_000);
  });

  test('of a permanent failure is 5 s, however often', () => {
    expect([1, 9].map((failures) => cooldown(denied, failures, middle))).toEqual([5000, 5000]);
  });

  test('of what concerns one Pod is zero: others share its identity', () => {
    expect(cooldown(podGone, 3, middle)).toBe(0);
  });
});
