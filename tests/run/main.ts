import { Command, CommanderError } from '@commander-js/extra-typings';
import { UNAVAILABLE_STATUS, Unavailable } from '../../scripts/required-programs.ts';
import { BAD_USE, describeError } from '../../scripts/script.ts';
import { endWithReader } from '../../server/commands/process.ts';
import { strict } from '../../server/settings/flags.ts';
import {
  type Check,
  checks,
  clusterCheck,
  e2eCheck,
  languagesCheck,
  moduleChecks,
  type Outcome,
  prepareTests,
  releaseChecks,
} from './checks.ts';

const HEARTBEAT = 15_000;

const command = new Command('scripts/test')
  .description(
    'Runs every check that this machine can run: types, style, shell scripts, all tests, ' +
      "and Google's own clients against the server. As root on Linux each Pod of these is a " +
      'network namespace; elsewhere they find the server by GCE_METADATA_HOST.\n\n' +
      'With a flag, only the tests that need more, which is built first and kept in the cache folder ' +
      '(XDG_CACHE_HOME): the tools that check the Timoni module, or a real cluster. TEST_KUBECONFIG names ' +
      'an empty cluster made for tests, which some tests of --api-server then use; KUBECONFIG is never read.\n\n' +
      'The last line is "N passed, N failed"; the exit code is 0 if nothing failed, and ' +
      `${UNAVAILABLE_STATUS} if this machine cannot run what a flag asks for.`,
  )
  .option(
    '--module',
    'tests/{module,chart,monitoring}: what is deployed, by cue, Helm and Prometheus (Go)',
    false,
  )
  .option(
    '--clients',
    "tests/clients/*/: gcloud, Pods with no IPv4, clients in Java, Rust and Ruby, and Azure's, AWS's and OpenTelemetry's libraries",
    false,
  )
  .option('--release', 'tests/{image,release,flux}: what is published, signed and pulled (Linux, Go)', false)
  .option('--api-server', 'tests/api-server: on etcd and the API server (Linux)', false)
  .option('--node', 'tests/node: on a Node with all of Kubernetes (Linux, root)', false)
  .option(
    '--e2e',
    'tests/e2e: a release by Flux and Timoni on a Node (Linux, root, Go), or on the kind cluster E2E_KIND_CLUSTER',
    false,
  )
  .option(
    '--prepare',
    'only build what --api-server, --node, --release and --e2e need, while other tests run',
    false,
  );
endWithReader(process.stdout);
try {
  strict(command).parse();
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  process.exit(error.exitCode === 0 ? 0 : BAD_USE);
}

const running = new Set<string>();
const heartbeat = setInterval(() => {
  console.error(`  … ${[...running].join(', ')}`);
}, HEARTBEAT);

async function report({ name, run }: Check): Promise<Outcome> {
  const start = performance.now();
  running.add(name);
  const outcome = await run().catch(
    (error): Outcome => ({ passed: 0, failed: 1, output: describeError(error) }),
  );
  running.delete(name);
  const { passed, failed, output, notes = [] } = outcome;
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  if (failed > 0) console.error(output.trim());
  const mark = failed > 0 ? '✗' : passed > 0 ? '✓' : '-';
  console.error(`${mark} ${name}: ${passed} passed, ${failed} failed (${seconds} s)`);
  for (const note of notes) console.error(`  ${note}`);
  return outcome;
}

const { module, clients, release, apiServer, node, e2e, prepare } = command.opts();
const progress = (line: string) => console.error(`  ${line}`);
if (prepare) {
  clearInterval(heartbeat);
  try {
    await prepareTests({ apiServer, node, release, e2e }, progress);
    process.exit(0);
  } catch (error) {
    console.error(describeError(error));
    process.exit(error instanceof Unavailable ? UNAVAILABLE_STATUS : 1);
  }
}
const outcomes: Outcome[] = [];
if (!module && !clients && !release && !apiServer && !node && !e2e)
  outcomes.push(...(await Promise.all(checks.map(report))));
if (module) for (const check of moduleChecks(progress)) outcomes.push(await report(check));
if (clients) outcomes.push(await report(languagesCheck));
if (release) for (const check of releaseChecks(progress)) outcomes.push(await report(check));
// each alone: a cluster is as much as a small machine can carry
if (apiServer) outcomes.push(await report(clusterCheck('api', progress)));
if (node) outcomes.push(await report(clusterCheck('node', progress)));
if (e2e) outcomes.push(await report(e2eCheck(progress)));
clearInterval(heartbeat);
const [passed, failed] = [
  outcomes.reduce((sum, outcome) => sum + outcome.passed, 0),
  outcomes.reduce((sum, outcome) => sum + outcome.failed, 0),
];
const unavailable = outcomes.some((outcome) => outcome.unavailable);
process.exitCode = failed > 0 ? 1 : unavailable ? UNAVAILABLE_STATUS : 0;
console.log(`${passed} passed, ${failed} failed`);
