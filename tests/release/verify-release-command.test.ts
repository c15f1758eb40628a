import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { join } from 'node:path';
import { run } from '../../scripts/run.ts';
import { PublishedProject, SOURCE_URL, VERSION } from './published-project.ts';
import { cosignEnvironment } from './small-release.ts';

// each runs a hundred programs, on a machine that may have other things to do
setDefaultTimeout(600_000);

let project: PublishedProject;

beforeAll(async () => {
  project = await PublishedProject.start();
});
afterAll(() => project[Symbol.asyncDispose]());

const verify = (...args: readonly string[]) =>
  run([process.execPath, 'scripts/verify-release.ts', ...args], {
    cwd: join(import.meta.dir, '../..'),
    env: { ...process.env, ...cosignEnvironment() },
  });

test('says a line each, and ends well', async () => {
  const args = [VERSION, '--registry', project.at, '--source', SOURCE_URL, '--key', project.key.signer.key];
  const { exitCode, stdout } = await verify(...args);
  const lines = stdout.trimEnd().split('\n');
  expect(lines.at(-1)).toBe(`${VERSION} is good.`);
  expect(lines.slice(0, -1).filter((line) => !line.startsWith('✓ '))).toEqual([]);
  expect(exitCode).toBe(0);
});

test('fails where anything does, and says so last', async () => {
  const { exitCode, stdout } = await verify(
    VERSION,
    '--registry',
    project.at,
    '--source',
    'https://git.example.test/another',
    '--key',
    project.key.signer.key,
  );
  expect(stdout).toContain('✗ image: provenance: its sourceURL is');
  expect(stdout.trimEnd().split('\n').at(-1)).toBe(`${VERSION} is NOT to be trusted: 4 checks failed.`);
  expect(exitCode).toBe(1);
});

test.each([
  [[]],
  [['v1.0.0']],
  [['1.0.0', '--source', SOURCE_URL]],
  [['1.0.0', '--registry', 'example.test']],
  [['1.0.0', '--source', SOURCE_URL, '--registry', 'https://example.test']],
  [['1.0.0', '--source', 'example.test', '--registry', 'example.test']],
  [['1.0.0', '--source', SOURCE_URL, '--registry', 'example.test', '--nothing-such']],
])('bad use: %j', async (args) => {
  expect((await verify(...args)).exitCode).toBe(2);
});
