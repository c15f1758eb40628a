import { expect, setDefaultTimeout, test } from 'bun:test';
import { end, identify, isRunning } from './daemon.ts';

// each starts programs, on a machine that may have other things to do
setDefaultTimeout(120_000);

const onLinux = test.skipIf(process.platform !== 'linux');

onLinux('a process is itself, one that ended is gone though nobody has waited for it', async () => {
  const child = Bun.spawn(['sleep', '600']);
  const identity = identify(child.pid);
  if (!identity) throw new Error('the process has no identity');
  expect(isRunning(identity)).toBe(true);
  await end(identity, 60_000);
  expect(isRunning(identity)).toBe(false);
  await child.exited;
  expect(child.signalCode).toBe('SIGTERM');
});

onLinux('one that will not go is killed', async () => {
  const child = Bun.spawn(['sh', '-c', 'trap "" TERM; echo trapped; while :; do sleep 1; done'], {
    stdout: 'pipe',
  });
  await child.stdout.getReader().read();
  const identity = identify(child.pid);
  if (!identity) throw new Error('the process has no identity');
  await end(identity, 40);
  await child.exited;
  expect(child.signalCode).toBe('SIGKILL');
});

onLinux('another process with the same pid is left alone', async () => {
  const child = Bun.spawn(['sleep', '600']);
  const stranger = { pid: child.pid, started: 'another-boot/1' };
  expect(isRunning(stranger)).toBe(false);
  await end(stranger, 0);
  expect(identify(child.pid)).toBeDefined();
  child.kill();
  await child.exited;
});
