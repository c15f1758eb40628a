import { Command } from '@commander-js/extra-typings';
import { writeChart } from './module/chart.ts';
import { manifestsOf } from './module/manifests.ts';
import { ModuleRenderer, type ModuleValues, ValuesRefused } from './module/render.ts';
import { parseVersion } from './publish/release-command.ts';
import { BAD_USE, callerPath, describeError, runScript } from './script.ts';
import { Cache } from './tools/cache.ts';

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
      'If the values have no settings.projectID or settings.workloadIdentityProvider the manifests have ' +
      `\${PROJECT_ID} and \${WORKLOAD_IDENTITY_PROVIDER} for the postBuild.substitute of a Flux Kustomization.\n\n` +
      `Exit codes: 0 done, 1 failed, ${BAD_USE} bad use.`,
  )
  .option(
    '--values <file>',
    "values as YAML, in the form of Helm's; the module's README lists them",
    callerPath,
  )
  .option('--name <name>', 'of the instance', 'gke-metadata-server')
  .option('--namespace <namespace>', 'of the instance', 'gke-metadata-server')
  .option('--create-namespace', 'the Namespace too, allowing host-network Pods', false)
  .option(
    '--module-version <version>',
    'that the objects, or the chart, are labelled with',
    parseVersion,
    '0.0.0-devel',
  )
  .option('--output <file>', 'file to write instead of standard output', callerPath)
  .option('--chart <folder>', 'write the Helm chart to this folder instead of manifests', callerPath)
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
    const values = await readValues(options.values);
    const renderer = await ModuleRenderer.prepare(new Cache(undefined, report));
    const manifests = await manifestsOf(renderer, values, {
      instance: { name, namespace, moduleVersion },
      createNamespace,
    });
    if (output === undefined) process.stdout.write(manifests);
    else await writeManifests(output, manifests);
  });

async function writeManifests(file: string, manifests: string): Promise<void> {
  await Bun.write(file, manifests).catch((error) => {
    throw new Error(`cannot write the manifests to ${file}: ${error.message}`);
  });
}

async function readValues(file: string | undefined): Promise<ModuleValues> {
  if (file === undefined) return {};
  const values = await Bun.file(file)
    .text()
    .then((text): unknown => Bun.YAML.parse(text))
    .catch((error) => {
      throw new Error(`cannot read the values in ${file}: ${error.message}`);
    });
  if (typeof values === 'object' && !Array.isArray(values)) return Object(values);
  throw new Error(`cannot read the values in ${file}: it is not a mapping`);
}

await runScript(program, (error) =>
  error instanceof ValuesRefused
    ? `the module does not accept the values:\n${error.message}`
    : describeError(error),
);
