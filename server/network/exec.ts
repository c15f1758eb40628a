export interface ExecResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program by its arguments, never through a shell; a program that is missing ends with 127. */
export type Exec = (argv: readonly string[]) => Promise<ExecResult>;

const NOT_FOUND = 127;
const TIME_LIMIT_MILLISECONDS = 10_000;

/** The real programs of this machine. */
export const systemExec: Exec = async (argv) => {
  const [program = ''] = argv;
  if (Bun.which(program) === null) {
    return { exitCode: NOT_FOUND, stdout: '', stderr: `${program} is not installed` };
  }
  const { PATH } = process.env;
  const child = Bun.spawn([...argv], {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: TIME_LIMIT_MILLISECONDS,
    env: {
      PATH,
      // legacy iptables locks a file in /run, which a read-only root has not; /dev/shm every container has
      XTABLES_LOCKFILE: '/dev/shm/xtables.lock',
    },
  });
  const [stdout, stderr, exitCode] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  return { exitCode, stdout, stderr };
};
