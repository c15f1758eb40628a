import { expect, test } from 'bun:test';
import { formatTerminationMessage, parseTerminationMessage } from './termination-message.ts';

test('a termination message is the reason and the remedy, a line each', () => {
  const message = { reason: 'cannot connect to 10.0.0.5:16321', remedy: 'Check the server.' };
  const text = formatTerminationMessage(message);
  expect(text).toBe('cannot connect to 10.0.0.5:16321\nRemedy: Check the server.\n');
  expect(parseTerminationMessage(text)).toEqual(message);
});

test('what programs said into it stays in its line, and within what the kubelet keeps', () => {
  const text = formatTerminationMessage({
    reason: `one\ntwo\n${'x'.repeat(5000)}`,
    remedy: 'y'.repeat(5000),
  });
  expect(text.split('\n')).toHaveLength(3);
  expect(Buffer.byteLength(text)).toBeLessThan(4096);
});

test.each(['', 'panic\n', '{"message":"log line"}\n'])('%j is not one', (text) => {
  expect(parseTerminationMessage(text)).toBeUndefined();
});
