import { beforeAll, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ModuleRenderer } from '../../scripts/module/render.ts';
import { run } from '../../scripts/run.ts';
import { Cache } from '../../scripts/tools/cache.ts';
import { type MonitoringTools, prepareMonitoringTools } from './prometheus.ts';
import { instance, type Monitoring, renderMonitoring } from './rendered.ts';

const SLOW_MACHINE = 180_000;
/** Minutes from the first sample to the cause. */
const CAUSE = 20;

const place = `namespace="${instance.namespace}", node="n", pod="p"`;
const server = `job="${instance.namespace}/${instance.name}-server", ${place}`;
const webhook = `job="${instance.namespace}/${instance.name}-webhook", ${place}`;
const METRIC = 'gke_metadata_server';

/** Samples of a series, a minute apart, in promtool's notation: before the cause and from then on. */
interface InputSeries {
  readonly series: string;
  readonly before: string;
  readonly after: string;
}

interface Case {
  readonly series: readonly InputSeries[];
  /** Minutes after the cause until the expression is true of what was scraped. */
  readonly detectedAfter: number;
}

const up = (labels: string, after: string): InputSeries => ({
  series: `up{${labels}}`,
  before: `1x${CAUSE}`,
  after,
});
const grows = (series: string, before: number, after: number): InputSeries => ({
  series,
  before: `0+${before}x${CAUSE}`,
  after: `${before * CAUSE + after}+${after}x100`,
});
const requests = `${METRIC}_http_requests_total`;
const exchanges = `${METRIC}_exchanges_total`;
const reviews = `${METRIC}_webhook_reviews_total`;
const refusals = `${METRIC}_webhook_injections_refused_total`;
const certificate = `${METRIC}_webhook_certificate_expiration_timestamp_seconds`;
const DAY = 24 * 60;

/** What makes each alert, at rates far from where versions of Prometheus round differently. */
const causes: Readonly<Record<string, Case>> = {
  GKEMetadataServerDown: { series: [up(server, '0x100')], detectedAfter: 1 },
  // what vanishes from a scrape is stale at once
  GKEMetadataServerAbsent: { series: [up(server, 'stale')], detectedAfter: 1 },
  GKEMetadataServerRequestsFailing: {
    series: [
      grows(`${requests}{${place}, status="200"}`, 100, 50),
      grows(`${requests}{${place}, status="503"}`, 0, 50),
    ],
    detectedAfter: 1,
  },
  GKEMetadataServerExchangesRefused: {
    series: [grows(`${exchanges}{${place}, kind="access-token", result="refused"}`, 0, 3)],
    detectedAfter: 2,
  },
  GKEMetadataServerExchangesUnavailable: {
    series: [
      grows(`${exchanges}{${place}, kind="sts", result="ok"}`, 10, 3),
      grows(`${exchanges}{${place}, kind="sts", result="unavailable"}`, 0, 7),
    ],
    detectedAfter: 2,
  },
  GKEMetadataServerExchangesThrottled: {
    series: [grows(`${METRIC}_exchanges_throttled_total{${place}, reason="pod-rate"}`, 0, 600)],
    detectedAfter: 1,
  },
  GKEMetadataServerWatchFailing: {
    series: [grows(`${METRIC}_watch_restarts_total{${place}, resource="pods", reason="failed"}`, 0, 3)],
    detectedAfter: 2,
  },
  GKEMetadataServerClusterKeysChanged: {
    series: [{ series: `${METRIC}_cluster_jwks_changed{${place}}`, before: `0x${CAUSE}`, after: '1x100' }],
    detectedAfter: 1,
  },
  GKEMetadataServerWebhookDown: { series: [up(webhook, '0x100')], detectedAfter: 1 },
  GKEMetadataServerWebhookReviewsFailing: {
    series: [
      grows(`${reviews}{${place}, webhook="pods", outcome="patched"}`, 20, 17),
      grows(`${reviews}{${place}, webhook="pods", outcome="failed"}`, 0, 3),
    ],
    detectedAfter: 2,
  },
  GKEMetadataServerInjectionsRefused: {
    // a ReplicaSet, once it tries again no more than every 17 minutes
    series: [
      {
        series: `${refusals}{${place}, kind="aws"}`,
        before: `0x${CAUSE}`,
        after: '5x16 6x16 7x16 8x16 9x16',
      },
    ],
    detectedAfter: 1,
  },
  GKEMetadataServerTokenRequestsRefused: {
    series: [grows(`${reviews}{${place}, webhook="token-requests", outcome="refused"}`, 0, 6)],
    detectedAfter: 2,
  },
  GKEMetadataServerWebhookCertificateExpiring: {
    // promtool's clock begins at 0: 15 days are half of the 30 before expiry at which it should have been renewed
    series: [
      {
        series: `${certificate}{${place}}`,
        before: `${(15 * DAY + CAUSE) * 60}x${CAUSE}`,
        after: `${(15 * DAY + CAUSE) * 60}x100`,
      },
    ],
    detectedAfter: 1,
  },
};

