import { join } from 'node:path';
import { Argument, Command } from '@commander-js/extra-typings';
import { UNAVAILABLE_STATUS } from '../../scripts/required-programs.ts';
import { BAD_USE, callerPath, runScript } from '../../scripts/script.ts';
import { Cache, cacheFolder } from '../../scripts/tools/cache.ts';
import { prepareCluster } from './cluster-files.ts';
import { processStates, readRecord, stopCluster } from './cluster-state.ts';
import { startCluster } from './start-cluster.ts';

const { CLUSTER_STATE_DIR } = process.env;
const report = (line: string) => console.error(line);

const mode = () =>
  new Argument('[mode]', 'api: etcd and kube-apiserver; node: all of Kubernetes, with one Node')
    .choices(['api', 'node'] as const)
    .default('api' as const);

const program = new Command('scripts/cluster')
  .description(
    'A real Kubernetes cluster for the tests, with no container engine: Kubernetes from its Go modules, the ' +
      'rest from Debian packages, made once and kept in the cache folder (XDG_CACHE_HOME). Linux; a Node needs root.\n\n' +
      `Exit codes: 0 done, 1 failed, ${BAD_USE} bad use, ${UNAVAILABLE_STATUS} this machine cannot.`,
  )
  .option(
    '--state-dir <folder>',
    'new or empty folder for the cluster, which `down` removes (CLUSTER_STATE_DIR)',
    callerPath,
    CLUSTER_STATE_DIR ? callerPath(CLUSTER_STATE_DIR) : join(cacheFolder(), 'run'),
  );

const folder = () => program.opts().stateDir;

program
  .command('up')
  .description('starts it and prints the path of its kubeconfig')
  .addArgument(mode())
  .option('--dual-stack', 'IPv6 beside IPv4', false)
  .option('--cert-manager', 'cert-manager, and the kinds of the Prometheus operator', false)
  .option('--api-server-flag <flag...>', 'a flag of kube-apiserver beside its own, such as --v=4', [])
  .action(async (chosen, { apiServerFlag, ...flags }) => {
    await prepareCluster(chosen, new Cache(undefined, report));
    // its programs have sessions of their own, which Ctrl-C does not reach
    const signal = untilInterrupted();
    const options = {
      ...flags,
      mode: chosen,
      apiServerFlags: apiServerFlag,
      folder: folder(),
      report,
      signal,
    };
    console.log((await startCluster(options)).kubeconfig);
  });

program
  .command('down')
  .description('stops everything that `up` started, and nothing else')
  .action(async () => {
    report((await stopCluster(folder())) ? 'the cluster is down' : `no cluster is up in ${folder()}`);
  });

program
  .command('status')
  .description('shows which of its processes run')
  .action(async () => {
    const record = await readRecord(folder());
    if (!record) throw new Error(`no cluster is up in ${folder()}`);
    const states = Object.entries(processStates(record));
    for (const [name, runs] of states) console.log(`${name}: ${runs ? 'running' : 'ended'}`);
    console.log(`kubeconfig: ${record.kubeconfig}`);
    if (states.some(([, runs]) => !runs)) process.exitCode = 1;
  });

program
  .command('prepare')
  .description('builds what `up` needs and the cache lacks: minutes, the first time')
  .addArgument(mode())
  .action(async (chosen: 'api' | 'node') => {
    await prepareCluster(chosen, new Cache(undefined, report));
  });

/** Aborted by the first signal that asks this process to end; the second ends it at once. */
function untilInterrupted(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      report('ending what was started ...');
      controller.abort(new Error(`interrupted (${signal}): nothing is left running`));
    });
  }
  return controller.signal;
}

await runScript(program);
