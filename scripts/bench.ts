import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from '@commander-js/extra-typings';
import { type AloneFigures, measureAlone } from './benchmark/alone.ts';
import { otherClouds, startContenders, startServer } from './benchmark/contenders.ts';
import { dropFromPageCache } from './benchmark/machine.ts';
import { addPodAddresses, isInside, runInside } from './benchmark/network-namespace.ts';
import { type Figures, report } from './benchmark/report.ts';
import { type CaseFigures, measureCase } from './benchmark/rounds.ts';
import { StandInsProcess } from './benchmark/stand-ins-process.ts';
import { aloneTargets, requestTargets } from './benchmark/targets.ts';
import { compileServer } from './compile-server.ts';
import { bringPrograms, isMissing, type RequiredProgram } from './required-programs.ts';
import { callerPath, runScript } from './script.ts';

interface Options {
  readonly rounds: number;
  readonly seconds: number;
  readonly only?: 'requests' | 'alone';
  readonly json?: string;
}

const EXECUTABLE = 'dist/gke-metadata-server';
const NEEDED: readonly RequiredProgram[] = [
  { name: 'h2load', debianPackages: ['nghttp2-client'] },
  { name: 'taskset', debianPackages: ['util-linux'] },
  { name: 'unshare', debianPackages: ['util-linux'] },
  { name: 'ip', debianPackages: ['iproute2'] },
];
/** Without it the comparison has only the floor. */
const NGINX: RequiredProgram = { name: 'nginx', debianPackages: ['nginx-light'] };
const MEMORY_REQUESTS = 1_000_000;
const REST_SECONDS = 70;

const command = new Command('scripts/bench')
  .description(
    'Measures the released build against stand-ins for Kubernetes and Google, in turn with a bare Bun server (the ' +
      'floor) and nginx that return the same bytes. Each server has one core, the load another. Linux only; as root ' +
      'on Debian it installs the programs it needs. docs/performance.md explains the output.',
  )
  .option('--rounds <number>', 'turns of each server', parsePositive, 7)
  .option('--seconds <number>', 'length of a turn', parsePositive, 3)
  .addOption(
    new Option(
      '--only <part>',
      'requests (throughput and latency) or alone (memory, an uncached scope, idle)',
    ).choices(['requests', 'alone']),
  )
  .option('--json <file>', 'also write the figures to this file', callerPath)
  // the parsers and choices above are the proof of the type
  .action(async (options: Options) => {
    process.exitCode = isInside() ? await measure(options) : await prepare();
  });

await runScript(command);

/** What needs the network and all cores; then this same program again, without them. */
async function prepare(): Promise<number> {
  if (process.platform !== 'linux' || cpus().length < 2) {
    console.error('This needs Linux and two cores: one for the server, one for the load.');
    return 1;
  }
  await bringPrograms(NEEDED, (line) => console.error(line), [NGINX]);
  progress('compiling the released build');
  await compileServer(EXECUTABLE);
  await dropFromPageCache(EXECUTABLE);
  return runInside([process.execPath, ...process.argv.slice(1)]);
}

async function measure(options: Options): Promise<number> {
  const [busy = 0] = loadavg();
  await addPodAddresses();
  const nginx = !isMissing(NGINX);
  const folder = await mkdtemp(join(tmpdir(), 'bench-'));
  try {
    const { standIns, clouds } = await StandInsProcess.start(join(folder, 'kubeconfig.json'));
    using _ending = standIns;
    const server = { executable: EXECUTABLE, kubeconfigFile: standIns.kubeconfigFile, clouds, folder };
    const cases = options.only === 'alone' ? undefined : await measureRequests(options, server, nginx);
    const sizes = { memoryRequests: MEMORY_REQUESTS, restSeconds: REST_SECONDS };
    const alone =
      options.only === 'requests' ? undefined : await measureAlone({ ...server, standIns }, sizes, progress);
    const figures = summarise(cases, alone, { busy, nginx });
    console.log(report(figures));
    if (options.json !== undefined) await Bun.write(options.json, `${JSON.stringify(figures, null, 2)}\n`);
    return 0;
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function measureRequests(
  { rounds, seconds }: Options,
  options: Parameters<typeof startServer>[0],
  nginx: boolean,
): Promise<readonly CaseFigures[]> {
  await using server = await startServer(options, otherClouds(options.clouds));
  const { contenders, processes } = await startContenders(server, options.folder, nginx);
  await using stack = new AsyncDisposableStack();
  for (const started of processes) stack.use(started);
  const cases: CaseFigures[] = [];
  for (const [measured, servers] of contenders) {
    cases.push(await measureCase(measured, servers, { rounds, seconds, folder: options.folder, progress }));
  }
  return cases;
}

function summarise(
  cases: readonly CaseFigures[] | undefined,
  alone: AloneFigures | undefined,
  { busy, nginx }: { busy: number; nginx: boolean },
): Figures {
  const processors = cpus();
  return {
    machine: `${processors.length} cores (${processors[0]?.model})`,
    busy,
    bun: Bun.version,
    nginx: nginx ? 'measured' : 'not run: it is not installed',
    ...(cases && { cases }),
    ...(alone && { alone }),
    targets: [...(cases ? requestTargets(cases) : []), ...(alone ? aloneTargets(alone) : [])],
  };
}

function progress(text: string): void {
  console.error(`  ${text}`);
}

function parsePositive(value: string): number {
  const number = Number(value);
  if (!/^[0-9]{1,4}$/.test(value) || number < 1) throw new InvalidArgumentError('Expected a number from 1.');
  return number;
}
