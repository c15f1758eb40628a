import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { substituted } from '../tests/monitoring/grafana-query.ts';
import { Installation } from '../tests/monitoring/installation.ts';
import { prepareMonitoringTools, type Series } from '../tests/monitoring/prometheus.ts';
import type { Panel } from '../tests/monitoring/rendered.ts';
import { eventfulLoad } from './dashboard-picture/eventful-load.ts';
import { type DrawnPanel, drawPage } from './dashboard-picture/page.ts';
import type { Line } from './dashboard-picture/panel-drawing.ts';
import { ModuleRenderer } from './module/render.ts';
import { runOrThrow } from './run.ts';
import { callerPath, runScript } from './script.ts';
import { Cache } from './test-cluster/cache.ts';

const STEP_SECONDS = 2;
const report = (line: string) => console.error(line);

const program = new Command('scripts/draw-dashboard')
  .description(
    'Draws the panels of the Grafana dashboard: puts the server and the webhook under load against stand-ins, asks a ' +
      "real Prometheus the panels' queries, and has Chromium make a PNG of the answers. Linux.",
  )
  .option('--seconds <number>', 'how long the load lasts, 60 or more', parseSeconds, 240)
  .option('--chromium <program>', 'Chromium or Chrome', 'chromium')
  .option('--output <file>', 'where the picture goes', callerPath, resolve('docs/monitoring.png'))
  .action(draw);

interface Options {
  readonly seconds: number;
  readonly chromium: string;
  readonly output: string;
}

async function draw({ seconds, chromium, output }: Options): Promise<void> {
  if (Bun.which(chromium) === null)
    throw new Error(`there is no ${chromium} on PATH: install it, or see --chromium`);
  const { html, width, height } = drawPage(await measure(seconds), seconds);
  await screenshot(chromium, html, `${width},${height}`, output);
  console.log(output);
}

/** Each panel with what Prometheus answers to its queries, at the end of such a load. */
async function measure(seconds: number): Promise<DrawnPanel[]> {
  const cache = new Cache(undefined, report);
  const [tools, renderer] = await Promise.all([prepareMonitoringTools(cache), ModuleRenderer.prepare(cache)]);
  await using installation = await Installation.start({ tools, renderer });
  const { prometheus, monitoring } = installation;
  report(`${seconds} s of load`);
  const begin = Date.now() / 1000;
  await eventfulLoad(installation, seconds);
  const variables = { namespace: '.*', node: '.*', scrapeInterval: 1, interval: STEP_SECONDS * 3 };
  const draw = async (panel: Panel): Promise<DrawnPanel> => {
    const lines = (panel.targets ?? []).map(async ({ expr, legendFormat }) => {
      const query = substituted(expr, variables);
      const series = await prometheus.queryRange(query, begin, begin + seconds, STEP_SECONDS);
      return series.map((one) => lineOf(one, legendFormat, begin));
    });
    return { panel, lines: (await Promise.all(lines)).flat() };
  };
  return await Promise.all(monitoring.dashboard.panels.map(draw)); // before Prometheus ends
}

function lineOf({ labels, samples }: Series, legend: string, begin: number): Line {
  return {
    name: legend.replaceAll(/\{\{(\w+)\}\}/g, (_, label: string) => labels[label] ?? ''),
    points: samples.map(([at, value]) => [at - begin, value]),
  };
}

async function screenshot(chromium: string, html: string, size: string, file: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'gkems-picture-'));
  try {
    const page = join(folder, 'page.html');
    await Bun.write(page, html);
    // a sandbox of Chromium's own needs what containers and root seldom have; the page is ours
    const flags = [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--hide-scrollbars',
      `--user-data-dir=${folder}`,
    ];
    await runOrThrow([chromium, ...flags, `--window-size=${size}`, `--screenshot=${file}`, page]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function parseSeconds(value: string): number {
  const seconds = Number(value);
  if (!Number.isInteger(seconds) || seconds < 60)
    throw new InvalidArgumentError('Give a whole number, 60 or more.');
  return seconds;
}

await runScript(program);
