import { Command, CommanderError } from 'commander';
import { writeChart } from './module/chart.ts';
import { manifestsOf } from './module/manifests.ts';
import { ModuleRenderer, type ModuleValues, ValuesRefused } from './module/render.ts';
import { Cache } from './test-cluster/cache.ts';

const BAD_USE = 2;
const report = (line: string) => console.error(line);

interface Options {
  readonly values?: string;
  readonly name: string;
  readonly namespace: string;
  readonly createNamespace: boolean;
  readonly moduleVersion: string;
  readonly output?: string;
  readonly chart?: string;
}

const program = new Command('scripts/render')
  .description(
    'Writes what the Timoni module deploys for those without Timoni: plain manifests, all objects in the order in ' +
      'which they are applied, or the Helm chart under a version.\n\n' +
      'Where the values have no settings.projectID or settings.workloadIdentityProvider the manifests have ' +
      `\${PROJECT_ID} and \${WORKLOAD_IDENTITY_PROVIDER} for the postBuild.substitute of a Flux Kustomization.\n\n` +
      `Exit codes: 0 done, 1 failed, ${BAD_USE} bad use.`,
  )
  .option('--values <file>', "YAML as Helm's values: what the module's README lists")
  .option('--name <name>', 'of the instance', 'gke-metadata-server')
  .option('--namespace <namespace>', 'of the instance', 'gke-metadata-server')
  .option('--create-namespace', 'the Namespace too, allowing host-network Pods', false)
  .option('--module-version <version>', 'that the objects, or the chart, are labelled with', '0.0.0-devel')
  .option('--output <file>', 'where the manifests go instead of standard output')
  .option('--chart <folder>', 'writes the Helm chart into this folder, and no manifests')
  .allowExcessArguments(false)
  .showHelpAfterError()
  .exitOverride()
  .action(async (options: Options, command: Command) => {
    const ofManifests = ['values', 'name', 'namespace', 'createNamespace', 'output'] as const;
    const given = ofManifests.filter((name) => command.getOptionValueSource(name) === 'cli');
    if (options.chart !== undefined && given.length > 0) {
      command.error(
        `error: a chart takes its values when it is installed: no --chart beside ${given.join(', ')}`,
      );
    }
    if (options.chart !== undefined) {
      await writeChart(options.chart, options.moduleVersion);
      report(`wrote the chart to ${options.chart}`);
      return;
    }
    const { name, namespace, moduleVersion, createNamespace, output } = options;
    const renderer = await ModuleRenderer.prepare(new Cache(undefined, report));
    const manifests = await manifestsOf(renderer, await readValues(options.values), {
      instance: { name, namespace, moduleVersion },
      createNamespace,
    });
    if (output === undefined) process.stdout.write(manifests);
    else await Bun.write(output, manifests);
  });

async function readValues(file: string | undefined): Promise<ModuleValues> {
  if (file === undefined) return {};
  const values: unknown = Bun.YAML.parse(await Bun.file(file).text());
  if (typeof values !== 'object' || Array.isArray(values))
    throw new Error(`${file}: expected a mapping of values`);
  return Object(values);
}

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : BAD_USE;
  } else {
    const message = error instanceof Error ? error.message : String(error);
    console.error(
      error instanceof ValuesRefused ? `the module does not accept the values:\n${message}` : message,
    );
    process.exitCode = 1;
  }
}
