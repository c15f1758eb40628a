import { expect, test } from 'bun:test';
import { type Call, Journal } from './journal.ts';

interface NamedCall extends Call {
  readonly name: string;
}

function call(name: string): NamedCall {
  return { name, at: 0, status: undefined };
}

test('keeps the order, counts by predicate, and is emptied by clear', () => {
  const journal = new Journal<NamedCall>();
  for (const name of ['a', 'b', 'a']) journal.record(call(name));
  expect(journal.calls.map(({ name }) => name)).toEqual(['a', 'b', 'a']);
  expect(journal.count(({ name }) => name === 'a')).toBe(2);
  journal.clear();
  expect([journal.total, journal.calls.length]).toEqual([0, 0]);
});

test('keeps the latest 10,000 and the total of all', () => {
  const journal = new Journal<NamedCall>();
  for (let i = 0; i < 10_001; i += 1) journal.record(call(`${i}`));
  expect([journal.calls.length, journal.calls[0]?.name, journal.total]).toEqual([10_000, '1', 10_001]);
});

test('waitFor resolves once enough calls match, by their arrival or by their response', async () => {
  const journal = new Journal<NamedCall>();
  const first = journal.record(call('a'));
  const waiting = journal.waitFor(({ status }) => status === 200, 2);
  journal.answered(first, 200);
  const second = journal.record(call('b'));
  journal.answered(journal.record(call('c')), 500);
  journal.answered(second, 200);
  expect((await waiting).map(({ name }) => name)).toEqual(['a', 'b']);
});
