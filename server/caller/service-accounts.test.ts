import { beforeEach, describe, expect, test } from 'bun:test';
import { Fault } from '../core/fault.ts';
import { googleAnnotations } from '../google/google-account.ts';
import type { ServiceAccount } from '../kubernetes/objects.ts';
import { annotated as annotationsFor } from '../testing/fake-metadata.ts';
import { ManualClock, settled } from '../testing/manual-clock.ts';
import { type KeptServiceAccount, ServiceAccounts } from './service-accounts.ts';

const NAME = { namespace: 'default', name: 'web' };

let clock: ManualClock;
let looks: number;
let answer: () => ServiceAccount | undefined | Promise<ServiceAccount | undefined>;
let serviceAccounts: ServiceAccounts;
let kept: KeptServiceAccount;

beforeEach(() => {
  clock = new ManualClock();
  looks = 0;
  answer = () => annotated();
  serviceAccounts = new ServiceAccounts({
    client: {
      getServiceAccount: async () => {
        looks += 1;
        return answer();
      },
    },
    clouds: [googleAnnotations],
    effects: { ...clock, random: () => 0.5 },
    log: { debug() {}, info() {}, warn() {}, error() {} },
  });
  kept = serviceAccounts.of(NAME);
});

function account(googleAccount?: string, uid = 'uid-1'): ServiceAccount {
  return { ...NAME, uid, annotations: annotationsFor(googleAccount) };
}

function annotated(name = 'reader', uid = 'uid-1'): ServiceAccount {
  return account(`${name}@p.iam.gserviceaccount.com`, uid);
}

function fails(): never {
  throw new Fault('kubernetes-unavailable', 'gone', { remedy: 'none' });
}

function codeOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => 'ok',
    (error) => (error instanceof Fault ? error.code : error),
  );
}

describe('a ServiceAccount', () => {
  test('is looked up when first asked for, once for all who ask at once', async () => {
    expect(kept.current()).toBeUndefined();
    await clock.advance(1);
    expect(looks).toBe(0);
    const [first, second] = await Promise.all([kept.resolve(), kept.resolve()]);
    expect(first).toEqual(annotated());
    expect(second).toBe(first);
    expect(kept.current()).toBe(first);
    expect(looks).toBe(1);
  });

  test('annotated: looked at again after 5 minutes, served as it was meanwhile, the same object if unchanged', async () => {
    const first = await kept.resolve();
    await clock.advance(299_999);
    expect(kept.current()).toBe(first);
    expect(looks).toBe(1);
    await clock.advance(1);
    const look = Promise.withResolvers<ServiceAccount>();
    answer = () => look.promise;
    expect([kept.current(), kept.current(), await kept.resolve()]).toEqual([first, first, first]);
    expect(looks).toBe(2);
    look.resolve(annotated());
    await settled();
    expect(kept.current()).toBe(first);
    expect(looks).toBe(2);
  });

  test('changed annotation or UID: another object', async () => {
    const first = await kept.resolve();
    for (const changed of [annotated('writer'), annotated('writer', 'uid-2')]) {
      await clock.advance(300_000);
      answer = () => changed;
      kept.current();
      await settled();
      expect(kept.current()).toEqual(changed);
      expect(kept.current()).not.toBe(first);
    }
  });

  test.each([undefined, 'me@example.org'])(
    'annotation %p: after 5 seconds the caller waits for a look',
    async (googleAccount) => {
      answer = () => account(googleAccount);
      const first = await kept.resolve();
      await clock.advance(4999);
      expect(kept.current()).toBe(first);
      await clock.advance(1);
      expect(kept.current()).toBeUndefined();
      answer = () => annotated();
      expect(await kept.resolve()).toEqual(annotated());
      expect(looks).toBe(2);
    },
  );

  test('an annotation that no cloud reads is neither kept nor a change', async () => {
    const first = await kept.resolve();
    const noise = { 'kubectl.kubernetes.io/last-applied-configuration': 'x'.repeat(100_000) };
    answer = () => ({ ...annotated(), annotations: { ...annotated().annotations, ...noise } });
    await clock.advance(300_000);
    kept.current();
    await settled();
    expect(looks).toBe(2);
    expect(kept.current()).toBe(first);
    expect(first.annotations).toEqual(annotated().annotations);
  });

  test('refused by Google: after 5 seconds the caller waits for a look', async () => {
    const first = await kept.resolve();
    await clock.advance(3000);
    kept.refused(first);
    expect(kept.current()).toBe(first);
    await clock.advance(2000);
    expect(kept.current()).toBeUndefined();
    answer = () => annotated('writer');
    expect((await kept.resolve()).annotations).toEqual(annotated('writer').annotations);
    await clock.advance(5000);
    expect(kept.current()).toBeDefined(); // the look has settled it
    kept.refused(first); // as it was before: no longer of interest
    expect(kept.current()).toBeDefined();
    await clock.advance(295_000);
    expect(kept.current()).toBeDefined(); // and the next one is in the background again
    expect(looks).toBe(3);
  });

  test('missing: told so for 5 seconds without a request, then looked for again', async () => {
    answer = () => undefined;
    expect(await codeOf(kept.resolve())).toBe('service-account-missing');
    expect(await codeOf(kept.resolve())).toBe('service-account-missing');
    expect(looks).toBe(1);
    await clock.advance(5000);
    answer = () => annotated();
    expect(await codeOf(kept.resolve())).toBe('ok');
  });

  test('deleted: missing after the look that finds it so', async () => {
    await kept.resolve();
    answer = () => undefined;
    await clock.advance(300_000);
    kept.current();
    await settled();
    expect(kept.current()).toBeUndefined();
    expect(await codeOf(kept.resolve())).toBe('service-account-missing');
  });
});

