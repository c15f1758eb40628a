import { mkdir, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { ModuleRenderer } from '../../scripts/module/render.ts';
import { Unavailable } from '../../scripts/required-programs.ts';
import { run } from '../../scripts/run.ts';
import { Cache, type Report } from '../../scripts/tools/cache.ts';
import { goProgram } from '../../scripts/tools/go-program.ts';
import { kubectlProgram } from '../../scripts/tools/kubectl.ts';
import { kubernetesPrometheus } from '../../scripts/tools/prometheus.ts';
import { installClients } from '../clients/client-programs.ts';
import { coreDnsProgram } from '../clients/core-dns/core-dns-program.ts';
import { installLanguages } from '../clients/languages/language-programs.ts';
import { installOthers } from '../clients/others/other-programs.ts';
import { choosePodNetwork } from '../clients/pod-network.ts';
import { namedCluster } from '../cluster/any-cluster.ts';
import { prepareCluster } from '../cluster/cluster-files.ts';
import { prepareE2E } from '../e2e/prepare.ts';
import { prepareFlux } from '../flux/prepare.ts';
import { prepareImage } from '../image/built-image.ts';
import { prepareContainerfile, whyNoContainerfile } from '../image/containerfile-builder.ts';
import { installer } from '../install-module.ts';
import { prepareMonitoringTools } from '../monitoring/prometheus.ts';
import { prepareReleaseTests } from '../release/prepare-release-tests.ts';
import { ForeignCluster } from './foreign-cluster.ts';
import { countsOf, filesOf } from './junit-report.ts';

/** What a check found. */
export interface Outcome {
  readonly passed: number;
  readonly failed: number;
  /** What a person needs to read if something failed. */
  readonly output: string;
  /** How it ran and what it could not run, a line each: shown always. */
  readonly notes?: readonly string[];
  /** This machine cannot run what was requested: nothing ran, which is not a success. */
  readonly unavailable?: true;
}

export interface Check {
  readonly name: string;
  run(): Promise<Outcome>;
}

const ROOT = join(import.meta.dir, '../..');
/** What any machine with Bun can run: the other folders of tests/ need more. */
const UNIT_TESTS = [
  'server/**/*.test.ts',
  'scripts/**/*.test.ts',
  'tests/*.test.ts',
  'tests/{cluster,run}/*.test.ts',
];
const RESULTS = join(ROOT, '.cache/test-results');

/** Everything that needs no more than a machine with Bun, each independent of the others. */
export const checks: readonly Check[] = [
  { name: 'types (tsc)', run: () => tool('tsc', '--noEmit') },
  { name: 'style (Biome)', run: () => tool('biome', 'check', '.') },
  { name: 'shell scripts (shellcheck)', run: shellcheck },
  {
    name: 'tests (bun test)',
    run: unitTests,
  },
  { name: "Google's clients", run: clientTests },
];

/** What is deployed: the module's CUE, and the tests in the folders that judge what it renders. */
export function moduleChecks(report: Report): readonly Check[] {
  const cache = new Cache(undefined, report);
  return [
    { name: 'style (cue fmt)', run: () => withGo(() => cueFormat(cache)) },
    { name: 'tests/module, tests/chart', run: () => withGo(() => moduleTests(cache)) },
    { name: 'tests/monitoring', run: () => withGo(() => monitoringTests(cache)) },
  ];
}

/** What a release is: its image, its artifacts in a registry, and what Flux makes of them. */
export function releaseChecks(report: Report): readonly Check[] {
  const cache = new Cache(undefined, report);
  return [
    { name: 'tests/image', run: () => withGo(() => imageTests(cache)) },
    { name: 'tests/release', run: () => withGo(() => releaseTests(cache)) },
    { name: 'tests/flux', run: () => withGo(() => fluxTests(cache)) },
  ];
}

/** The tests of `scripts/test`'s flags whose tools take long to make. */
export interface Prepared {
  readonly apiServer: boolean;
  readonly node: boolean;
  readonly release: boolean;
  readonly e2e: boolean;
}

/**
 * Makes what these tests need and the cache lacks, in the order in which they run, and runs none of them: a job with
 * time to spare does this while it runs other tests. Throws Unavailable if the machine cannot.
 */
export async function prepareTests(
  { apiServer, node, release, e2e }: Prepared,
  report: Report,
): Promise<void> {
  const cache = new Cache(undefined, report);
  if (apiServer) await prepareCluster('api', cache);
  if (node) await prepareCluster('node', cache);
  if (release) {
    await prepareImage(cache);
    await prepareReleaseTests(cache);
    await prepareFlux(cache);
  }
  if (e2e) await prepareE2E(cache);
}

async function imageTests(cache: Cache): Promise<Outcome> {
  await prepareImage(cache);
  await prepareContainerfile(cache);
  const missing = whyNoContainerfile();
  const notes = missing === undefined ? [] : [`not run: the Containerfile (${missing})`];
  return { ...(await bunTest('image', ['tests/image/*.test.ts'])), notes };
}

async function releaseTests(cache: Cache): Promise<Outcome> {
  await prepareReleaseTests(cache);
  return { ...(await bunTest('release', ['tests/release/*.test.ts'])), notes: timoniNotes() };
}

async function fluxTests(cache: Cache): Promise<Outcome> {
  try {
    await prepareFlux(cache);
  } catch (error) {
    return unavailable('tests/flux', error);
  }
  return { ...(await bunTest('flux', ['tests/flux/*.test.ts'])), notes: timoniNotes() };
}

/** A release, installed by Flux and by Timoni on a Node. */
export function e2eCheck(report: Report): Check {
  return { name: 'tests/e2e', run: () => withGo(() => e2eTests(new Cache(undefined, report))) };
}

async function e2eTests(cache: Cache): Promise<Outcome> {
  try {
    await prepareE2E(cache);
  } catch (error) {
    return unavailable('tests/e2e', error);
  }
  return { ...(await bunTest('e2e', ['tests/e2e/*.test.ts'])), notes: timoniNotes() };
}

/** The real Timoni, if it is on PATH, repeats what cue has checked. */
function timoniNotes(): readonly string[] {
  return [Bun.which('timoni') === null ? 'not run: timoni (not on PATH)' : 'with timoni'];
}

/** Nothing ran, since this machine cannot carry a cluster. Any other error is thrown on. */
function unavailable(name: string, error: unknown): Outcome {
  if (!(error instanceof Unavailable)) throw error;
  const notes = [`not run: ${name} (${error.message})`];
  return { passed: 0, failed: 0, output: '', notes, unavailable: true };
}

/** Only if this machine has Go, which compiles the tools. */
function withGo(run: () => Promise<Outcome>): Promise<Outcome> {
  if (Bun.which('go') !== null) return run();
  const notes = ['not run: its tools are compiled by Go, which is not on PATH'];
  return Promise.resolve({ passed: 0, failed: 0, output: '', notes, unavailable: true });
}

async function cueFormat(cache: Cache): Promise<Outcome> {
  const cue = await goProgram('cue', cache);
  const files = [...new Bun.Glob('{cue.mod,timoni}/**/*.cue').scanSync(ROOT)].filter(
    (file) => !file.includes('/cue.mod/gen'),
  );
  return program([cue, 'fmt', '--check', '--files', ...files]);
}

async function moduleTests(cache: Cache): Promise<Outcome> {
  await Promise.all([ModuleRenderer.prepare(cache), goProgram('helm', cache)]);
  return { ...(await bunTest('module', ['tests/{module,chart}/**/*.test.ts'])), notes: timoniNotes() };
}

/** On a real Prometheus, from Debian's package. */
async function monitoringTests(cache: Cache): Promise<Outcome> {
  await Promise.all([ModuleRenderer.prepare(cache), prepareMonitoringTools(cache)]);
  return bunTest('monitoring', ['tests/monitoring/*.test.ts']);
}

/** The tests in tests/api-server or tests/node, on a real cluster. */
export function clusterCheck(mode: 'api' | 'node', report: Report): Check {
  const folder = mode === 'api' ? 'api-server' : 'node';
  return { name: `tests/${folder}`, run: () => clusterTests(mode, folder, report) };
}

/** The cluster's parts are built first: that takes longer than a test may. */
async function clusterTests(mode: 'api' | 'node', folder: string, report: Report): Promise<Outcome> {
  const cache = new Cache(undefined, report);
  try {
    if (mode === 'api') await namedCluster(process.env, report);
    await prepareCluster(mode, cache);
  } catch (error) {
    return unavailable(`tests/${folder}`, error);
  }
  await Promise.all([ModuleRenderer.prepare(cache), goProgram('helm', cache), kubectlProgram(cache)]);
  if (mode === 'api') await kubernetesPrometheus(cache);
  return { ...(await bunTest(folder, [`tests/${folder}/*.test.ts`])), notes: [installer()] };
}

/** A tool of node_modules, run by Bun: its first line asks for a Node that may not be there. */
function tool(name: string, ...args: string[]): Promise<Outcome> {
  return program([process.execPath, `node_modules/.bin/${name}`, ...args]);
}

async function program(command: readonly string[]): Promise<Outcome> {
  const { exitCode, stdout, stderr } = await run(command, { cwd: ROOT });
  return { passed: exitCode === 0 ? 1 : 0, failed: exitCode === 0 ? 0 : 1, output: stdout + stderr };
}

async function shellcheck(): Promise<Outcome> {
  if (Bun.which('shellcheck') === null) {
    return { passed: 0, failed: 0, output: '', notes: ['not run: shellcheck (not on PATH)'] };
  }
  const scripts: string[] = [];
  for await (const file of new Bun.Glob('{scripts,.ci}/**').scan({ cwd: ROOT, dot: true })) {
    if (/^#!.*\b(ba)?sh\n/.test(await Bun.file(join(ROOT, file)).text())) scripts.push(file);
  }
  return program(['shellcheck', ...scripts]);
}

/** The clients' libraries are installed first: that takes longer than a test may. */
async function clientTests(): Promise<Outcome> {
  const [network, clients] = await Promise.all([choosePodNetwork(), installClients()]);
  const missing = clients.flatMap((client) =>
    'notRun' in client ? [`not run: ${client.name} (${client.notRun})`] : [],
  );
  return {
    ...(await bunTest('clients', ['tests/clients/*.test.ts'], inParallel('clients'))),
    notes: [network.description, ...missing],
  };
}

/**
 * What a bare `bun test` runs, for somebody whose KUBECONFIG names a cluster: it also fails if a test sends that
 * cluster a request, or if bunfig.toml lets a test in that needs more than Bun.
 */
async function unitTests(): Promise<Outcome> {
  await using cluster = await ForeignCluster.start();
  const outcome = await runTests('tests', inParallel('tests'), { KUBECONFIG: cluster.kubeconfig });
  const taken = new Set(outcome.files);
  const wanted = new Set(UNIT_TESTS.flatMap((pattern) => [...new Bun.Glob(pattern).scanSync(ROOT)]));
  const faults = [
    ...cluster.requests.map((request) => `a test asked the cluster of KUBECONFIG: ${request}`),
    ...[...taken.difference(wanted)].map((file) => `bun test takes ${file}, which needs more than Bun`),
    ...[...wanted.difference(taken)].map((file) => `bun test leaves out ${file}, or it has no test`),
  ];
  if (faults.length === 0) return outcome;
  return {
    ...outcome,
    failed: outcome.failed + faults.length,
    output: [outcome.output, ...faults].join('\n'),
  };
}

/** The test files that match, also those that bunfig.toml leaves out. */
async function bunTest(
  name: string,
  patterns: readonly string[],
  flags: readonly string[] = [],
): Promise<Outcome> {
  const files = patterns.flatMap((pattern) => [...new Bun.Glob(pattern).scanSync(ROOT)].sort());
  // with none, bun test would take every test of the repository
  if (files.length === 0) throw new Error(`no test matches ${patterns.join(', ')}`);
  return runTests(name, [...flags, '--path-ignore-patterns=', ...files.map((file) => `./${file}`)]);
}

/** Clients that take minutes to install, gcloud, and the libraries of other clouds that look at the same address. */
export const languagesCheck: Check = {
  name: 'tests/clients/{core-dns,gcloud,ipv6-only,languages,others}',
  run: languageTests,
};

async function languageTests(): Promise<Outcome> {
  const [network, clients, others, coreDns] = await Promise.all([
    choosePodNetwork(),
    installLanguages(),
    installOthers(),
    coreDnsProgram(),
  ]);
  const missing = [...clients, ...others].flatMap((client) =>
    'notRun' in client ? [`not run: ${client.name} (${client.notRun})`] : [],
  );
  return {
    ...(await bunTest('languages', ['tests/clients/*/*.test.ts'])),
    notes: [
      network.description,
      ...missing,
      ...(coreDns === undefined ? ['not run: CoreDNS (no go on PATH)'] : []),
    ],
  };
}

/**
 * The files side by side, the slowest of the last run first; none sees what another leaves behind. Some wait
 * most of their time, so there are more workers than processors.
 */
function inParallel(name: string): readonly string[] {
  const timings = join(RESULTS, `${name}-timings.json`);
  return [`--parallel=${availableParallelism() + 2}`, `--timings=${timings}`, '--update-timings'];
}

/** Counted from the report that bun test writes for machines, as what it prints is for people. */
async function runTests(
  name: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<Outcome & { readonly files?: readonly string[] }> {
  const report = join(RESULTS, `${name}.xml`);
  await mkdir(RESULTS, { recursive: true });
  await rm(report, { force: true });
  // generous for a slow machine: a test that hangs is a failure all the same
  const flags = ['--timeout=60000', '--only-failures', '--reporter=junit', `--reporter-outfile=${report}`];
  const command = [process.execPath, '--no-orphans', 'test', ...flags, ...args];
  // no test knows a person's own cluster
  const env = { ...process.env, KUBECONFIG: undefined, ...environment };
  const { exitCode, stdout, stderr } = await run(command, { cwd: ROOT, env, timeout: 1_800_000 });
  const output = stdout + stderr;
  const text = (await Bun.file(report).exists()) ? await Bun.file(report).text() : '';
  const counts = countsOf(text);
  // a file that does not load, or a run that is killed, fails without a test that does
  if (counts === undefined) return { passed: 0, failed: 1, output };
  const failed = exitCode === 0 ? counts.failed : Math.max(counts.failed, 1);
  return { passed: counts.passed, failed, output, files: filesOf(text) };
}
