import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { BunPlugin } from 'bun';
import { runOrThrow } from './run.ts';

const MAIN = resolve(import.meta.dir, '../server/main.ts');

/** What takes the place of a file of the Kubernetes client, or of a package that only it uses. */
const LEFT_OUT: readonly { readonly file: RegExp; readonly instead: string }[] = [
  // of the index of its generated API it uses two names; the rest is every model of Kubernetes, a third of the program
  {
    file: /client-node\/dist\/gen\/index\.js$/,
    instead: `
      export { createConfiguration } from './configuration.js';
      export { ServerConfiguration } from './servers.js';
    `,
  },
  // agents for a cluster behind a proxy, which fetch has no use for: server/kubernetes gives it the proxy's URL
  { file: /\/socks-proxy-agent\/dist\/index\.js$/, instead: 'export class SocksProxyAgent {}' },
  {
    file: /\/hpagent\/index\.m?js$/,
    instead: 'export class HttpProxyAgent {}; export class HttpsProxyAgent {}',
  },
];

const withoutUnusedCode: BunPlugin = {
  name: 'without-unused-code',
  setup(build) {
    for (const { file, instead } of LEFT_OUT) {
      build.onLoad({ filter: file }, () => ({ loader: 'js', contents: instead }));
    }
  },
};

/**
 * Compiles the released program, twice: the sandbox's tour by the first tells which functions are used, and the
 * second has them side by side, which keeps 2 MB fewer resident. Throws, with what went wrong, where that fails.
 */
export async function compileServer(outfile: string, target?: Bun.Build.CompileTarget): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'compile-'));
  try {
    const first = join(folder, 'first');
    const usedFunctions = join(folder, 'used-functions');
    await compile({ outfile: first });
    const ports = ['--server-port', await freePort(), '--health-port', await freePort()];
    await runOrThrow([first, 'sandbox', '--once', ...ports], {
      env: { ...process.env, BUN_BYTECODE_ORDER_OUT: usedFunctions },
    });
    await compile({ outfile, bytecodeOrder: usedFunctions, ...(target !== undefined && { target }) });
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function compile(options: Bun.CompileBuildOptions): Promise<void> {
  await Bun.build({
    entrypoints: [MAIN],
    minify: true,
    bytecode: true,
    // with bytecode it would be CommonJS, which has no top-level await
    format: 'esm',
    plugins: [withoutUnusedCode],
    compile: {
      ...options,
      // collects garbage sooner: some 3 MB less resident under load in the median, for no CPU that could be told
      execArgv: ['--smol'],
      // what lies in the working directory is no configuration of this program
      autoloadDotenv: false,
      autoloadBunfig: false,
    },
  });
}

/** A port that nobody listens on, as an argument. */
async function freePort(): Promise<string> {
  const { promise, resolve: found } = Promise.withResolvers<string>();
  const server = createServer().listen(0, () => {
    const address = server.address();
    server.close(() => found(`${typeof address === 'object' ? address?.port : ''}`));
  });
  return promise;
}
