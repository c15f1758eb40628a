import { expect, test } from 'bun:test';
import { Histogram } from './route-metrics.ts';

function shown(durations: Histogram): Record<string, number> {
  const samples = durations.samples('x_seconds', { route: '/a' });
  return Object.fromEntries(
    samples.map(({ metricName, labels, value }) => [[metricName, ...Object.values(labels)].join(' '), value]),
  );
}

test('buckets are cumulative, a bound belongs to its own bucket, and what is above them all is in +Inf', () => {
  const durations = new Histogram();
  for (const seconds of [0, 0.001, 0.25, 300]) durations.observe(seconds);

  expect(shown(durations)).toMatchObject({
    'x_seconds_bucket /a 0.001': 2,
    'x_seconds_bucket /a 0.1': 2,
    'x_seconds_bucket /a 0.25': 3,
    'x_seconds_bucket /a 30': 3,
    'x_seconds_bucket /a +Inf': 4,
    'x_seconds_count /a': 4,
    'x_seconds_sum /a': 300.251,
  });
});
