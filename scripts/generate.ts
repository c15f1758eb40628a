import { join } from 'node:path';
import { Command } from '@commander-js/extra-typings';
import { chartFolder, generatedChartFiles } from './module/chart.ts';
import { configFields } from './module/config-fields.ts';
import { ModuleRenderer } from './module/render.ts';
import { installSchemas, moduleFolder } from './module/schemas.ts';
import { withValuesTable } from './module/values-table.ts';
import { runScript } from './script.ts';
import { Cache } from './tools/cache.ts';

const cache = new Cache(undefined, (line) => console.error(line));

const command = new Command('scripts/generate').description(
  'Writes a file that is generated from the Timoni module, or for it, and prints its path. It needs Go, which compiles cue ' +
    'the first time. The expected files of tests/module are written by `UPDATE_GOLDEN=1 scripts/bun test --path-ignore-patterns= ./tests/module/`.',
);

command
  .command('schemas')
  .description(
    'the schemas of Kubernetes, cert-manager and the Prometheus operator that cue and timoni look for',
  )
  .action(async () => console.log(await installSchemas(cache)));

command
  .command('readme')
  .description("the table of values in the module's README")
  .action(async () => {
    const file = join(moduleFolder, 'README.md');
    const fields = await configFields(await ModuleRenderer.prepare(cache));
    await Bun.write(file, withValuesTable(await Bun.file(file).text(), fields));
    console.log(file);
  });

command
  .command('chart')
  .description("the Helm chart's values.yaml and values.schema.json, its alerts, dashboards and test")
  .action(async () => {
    const files = await generatedChartFiles(await ModuleRenderer.prepare(cache));
    for (const [path, content] of files) await Bun.write(join(chartFolder, path), content);
    console.log(chartFolder);
  });

await runScript(command);
