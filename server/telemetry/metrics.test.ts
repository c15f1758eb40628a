import { expect, test } from 'bun:test';
import { Metrics } from './metrics.ts';

async function lines(metrics: Metrics): Promise<string[]> {
  const { text } = await metrics.exposition();
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

test('requests are counted by route, method and status', async () => {
  const metrics = new Metrics('1.2.3');
  const route = metrics.route('/computeMetadata/v1/instance/id');
  route.record('GET', 200, 0.002);
  route.record('GET', 200, 0.002);
  route.record('HEAD', 404, 0.002);

  const shown = await lines(metrics);
  const counter = (method: string, status: number) =>
    `gke_metadata_server_http_requests_total{route="/computeMetadata/v1/instance/id",method="${method}",status="${status}"}`;
  expect(shown).toContain(`${counter('GET', 200)} 2`);
  expect(shown).toContain(`${counter('HEAD', 404)} 1`);
  expect(shown).toContain(
    'gke_metadata_server_http_request_duration_seconds_count{route="/computeMetadata/v1/instance/id"} 3',
  );
  expect(await lines(metrics)).toContain(`${counter('GET', 200)} 2`);
});

test('methods that callers invent share one label', async () => {
  const metrics = new Metrics('1.2.3');
  const route = metrics.route('/');
  for (const method of ['INVENTED', '__proto__', 'constructor', 'get']) route.record(method, 405, 0);

  const requests = (await lines(metrics)).filter((line) => line.includes('_http_requests_total'));
  expect(requests).toEqual([
    'gke_metadata_server_http_requests_total{route="/",method="other",status="405"} 4',
  ]);
});

test('the same template gives the same counters', () => {
  const metrics = new Metrics('1.2.3');
  expect(metrics.route('/a')).toBe(metrics.route('/a'));
  expect(metrics.route('/a')).not.toBe(metrics.route('/b'));
});

test('exchanges, cache, watches and the build are shown', async () => {
  const metrics = new Metrics('1.2.3');
  metrics.exchanged('sts', 'ok', 0.2);
  metrics.exchanged('sts', 'unavailable', 2);
  metrics.cacheLookedUp('access-token', 'miss');
  metrics.cacheLookedUp('access-token', 'hit');
  metrics.cacheLookedUp('access-token', 'hit');
  metrics.watchRestarted('pods', 'expired');
  metrics.objectUnreadable('nodes');
  metrics.watchCacheSize(() => 7);

  const shown = await lines(metrics);
  expect(shown).toEqual(
    expect.arrayContaining([
      'gke_metadata_server_exchanges_total{kind="sts",result="ok"} 1',
      'gke_metadata_server_exchanges_total{kind="sts",result="unavailable"} 1',
      'gke_metadata_server_exchange_duration_seconds_bucket{kind="sts",le="0.25"} 1',
      'gke_metadata_server_exchange_duration_seconds_count{kind="sts"} 2',
      'gke_metadata_server_cache_lookups_total{kind="access-token",outcome="hit"} 2',
      'gke_metadata_server_cache_lookups_total{kind="access-token",outcome="miss"} 1',
      'gke_metadata_server_cache_tokens 7',
      'gke_metadata_server_watch_restarts_total{resource="pods",reason="expired"} 1',
      'gke_metadata_server_unreadable_objects_total{resource="nodes"} 1',
      `gke_metadata_server_build_info{version="1.2.3",bun_version="${Bun.version}"} 1`,
    ]),
  );
});

test("whether the cluster's keys have changed has no sample before it is known", async () => {
  const metrics = new Metrics('1.2.3');
  const name = 'gke_metadata_server_cluster_jwks_changed';
  const samples = async () => (await lines(metrics)).filter((line) => line.startsWith(name));
  expect(await samples()).toEqual([]);
  metrics.clusterKeysCompared(false);
  expect(await samples()).toEqual([`${name} 0`]);
  metrics.clusterKeysCompared(true);
  expect(await samples()).toEqual([`${name} 1`]);
});

test('the process shows its memory, CPU time and start', async () => {
  const shown = new Map(
    (await lines(new Metrics('1.2.3')))
      .map((line) => line.split(' '))
      .map(([name, value]) => [name, Number(value)]),
  );
  expect(shown.get('process_resident_memory_bytes')).toBeGreaterThan(1_000_000);
  expect(shown.get('process_cpu_seconds_total')).toBeGreaterThan(0);
  expect(shown.get('process_start_time_seconds')).toBeGreaterThan(1_700_000_000);
});

test('two sets of metrics share nothing', async () => {
  const first = new Metrics('1');
  first.route('/a').record('GET', 200, 0);
  expect((await lines(new Metrics('2'))).filter((line) => line.includes('http_requests'))).toEqual([]);
});
