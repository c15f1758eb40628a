/** What a program that was run has left behind. */
export interface Finished {
  /** 0 on success; undefined if a signal ended it, including that of the time limit. */
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  /** The whole environment; this process's own by default. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Its standard input: a file's name or a stream; nothing by default. */
  readonly stdin?: string | ReadableStream<Uint8Array>;
  /** Told each line of standard error as it comes. */
  readonly onErrorLine?: (line: string) => void;
  /** Milliseconds until it is killed; 10 minutes by default, so that nothing hangs forever. */
  readonly timeout?: number;
}

/** A program is not on PATH. */
export class ProgramMissing extends Error {
  override readonly name = 'ProgramMissing';

  constructor(program: string, cause?: unknown) {
    super(`cannot run ${program}: it is not on PATH. Install it, and run this again.`, { cause });
  }
}

/** Runs a program until it ends. Throws {@link ProgramMissing} if there is no such program. */
export async function run(command: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const child = start(command, options);
  const [stdout, stderr] = await Promise.all([
    child.stdout.text(),
    textByLine(child.stderr, options.onErrorLine),
  ]);
  await child.exited;
  return { exitCode: child.exitCode ?? undefined, stdout, stderr };
}

function start(command: readonly string[], options: RunOptions) {
  try {
    return spawn(command, options);
  } catch (error) {
    const [program = ''] = command;
    if (Object(error).code === 'ENOENT' && Bun.which(program) === null) throw new ProgramMissing(program);
    throw error;
  }
}

function spawn(command: readonly string[], options: RunOptions) {
  return Bun.spawn([...command], {
    ...(options.cwd !== undefined && { cwd: options.cwd }),
    env: options.env ?? process.env,
    stdin: typeof options.stdin === 'string' ? Bun.file(options.stdin) : (options.stdin ?? 'ignore'),
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: options.timeout ?? 600_000,
    killSignal: 'SIGKILL',
  });
}

/** Its standard output. Throws, with all that it printed, unless its exit code is 0. */
export async function runOrThrow(command: readonly string[], options: RunOptions = {}): Promise<string> {
  const { exitCode, stdout, stderr } = await run(command, options);
  if (exitCode === 0) return stdout;
  throw new Error(`${command.join(' ')}: ${exitCode ?? 'killed'}\n${stdout}${stderr}`);
}

async function textByLine(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  onLine: ((line: string) => void) | undefined,
): Promise<string> {
  let text = '';
  let rest = '';
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onLine?.(line);
  }
  return text;
}