/** Occasional failures, which must not alert. */
const rests: Readonly<Record<string, readonly InputSeries[]>> = {
  GKEMetadataServerDown: [up(server, '0x3 1x100')],
  GKEMetadataServerAbsent: [up(server, '0x100')],
  GKEMetadataServerRequestsFailing: [
    grows(`${requests}{${place}, status="200"}`, 100, 97),
    grows(`${requests}{${place}, status="503"}`, 0, 3),
  ],
  // a ServiceAccount that gets its ID tokens in two steps is refused once an hour
  GKEMetadataServerExchangesRefused: [
    {
      series: `${exchanges}{${place}, kind="id-token", result="refused"}`,
      before: `0x${CAUSE}`,
      after: '1x59 2x100',
    },
  ],
  GKEMetadataServerExchangesUnavailable: [
    grows(`${exchanges}{${place}, kind="sts", result="ok"}`, 10, 9),
    grows(`${exchanges}{${place}, kind="sts", result="unavailable"}`, 0, 1),
  ],
  // while Google fails, callers back off: that has an alert of its own
  GKEMetadataServerExchangesThrottled: [
    grows(`${METRIC}_exchanges_throttled_total{${place}, reason="pod-rate"}`, 0, 20),
    grows(`${METRIC}_exchanges_throttled_total{${place}, reason="backing-off"}`, 0, 600),
  ],
  GKEMetadataServerWatchFailing: [
    grows(`${METRIC}_watch_restarts_total{${place}, resource="pods", reason="ended"}`, 2, 2),
    {
      series: `${METRIC}_watch_restarts_total{${place}, resource="pods", reason="failed"}`,
      before: `0x${CAUSE}`,
      after: '4x100',
    },
  ],
  GKEMetadataServerClusterKeysChanged: [
    { series: `${METRIC}_cluster_jwks_changed{${place}}`, before: `0x${CAUSE}`, after: '0x100' },
  ],
  // one of two is replaced
  GKEMetadataServerWebhookDown: [up(webhook, '0x100'), up(webhook.replace('"p"', '"q"'), '1x100')],
  GKEMetadataServerWebhookReviewsFailing: [
    grows(`${reviews}{${place}, webhook="pods", outcome="refused"}`, 1, 1),
  ],
  // somebody mistypes an annotation, and corrects it
  GKEMetadataServerInjectionsRefused: [
    { series: `${refusals}{${place}, kind="aws"}`, before: `0x${CAUSE}`, after: '1x3 3x100' },
  ],
  // Pods that go while their token is asked for
  GKEMetadataServerTokenRequestsRefused: [
    {
      series: `${reviews}{${place}, webhook="token-requests", outcome="refused"}`,
      before: `0x${CAUSE}`,
      after: '8x100',
    },
  ],
  GKEMetadataServerWebhookCertificateExpiring: [
    {
      series: `${certificate}{${place}}`,
      before: `${20 * DAY * 60}x${CAUSE}`,
      after: `${20 * DAY * 60}x100`,
    },
  ],
};

let tools: MonitoringTools;
let monitoring: Monitoring;
beforeAll(async () => {
  const cache = new Cache();
  tools = await prepareMonitoringTools(cache);
  monitoring = await renderMonitoring(await ModuleRenderer.prepare(cache));
}, SLOW_MACHINE);

const inputs = (series: readonly InputSeries[]) =>
  series.map(({ series, before, after }) => ({ series, values: `${before} ${after}` }));

/** How many alerts of this name are in this state at some minute. */
const count = (alert: string, state: 'pending' | 'firing', minute: number, wanted: number) => ({
  expr: `count(ALERTS{alertname="${alert}", alertstate="${state}"}) or vector(0)`,
  eval_time: `${minute}m`,
  exp_samples: [{ labels: '{}', value: wanted }],
});

test(
  'promtool finds nothing wrong with the rules',
  async () => {
    const { exitCode, stdout, stderr } = await promtool('check', [{ groups: monitoring.groups }]);
    expect(stderr).toBe('');
    expect(stdout).toContain(`${monitoring.rules.length} rules found`);
    expect(exitCode).toBe(0);
  },
  SLOW_MACHINE,
);

test(
  'each alert waits as long as it says and then fires, and rests at what goes wrong now and then',
  async () => {
    const names = monitoring.rules.map(({ alert }) => alert).sort();
    expect([Object.keys(causes).sort(), Object.keys(rests).sort()]).toEqual([names, names]);
    const tests = monitoring.rules.flatMap((rule) => {
      const { alert } = rule;
      const { series, detectedAfter } = causes[alert] ?? { series: [], detectedAfter: 0 };
      const fires = CAUSE + detectedAfter + minutes(rule.for);
      return [
        {
          name: `${alert} fires`,
          interval: '1m',
          input_series: inputs(series),
          promql_expr_test: [
            count(alert, 'pending', CAUSE, 0),
            count(alert, 'firing', fires - 1, 0),
            count(alert, 'pending', fires - 1, 1),
            count(alert, 'firing', fires, 1),
          ],
        },
        {
          name: `${alert} rests`,
          interval: '1m',
          input_series: inputs(rests[alert] ?? []),
          promql_expr_test: [30, 40, 60, 90].map((minute) => count(alert, 'firing', minute, 0)),
        },
      ];
    });
    const { exitCode, stdout, stderr } = await promtool('test', [
      { groups: monitoring.groups },
      { rule_files: ['0.json'], evaluation_interval: '1m', tests },
    ]);
    expect(stdout + stderr).toContain('SUCCESS');
    expect(exitCode).toBe(0);
  },
  SLOW_MACHINE,
);

/** Runs `promtool COMMAND rules` with the last of these files; JSON is YAML. */
async function promtool(command: 'check' | 'test', files: readonly object[]) {
  const folder = await mkdtemp(join(tmpdir(), 'gkems-rules-'));
  try {
    for (const [index, content] of files.entries()) {
      await Bun.write(join(folder, `${index}.json`), JSON.stringify(content));
    }
    return await run([tools.promtool, command, 'rules', `${files.length - 1}.json`], { cwd: folder });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function minutes(duration: string): number {
  const amount = Number(duration.slice(0, -1));
  return duration.endsWith('h') ? amount * 60 : amount;
}
