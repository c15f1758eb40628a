import { expect, test } from 'bun:test';
import { Metrics } from '../telemetry/metrics.ts';
import { healthRoutes } from './health.ts';

async function get(path: string, missing: string[] = []): Promise<[number, string]> {
  const app = healthRoutes({ metrics: new Metrics('1.2.3'), missing: () => missing });
  const response = await app.handle(new Request(`http://health${path}`));
  return [response.status, await response.text()];
}

test('alive is 200 even if not ready', async () => {
  expect(await get('/healthz', ['the Pods are not listed yet'])).toEqual([200, 'ok\n']);
});

test('ready is 200 when nothing is missing, else 503 with what is', async () => {
  expect(await get('/readyz')).toEqual([200, 'ok\n']);
  expect(await get('/readyz', ['the Pods are not listed yet', 'draining'])).toEqual([
    503,
    'the Pods are not listed yet\ndraining\n',
  ]);
});

test('metrics are Prometheus text', async () => {
  const app = healthRoutes({ metrics: new Metrics('1.2.3'), missing: () => [] });
  const response = await app.handle(new Request('http://health/metrics'));
  expect(response.headers.get('Content-Type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  expect(await response.text()).toContain('# TYPE gke_metadata_server_http_requests_total counter\n');
});

test('a failing check tells the caller nothing of why', async () => {
  const app = healthRoutes({
    metrics: new Metrics('1.2.3'),
    missing: () => {
      throw new Error('a secret of the inside');
    },
  });
  const response = await app.handle(new Request('http://health/readyz'));
  expect([response.status, await response.text()]).toEqual([500, 'Internal Server Error\n']);
  expect(await get('/nothing')).toEqual([404, 'Not Found\n']);
});
