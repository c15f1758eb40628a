import { beforeAll, expect, test } from 'bun:test';
import { join } from 'node:path';
import { ModuleRenderer } from '../../scripts/module/render.ts';
import { Cache } from '../../scripts/tools/cache.ts';
import { instance, type Monitoring, renderMonitoring } from './rendered.ts';

const guide = await Bun.file(join(import.meta.dir, '../../docs/monitoring.md')).text();

let monitoring: Monitoring;
beforeAll(async () => {
  monitoring = await renderMonitoring(await ModuleRenderer.prepare(new Cache()));
}, 180_000);

/** What stands below a heading, to the next one. */
function section(heading: string): string {
  const [, below = ''] = guide.split(`\n${heading}\n`);
  return below.split(/^#/m)[0] ?? '';
}

test('docs/monitoring.md tells of each alert, with its severity and how long it waits, and of no other', () => {
  const headings = [...guide.matchAll(/^### (.+)$/gm)].map(([, name = '']) => name);
  expect(headings).toEqual(monitoring.rules.map(({ alert }) => alert));
  const told = monitoring.rules.map(({ alert }) => {
    const [, severity, amount] =
      /`(critical|warning)` after (\d+)\sminutes/.exec(section(`### ${alert}`)) ?? [];
    return [alert, severity, `${amount}m`];
  });
  expect(told).toEqual(
    monitoring.rules.map(({ alert, labels, for: wait }) => [alert, labels.severity, wait]),
  );
});

test('it lists each row of the dashboard with its panels', () => {
  const table = [...section('## The dashboard').matchAll(/^\| (?!row |-)(.+?) \| (.+?) \|/gm)];
  const documented = table.flatMap(([, row, panels = '']) => [row, ...panels.split(', ')]);
  expect(documented).toEqual(monitoring.dashboard.panels.map(({ title }) => title));
});

test('the objects are called as it says', () => {
  const names = [...guide.matchAll(/`NAME-(\w+)`/g)].map(([, suffix]) => `${instance.name}-${suffix}`);
  const rendered = monitoring.objects.map(({ metadata }) => metadata.name);
  expect(rendered.filter((name) => !names.includes(name))).toEqual([]);
});
