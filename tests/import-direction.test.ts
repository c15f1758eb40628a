import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { halfViolations, importViolations } from './import-direction.ts';

const ROOT = join(import.meta.dir, '..');
const SERVER = join(ROOT, 'server');

test('imports go one way', async () => {
  const files = new Map<string, string>();
  for await (const path of new Bun.Glob('**/*.ts').scan(SERVER)) {
    files.set(path, await Bun.file(join(SERVER, path)).text());
  }
  expect(files.keys()).toContain('main.ts');
  expect(importViolations(files)).toEqual([]);
});

test('tests import scripts, and scripts never import tests', async () => {
  const files = new Map<string, string>();
  for await (const path of new Bun.Glob('{scripts,tests}/**/*.ts').scan(ROOT)) {
    // this file quotes imports
    if (!import.meta.path.endsWith(path)) files.set(path, await Bun.file(join(ROOT, path)).text());
  }
  expect(files.keys()).toContain('tests/run/main.ts');
  expect(halfViolations(files)).toEqual([]);
});

test.each([
  ["import { startCluster } from '../tests/cluster/start-cluster.ts';", 'scripts/demo.ts', 1],
  ["import type { Cluster } from '../../tests/cluster/cluster.ts';", 'scripts/tools/a.ts', 1],
  ["import { run } from '../../scripts/run.ts';", 'tests/cluster/a.ts', 0],
  ["import { Fault } from '../server/core/fault.ts';", 'scripts/run.ts', 0],
  ["import { version } from '../package.json';", 'scripts/release.ts', 0],
])('%p in %s counts %d', (source, file, count) => {
  expect(halfViolations(new Map([[file, source]]))).toHaveLength(count);
});

function violations(file: string, source: string): string[] {
  return importViolations(new Map([[file, source]]));
}

test.each([
  ["import { Fault } from '../google/sts.ts';", 'caller/caller.ts', '../google/sts.ts'],
  ["import type { Tokens } from '../google/tokens.ts';", 'caller/caller.ts', '../google/tokens.ts'],
  ["import { type Tokens } from '../google/tokens.ts';", 'caller/caller.ts', '../google/tokens.ts'],
  [
    "import {\n  type A,\n  type Tokens,\n} from '../google/tokens.ts';",
    'caller/a.ts',
    '../google/tokens.ts',
  ],
  ["export type { Tokens } from '../google/tokens.ts';", 'caller/caller.ts', '../google/tokens.ts'],
  ["export * from '../google/tokens.ts';", 'caller/caller.ts', '../google/tokens.ts'],
  ["type T = import('../google/tokens.ts').Tokens;", 'caller/caller.ts', '../google/tokens.ts'],
  ["const t = await import('../google/tokens.ts');", 'caller/caller.ts', '../google/tokens.ts'],
  ["import '../google/tokens.ts';", 'caller/caller.ts', '../google/tokens.ts'],
  ["import { ask } from '../../sandbox/ask.ts';", 'admission/injections/a.ts', '../../sandbox/ask.ts'],
  ["import { serveCommand } from '../commands/serve.ts';", 'sandbox/world.ts', '../commands/serve.ts'],
  ["import { run } from '../../scripts/run.ts';", 'commands/serve.ts', '../../scripts/run.ts'],
  ["import type { Caller } from '../caller/caller.ts';", 'newcomer/a.ts', '../caller/caller.ts'],
  ["import type { Context } from 'elysia';", 'metadata/tree.ts', 'elysia'],
  // neither of two folders that would import each other
  ["import type { S } from '../settings/a.ts';", 'kubernetes/a.ts', '../settings/a.ts'],
  ["import type { S } from '../settings/a.ts';", 'telemetry/a.ts', '../settings/a.ts'],
  ["import type { C } from '../caller/a.ts';", 'network/a.ts', '../caller/a.ts'],
  ["import type { M } from '../telemetry/a.ts';", 'http/a.ts', '../telemetry/a.ts'],
  // what tests share
  ["import { FakeGoogle } from '../testing/fake-google.ts';", 'google/a.ts', '../testing/fake-google.ts'],
  ["import { ManualClock } from '../testing/manual-clock.ts';", 'core/a.ts', '../testing/manual-clock.ts'],
  ["const c = await import('../testing/manual-clock.ts');", 'commands/a.ts', '../testing/manual-clock.ts'],
  ["import { folder } from './testdata/folder.ts';", 'admission/a.ts', './testdata/folder.ts'],
  ["import pod from './testdata/plain/pod.yaml';", 'admission/a.ts', './testdata/plain/pod.yaml'],
  ["import { caller } from './callers.test.ts';", 'caller/a.ts', './callers.test.ts'],
])('%p in %s is a violation', (source, file, specifier) => {
  expect(violations(file, source)).toEqual([expect.stringContaining(`${file} imports ${specifier}: `)]);
});

test.each([
  ["import type { Tokens } from '../google/tokens.ts';", 'metadata/tree.ts'],
  ["import { a } from './a.ts';\nimport { b } from '../injections/b.ts';", 'admission/injections/c.ts'],
  ["import { startSandboxWorld } from '../sandbox/world.ts';", 'commands/sandbox.ts'],
  ["import { startSandboxWorld } from '../sandbox/world.ts';", 'metadata/tree.test.ts'],
  ["import type { Elysia } from 'elysia';", 'testing/fake-metadata.ts'],
  ["import { serve } from '../commands/serve.ts';", 'testing/fake-metadata.ts'],
  ["import { ManualClock } from '../testing/manual-clock.ts';", 'core/waiting.test.ts'],
  ["import { Elysia } from 'elysia';", 'http/health.ts'],
  ["import type { Tokens } from '../google/tokens.ts';", 'settings/serve-settings.ts'],
  ["import { version } from '../package.json';", 'main.ts'],
  ["#!/usr/bin/env bun\nexport type Level = 'debug' | 'info';", 'main.ts'],
  ["import { Elysia } from 'elysia';", 'metadata/routes.ts'],
  [
    "// as import { a } from '../google/a.ts' would\nconst s = \"from '../google/a.ts'\";",
    'caller/caller.ts',
  ],
])('%p in %s is not one', (source, file) => {
  expect(violations(file, source)).toEqual([]);
});
