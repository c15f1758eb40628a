import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from '@commander-js/extra-typings';
import { systemEffects } from '../server/core/effects.ts';
import { keySetCommand, readClusterIssuer } from './provider/cluster-issuer.ts';
import { shellLine } from './provider/command-line.ts';
import { converge, readEnabledState } from './provider/converge.ts';
import { GcloudRefused, NotInstalled } from './provider/failure.ts';
import { Gcloud } from './provider/gcloud.ts';
import { plan, type Wanted } from './provider/plan.ts';
import type { GoogleState, ProviderNames } from './provider/provider-state.ts';
import { run as runProgram } from './run.ts';
import { BAD_USE, callerPath, runScript } from './script.ts';

const JWKS_FILE = 'cluster-jwks.json';
// in the caller's folder: paths of kubeconfigs are relative to it
const cwd = callerPath('.');
const run = (program: readonly string[]) => runProgram(program, { cwd });
const tell = (line: string) => console.error(line);

interface Options extends ProviderNames {
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly publicIssuer: boolean;
  readonly dryRun: boolean;
  readonly check: boolean;
}

// https://cloud.google.com/iam/docs/reference/rest/v1/projects.locations.workloadIdentityPools/create
function parseID(value: string): string {
  if (/^(?!gcp-)[a-z0-9-]{4,32}$/.test(value)) return value;
  throw new InvalidArgumentError('It must be 4 to 32 of a-z, 0-9 and -, and not begin with gcp-.');
}

// https://cloud.google.com/resource-manager/docs/creating-managing-projects; older ones have their domain in front
function parseProject(value: string): string {
  if (/^([a-z0-9][a-z0-9.-]*:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$/.test(value)) return value;
  throw new InvalidArgumentError('It must be the ID of a project, which is neither its number nor its name.');
}

const command = new Command('scripts/create-or-update-provider')
  .description(
    'Makes the workload identity pool and its provider for a cluster, or brings them up to date: the issuer, the ' +
      "public keys and the mapping of a token's claims. The cluster's keys are uploaded, so Google does not have to reach it. " +
      'Running it again changes nothing. It runs kubectl and gcloud, with the logins that these have.\n\n' +
      `Exit codes: 0 done, or equal; 1 failed, or different (--check); ${BAD_USE} bad use.`,
  )
  .requiredOption('--project <id>', 'the Google Cloud project', parseProject)
  .requiredOption(
    '--pool <id>',
    'the pool, one for each cluster: pool and ServiceAccount identify a principal',
    parseID,
  )
  .option('--provider <id>', 'the provider in that pool', parseID, 'cluster')
  .option('--kubeconfig <file>', "kubectl's: the cluster")
  .option('--context <name>', "kubectl's: the cluster")
  .option(
    '--public-issuer',
    "let Google fetch the keys from the cluster's issuer, which must be public",
    false,
  )
  .addOption(
    new Option(
      '--dry-run',
      'print the gcloud commands that are needed, and change nothing; without a login, those that create everything',
    ).default(false),
  )
  .addOption(new Option('--check', 'compare only: print what differs').default(false).conflicts('dryRun'));

/** The commands of a dry run, for a shell: first the file that they read. */
function script(wanted: Wanted, kubectlFlags: readonly string[], steps: ReturnType<typeof plan>): string[] {
  const source = wanted.publicIssuer ? ':' : shellLine(keySetCommand(kubectlFlags));
  const readsFile = steps.some(({ args }) => args.includes(`--jwk-json-path=${wanted.jwksFile}`));
  return [
    ...(readsFile ? [`${source} > ${wanted.jwksFile}`] : []),
    ...steps.flatMap(({ why, args }) => [...why.map((line) => `# ${line}`), shellLine(['gcloud', ...args])]),
  ];
}

/** What comes next, in CUE: values of the module. */
function values({ project, pool }: ProviderNames, provider: string): string {
  const [, number] = provider.split('/');
  const principal =
    `principal://iam.googleapis.com/projects/${number}/locations/global/workloadIdentityPools/${pool}` +
    '/subject/system:serviceaccount:NAMESPACE:NAME';
  return `settings: projectID:                "${project}"
settings: workloadIdentityProvider: "${provider}"

// To let the ServiceAccount NAME in NAMESPACE be a Google service account:
// gcloud iam service-accounts add-iam-policy-binding ACCOUNT@${project}.iam.gserviceaccount.com \\
//   --project=${project} --role=roles/iam.workloadIdentityUser \\
//   --member=${principal}`;
}

/** What Google has; nothing if it cannot be asked, so that somebody without permissions can still get the commands. */
async function stateForDryRun(gcloud: Gcloud, wanted: Wanted): Promise<GoogleState> {
  try {
    return await readEnabledState(gcloud, wanted);
  } catch (error) {
    if (!(error instanceof GcloudRefused || error instanceof NotInstalled)) throw error;
    tell(`cannot ask Google what exists, so these commands create everything: ${error.message}`);
    return { pool: undefined, provider: undefined };
  }
}

async function main(options: Options): Promise<void> {
  const { project, pool, provider, kubeconfig, context, publicIssuer } = options;
  const kubectlFlags = [
    ...(kubeconfig === undefined ? [] : [`--kubeconfig=${kubeconfig}`]),
    ...(context === undefined ? [] : [`--context=${context}`]),
  ];
  const cluster = await readClusterIssuer(run, kubectlFlags);
  const gcloud = new Gcloud(run, project);
  const wanted = { names: { project, pool, provider }, cluster, publicIssuer, jwksFile: JWKS_FILE };
  if (options.dryRun || options.check) {
    const readState = options.dryRun ? stateForDryRun : readEnabledState;
    const steps = plan(wanted, await readState(gcloud, wanted));
    if (steps.length === 0) tell(`the provider ${provider} is as it should be`);
    const lines = options.check ? steps.flatMap(({ why }) => why) : script(wanted, kubectlFlags, steps);
    for (const line of lines) console.log(line);
    if (options.check && steps.length > 0) process.exitCode = 1;
    return;
  }
  const folder = await mkdtemp(join(tmpdir(), 'provider-'));
  try {
    const jwksFile = join(folder, JWKS_FILE);
    await Bun.write(jwksFile, publicIssuer ? '' : cluster.jwks);
    const { sleep } = systemEffects;
    const done = await converge(gcloud, { ...wanted, jwksFile }, { sleep, tell });
    if (done.steps === 0) tell(`the provider ${provider} is as it should be: nothing was changed`);
    console.log(values(wanted.names, done.provider.name));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

await runScript(command.action(main));
