import { expect, setDefaultTimeout, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../scripts/run.ts';
import { countsOf, filesOf } from './junit-report.ts';

// each starts programs, on a machine that may have other things to do
setDefaultTimeout(120_000);

test('counts what bun test reports', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'gkems-junit-'));
  await Bun.write(
    join(folder, 'a.test.ts'),
    `import { describe, expect, test } from 'bun:test';
    describe('failures="7" <testsuites tests="9">', () => {
      test('a', () => {}); test('b', () => {});
      test('fails', () => { expect(1).toBe(2); });
      test.skip('skipped', () => {}); test.todo('to do');
    });`,
  );
  const report = join(folder, 'report.xml');
  const flags = ['--reporter=junit', `--reporter-outfile=${report}`];
  const { exitCode } = await run([process.execPath, 'test', ...flags], { cwd: folder });
  const text = await Bun.file(report).text();
  await rm(folder, { recursive: true });
  expect({ exitCode, counts: countsOf(text) }).toEqual({ exitCode: 1, counts: { passed: 2, failed: 1 } });
  expect(filesOf(text)).toEqual(['a.test.ts']);
});

test.each(['', '<testsuites>', '<testsuites tests="3" skipped="0">'])('finds no totals in %p', (report) => {
  expect(countsOf(report)).toBeUndefined();
});
