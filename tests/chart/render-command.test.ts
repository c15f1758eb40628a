import { expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { minimalValues } from '../../scripts/module/config-fields.ts';
import { run } from '../../scripts/run.ts';
import { objectsIn } from './helm.ts';

const MINUTE = 60_000;
const script = join(import.meta.dir, '../../scripts/render');

async function withValues<Result>(values: unknown, use: (file: string) => Promise<Result>): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), 'gkems-render-'));
  try {
    await Bun.write(join(folder, 'values.yaml'), Bun.YAML.stringify(values));
    return await use(join(folder, 'values.yaml'));
  } finally {
    await rm(folder, { recursive: true });
  }
}

test(
  'manifests go to standard output, or to a file',
  async () => {
    await withValues(minimalValues, async (values) => {
      const output = join(values, '../manifests.yaml');
      const flags = ['--values', values, '--name', 'one', '--namespace', 'other', '--create-namespace'];
      const [printed, written] = await Promise.all([
        run([script, ...flags]),
        run([script, ...flags, '--output', output]),
      ]);
      expect({ ...printed, stdout: await Bun.file(output).text() }).toEqual(printed);
      expect(written).toMatchObject({ exitCode: 0, stdout: '' });
      const objects = objectsIn(printed.stdout);
      expect(objects[0]).toMatchObject({ kind: 'Namespace', metadata: { name: 'other' } });
      expect(objects.find(({ kind }) => kind === 'DaemonSet')).toMatchObject({
        metadata: { name: 'one', namespace: 'other' },
      });
    });
  },
  5 * MINUTE,
);

test(
  'values that the module refuses fail with what it says of them',
  async () => {
    const settings = { ...minimalValues.settings, healthPort: 16321 };
    await withValues({ ...minimalValues, settings }, async (values) => {
      const { exitCode, stdout, stderr } = await run([script, '--values', values]);
      expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
      expect(stderr).toContain('settings.serverPort and settings.healthPort are both 16321');
    });
  },
  5 * MINUTE,
);

test(
  'help succeeds, bad use has an exit code of its own',
  async () => {
    const [help, unknown, both] = await Promise.all([
      run([script, '--help']),
      run([script, '--colour']),
      run([script, '--chart', '/nowhere', '--name', 'one']),
    ]);
    expect(help).toMatchObject({ exitCode: 0, stderr: '' });
    expect(help.stdout).toContain('--create-namespace');
    expect(unknown).toMatchObject({ exitCode: 2, stdout: '' });
    expect(both).toMatchObject({ exitCode: 2, stdout: '' });
    expect(both.stderr).toContain('a chart takes its values when it is installed');
  },
  MINUTE,
);
