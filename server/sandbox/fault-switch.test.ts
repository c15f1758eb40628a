import { expect, test } from 'bun:test';
import { FaultSwitch } from './fault-switch.ts';
import { RESET } from './listener.ts';

const refusal = (status: number) => new Response(null, { status });
const noSleep = () => Promise.reject(new Error('not to be called'));
const request = (signal = new AbortController().signal) => new Request('http://stand-in.example', { signal });

test('lets everything through until it is turned', async () => {
  expect(await new FaultSwitch().intercept(request(), noSleep, refusal)).toBeUndefined();
});

test('answers with the status so many times', async () => {
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

test('what hangs goes on when healed, and is given up when the client leaves', async () => {
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

test('delays by the sleep it is given, before it fails too', async () => {
  const fault = new FaultSwitch();
  fault.delayMilliseconds = 250;
  fault.failWith(500);
  const slept: number[] = [];
  const sleep = async (milliseconds: number) => void slept.push(milliseconds);
  const answer = await fault.intercept(request(), sleep, refusal);
  expect([answer instanceof Response && answer.status, slept]).toEqual([500, [250]]);
});
