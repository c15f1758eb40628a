import { resolve } from 'node:path';
import type { BunPlugin } from 'bun';

const MAIN = resolve(import.meta.dir, '../server/main.ts');

/**
 * The Kubernetes client's configuration imports two names from the index of its generated API, and with it every
 * model of Kubernetes: a third of the program, and 2.5 MB resident, that nothing here calls.
 */
const withoutGeneratedModels: BunPlugin = {
  name: 'without-generated-models',
  setup(build) {
    build.onLoad({ filter: /client-node\/dist\/gen\/index\.js$/ }, () => ({
      loader: 'js',
      contents: `
        export { createConfiguration } from './configuration.js';
        export { ServerConfiguration } from './servers.js';
      `,
    }));
  },
};

/** Compiles the released program. Throws, with what the bundler says, where that fails. */
export async function compileServer(outfile: string, target?: Bun.Build.CompileTarget): Promise<void> {
  await Bun.build({
    entrypoints: [MAIN],
    minify: true,
    bytecode: true,
    // with bytecode it would be CommonJS, which has no top-level await
    format: 'esm',
    plugins: [withoutGeneratedModels],
    compile: {
      outfile,
      ...(target !== undefined && { target }),
      // collects garbage sooner: some 10 MB less resident under load, for no CPU that could be told
      execArgv: ['--smol'],
      // what lies in the working directory is no configuration of this program
      autoloadDotenv: false,
      autoloadBunfig: false,
    },
  });
}