describe('with the API server gone', () => {
  test('an annotated one is served on, with ever fewer looks', async () => {
    const first = await kept.resolve();
    answer = fails;
    await clock.advance(300_000);
    for (let second = 0; second < 120; second++) {
      for (let caller = 0; caller < 10; caller++) expect(kept.current()).toBe(first);
      expect(await kept.resolve()).toBe(first);
      await clock.advance(1000);
    }
    expect(looks).toBeLessThan(1 + 10);
    answer = () => annotated('writer');
    await clock.advance(30_000);
    kept.current();
    await settled();
    expect(kept.current()).toEqual(annotated('writer'));
  });

  test('one without annotation is served on, and nobody waits after the first', async () => {
    answer = () => account();
    const first = await kept.resolve();
    answer = fails;
    await clock.advance(5000);
    expect(await kept.resolve()).toBe(first);
    for (let second = 0; second < 60; second++) {
      expect(kept.current()).toBe(first);
      await clock.advance(1000);
    }
    expect(looks).toBeLessThan(2 + 8);
  });

  test('a known one is served after a second if the API server hangs', async () => {
    answer = () => account();
    const first = await kept.resolve();
    answer = () => new Promise(() => {});
    await clock.advance(5000);
    const resolved = kept.resolve();
    await clock.advance(1000);
    expect(await resolved).toBe(first);
    expect(clock.sleepers).toBe(0);
  });

  test('one never seen cannot be served: the failure is repeated without a request until the next look', async () => {
    answer = fails;
    for (let caller = 0; caller < 10; caller++)
      expect(await codeOf(kept.resolve())).toBe('kubernetes-unavailable');
    expect(looks).toBe(1);
    await clock.advance(1000);
    answer = () => annotated();
    expect(await codeOf(kept.resolve())).toBe('ok');
  });
});

test('is kept once for each name until forgotten', () => {
  expect(serviceAccounts.of({ ...NAME })).toBe(kept);
  serviceAccounts.of({ namespace: 'other', name: 'web' });
  expect(serviceAccounts.size).toBe(2);
  serviceAccounts.forget(NAME);
  expect(serviceAccounts.size).toBe(1);
  expect(serviceAccounts.of(NAME)).not.toBe(kept);
});
