import { beforeAll, expect, test } from 'bun:test';
import { ModuleRenderer } from '../../scripts/module/render.ts';
import { Cache } from '../../scripts/tools/cache.ts';
import { waitUntil } from '../wait-until.ts';
import { substituted } from './grafana-query.ts';
import { Installation } from './installation.ts';
import { type MonitoringTools, prepareMonitoringTools } from './prometheus.ts';
import { type Dashboard, instance, type Panel, renderMonitoring } from './rendered.ts';

const SLOW_MACHINE = 180_000;
const ANNOTATED = '127.0.0.11';
const DIRECT = '127.0.0.12';
const DENIED = '127.0.0.13';

let tools: MonitoringTools;
let renderer: ModuleRenderer;
beforeAll(async () => {
  const cache = new Cache();
  [tools, renderer] = await Promise.all([prepareMonitoringTools(cache), ModuleRenderer.prepare(cache)]);
}, SLOW_MACHINE);

const graphs = ({ panels }: Dashboard): readonly Panel[] => panels.filter(({ type }) => type !== 'row');

test(
  'each query of each panel has data, for all Namespaces and Nodes and for chosen ones',
  async () => {
    await using installation = await Installation.start({ tools, renderer });
    const { prometheus, monitoring, world } = installation;
    const chosen = { namespace: instance.namespace, node: world.nodeName };
    const every = { namespace: '.*', node: '.*' };
    const queries = graphs(monitoring.dashboard).flatMap(({ title, targets = [] }) =>
      targets.flatMap(({ expr }) =>
        [chosen, every].map((variables) => ({
          title,
          query: substituted(expr, { ...variables, scrapeInterval: 1, interval: 1 }),
        })),
      ),
    );
    let missing = queries;
    await waitUntil('each query has data', async () => {
      world.kubernetes.endWatches();
      await installation.use();
      for (const address of [ANNOTATED, DIRECT, DENIED]) await installation.askForNewToken(address);
      await installation.askForNewIdToken(ANNOTATED);
      const found = await Promise.all(queries.map(({ query }) => prometheus.query(query)));
      missing = queries.filter((_, index) => {
        const series = found[index] ?? [];
        return series.length === 0 || !series.every(({ samples }) => Number.isFinite(samples[0]?.[1]));
      });
      return missing.length === 0 || Promise.reject(new Error(JSON.stringify(missing, undefined, 1)));
    });
    expect(missing).toEqual([]);
    expect(queries.length).toBeGreaterThan(50);
  },
  SLOW_MACHINE,
);

test('a Node or a Namespace that is not chosen is not shown', async () => {
  const { dashboard } = await renderMonitoring(renderer);
  const queries = graphs(dashboard).flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
  expect(queries.filter((query) => !query.includes('$namespace'))).toEqual([]);
  const ofAllNodes = queries.filter((query) => !query.includes('$node'));
  expect(ofAllNodes.filter((query) => !query.includes('webhook'))).toEqual([]);
});

test('each panel says what is seen, and no two stand in one place', async () => {
  const { dashboard } = await renderMonitoring(renderer);
  const panels = graphs(dashboard);
  expect(panels.filter(({ description = '' }) => !description.endsWith('.'))).toEqual([]);
  const taken = new Set<string>();
  for (const { gridPos } of dashboard.panels) {
    expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        const place = `${x} ${y}`;
        expect(taken).not.toContain(place);
        taken.add(place);
      }
    }
  }
});

test('without webhook nothing is shown of one', async () => {
  const { dashboard, rules, objects } = await renderMonitoring(renderer, { webhook: { enabled: false } });
  expect(JSON.stringify([dashboard, rules])).not.toContain('-webhook');
  expect(JSON.stringify([dashboard, rules])).not.toContain('webhook_');
  expect(objects.filter(({ kind }) => kind === 'PodMonitor').map(({ metadata }) => metadata.name)).toEqual([
    `${instance.name}-server`,
  ]);
});
