import { expect, test } from 'bun:test';
import { exists, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../scripts/run.ts';
import { readRecord } from '../cluster/cluster-state.ts';
import { isRunning } from '../cluster/daemon.ts';
import { waitUntil } from '../wait-until.ts';

const SCRIPT = join(import.meta.dir, '../cluster/main.ts');

test('a folder that is not empty is refused before anything starts, and stays as it was', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'refused-cluster-'));
  try {
    await Bun.write(join(folder, 'thesis.txt'), 'mine');
    for (const command of ['up', 'down']) {
      const { exitCode, stdout, stderr } = await run([
        process.execPath,
        SCRIPT,
        '--state-dir',
        folder,
        command,
      ]);
      expect([command, exitCode, stdout]).toEqual([command, command === 'up' ? 1 : 0, '']);
      expect(stderr).toContain(command === 'up' ? 'the folder is not empty' : 'no cluster is up in');
    }
    expect(await Bun.file(join(folder, 'thesis.txt')).text()).toBe('mine');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}, 120_000);

test.each(['SIGINT', 'SIGTERM'] as const)(
  '%s during `cluster up` stops what it has started',
  async (signal) => {
    const folder = await mkdtemp(join(tmpdir(), 'interrupted-cluster-'));
    const state = join(folder, 'state');
    try {
      const child = Bun.spawn([process.execPath, SCRIPT, '--state-dir', state, 'up', 'api'], {
        stdin: 'ignore',
        stdout: 'pipe',
        stderr: 'pipe',
      });
      const etcd = await waitUntil(
        'etcd runs',
        async () => (await readRecord(state))?.processes['etcd'] ?? false,
      );
      child.kill(signal);
      expect(await child.exited).toBe(1);
      expect(await child.stderr.text()).toContain(`interrupted (${signal}): nothing is left running`);
      expect(await child.stdout.text()).toBe('');
      expect(isRunning(etcd)).toBe(false);
      expect(await exists(state)).toBe(false);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
  120_000,
);
