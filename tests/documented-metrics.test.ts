import { describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { AdmissionMetrics } from '../server/admission/admission-metrics.ts';
import { Metrics } from '../server/telemetry/metrics.ts';

const guide = await Bun.file(join(import.meta.dir, '../docs/configuration.md')).text();

/** The names in the first cells of the tables below these lines of the guide. */
function documented(...lines: readonly string[]): string[] {
  const tables = lines.map((line) => guide.split(`\n${line}\n\n`)[1]?.split('\n\n')[0] ?? '');
  const cells = tables.flatMap((table) => table.split('\n').map((row) => row.split('|')[1] ?? ''));
  return cells.flatMap((cell) => [...cell.matchAll(/`(.+?)`/g)].map(([, name = '']) => name)).sort();
}

describe('the metrics in docs/configuration.md are those there are', () => {
  test.each([
    ['Of `serve`:', new Metrics('1.2.3')],
    ['Of `webhook`:', new AdmissionMetrics('1.2.3')],
  ])('%s', async (line, metrics) => {
    const { text } = await metrics.exposition();
    const shown = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name = '']) => name).sort();
    expect(documented(line, 'Of both:')).toEqual(shown);
  });
});
