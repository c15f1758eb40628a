import { beforeEach, describe, expect, test } from 'bun:test';
import { Fault } from '../core/fault.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { KeyRotation } from './key-rotation.ts';
import type { PublicKey } from './key-set.ts';

interface Told {
  readonly reason?: unknown;
  readonly added?: unknown;
  readonly removed?: unknown;
  readonly remedy?: unknown;
}

const HOUR = 3_600_000;
const OLD: PublicKey = { kid: 'old', thumbprint: '1' };
const NEW: PublicKey = { kid: 'new', thumbprint: '2' };
const unavailable = new Fault('kubernetes-unavailable', 'ECONNREFUSED', { remedy: 'Check it.' });
const forbidden = new Fault('kubernetes-forbidden', 'cannot get path', { remedy: 'Bind it.' });

let clock: ManualClock;
let looks: number[];
let compared: boolean[];
let lines: { level: string; fields: Told }[];
let found: () => Promise<readonly PublicKey[]>;
let ending: AbortController;
let running: Promise<void>;

beforeEach(() => {
  clock = new ManualClock(0);
  [looks, compared, lines] = [[], [], []];
  ending = new AbortController();
});

function start(first: () => Promise<readonly PublicKey[]>, random = 0.5): void {
  found = first;
  const line = (level: string) => (fields: object) => {
    lines.push({ level, fields: { ...fields } });
  };
  const rotation = new KeyRotation({
    read: () => {
      looks.push(clock.now());
      return found();
    },
    effects: { sleep: clock.sleep, random: () => random },
    events: { clusterKeysCompared: (changed) => compared.push(changed) },
    log: { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') },
  });
  running = rotation.run(ending.signal);
}

describe('keys', () => {
  test('are looked at at once, then every hour, more or less', async () => {
    start(async () => [OLD], 0.9);
    await clock.advance(3 * HOUR);
    expect(looks).toEqual([0, 1.4 * HOUR, 2.8 * HOUR]);
    expect(compared).toEqual([false, false, false]);
    expect(lines).toEqual([]);
  });

  test('in another order are the same', async () => {
    start(async () => [OLD, NEW]);
    await clock.advance(0);
    found = async () => [NEW, OLD];
    await clock.advance(HOUR);
    expect(compared).toEqual([false, false]);
  });

  test('one added: told once, with what to do before it is used', async () => {
    start(async () => [OLD]);
    await clock.advance(0);
    found = async () => [OLD, NEW];
    await clock.advance(2 * HOUR);
    expect(compared).toEqual([false, true, true]);
    expect(lines).toEqual([
      { level: 'warn', fields: { added: ['new'], removed: [], remedy: expect.stringContaining('refuses') } },
    ]);
    expect(lines[0]?.fields.remedy).toContain('scripts/create-or-update-provider --check');
  });

  test('one removed: told, with what to do after its last use', async () => {
    start(async () => [OLD, NEW]);
    await clock.advance(0);
    found = async () => [NEW];
    await clock.advance(HOUR);
    expect(lines).toEqual([
      { level: 'warn', fields: { added: [], removed: ['old'], remedy: expect.stringContaining('once') } },
    ]);
  });

  test('each further change is told, and that they are the first again', async () => {
    start(async () => [OLD]);
    await clock.advance(0);
    for (const keys of [[OLD, NEW], [NEW], [OLD]]) {
      found = async () => keys;
      await clock.advance(HOUR);
    }
    expect(compared).toEqual([false, true, true, false]);
    expect(lines.map(({ level, fields }) => [level, fields.added, fields.removed])).toEqual([
      ['warn', ['new'], []],
      ['warn', ['new'], ['old']],
      ['info', undefined, undefined],
    ]);
  });
});

describe('a failure', () => {
  test('is told once and tried again with back-off; nothing is known meanwhile', async () => {
    start(() => Promise.reject(unavailable));
    await clock.advance(75_000);
    expect(looks).toEqual([0, 10_000, 30_000, 70_000]);
    expect(compared).toEqual([]);
    expect(lines).toEqual([{ level: 'warn', fields: { reason: 'ECONNREFUSED', remedy: 'Check it.' } }]);

    found = async () => [OLD];
    await clock.advance(80_000);
    expect(compared).toEqual([false]);
    found = () => Promise.reject(unavailable);
    await clock.advance(HOUR + 15_000);
    expect(lines).toHaveLength(2);
    // after a success the back-off begins anew
    expect((looks.at(-1) ?? 0) - (looks.at(-2) ?? 0)).toBe(10_000);
  });

  test('of permission is told once, and asked about no more than every hour', async () => {
    start(() => Promise.reject(forbidden));
    await clock.advance(2.5 * HOUR);
    expect(looks).toEqual([0, HOUR, 2 * HOUR]);
    expect(lines).toEqual([{ level: 'warn', fields: { reason: 'cannot get path', remedy: 'Bind it.' } }]);
  });

  test('later leaves the first keys the ones to compare with', async () => {
    start(async () => [OLD]);
    await clock.advance(0);
    found = () => Promise.reject(unavailable);
    await clock.advance(HOUR);
    found = async () => [NEW];
    await clock.advance(10_000);
    expect(compared).toEqual([false, true]);
  });
});

test('it ends with its signal, in the middle of a look too, and tells nothing of that', async () => {
  for (const read of [
    async () => [OLD],
    () =>
      new Promise<never>((_, reject) => {
        ending.signal.addEventListener('abort', () => reject(ending.signal.reason), { once: true });
      }),
  ]) {
    ending = new AbortController();
    start(read);
    await clock.advance(0);
    ending.abort();
    await running;
  }
  expect(lines).toEqual([]);
  expect(clock.sleepers).toBe(0);
});
