import { copyFile, mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import type { BunPlugin } from 'bun';
import { freePorts } from './free-ports.ts';
import { runOrThrow } from './run.ts';

const MAIN = resolve(import.meta.dir, '../server/main.ts');

/** Which functions the sandbox's tour uses, by their hashes and in the order of their first use. */
export const USED_FUNCTIONS = join(import.meta.dir, 'used-functions.txt');

/** What takes the place of a file that the program does not use, though a package of its own refers to it. */
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
  // logging from a worker thread, whose script it looks for in the folder that it was compiled from
  {
    file: /\/pino\/lib\/transport\.js$/,
    instead: 'module.exports = () => { throw new Error("left out of this build: transports of pino"); };',
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
 * Compiles the released program; the same sources give the same bytes, wherever they are and whatever `outfile` is
 * called. The functions of {@link USED_FUNCTIONS} lie side by side in it, which keeps 2 MB fewer resident. Throws,
 * with what went wrong, if that fails.
 */
export async function compileServer(outfile: string, target?: Bun.Build.CompileTarget): Promise<void> {
  // before the seconds that it takes
  const inTheWay = await stat(outfile).catch(() => undefined);
  if (inTheWay?.isDirectory()) throw new Error(`cannot write the program to ${outfile}: it is a folder`);
  const folder = await mkdtemp(join(tmpdir(), 'compile-'));
  try {
    // the file's name is in its bytes
    const program = join(folder, 'gke-metadata-server');
    await Bun.build({
      entrypoints: [MAIN],
      minify: true,
      bytecode: true,
      // with bytecode it would be CommonJS, which has no top-level await
      format: 'esm',
      plugins: [withoutUnusedCode],
      compile: {
        outfile: program,
        ...(target !== undefined && { target }),
        bytecodeOrder: USED_FUNCTIONS,
        // collects garbage sooner: some 3 MB less resident under load in the median, for no measurable CPU
        execArgv: ['--smol'],
        // files in the working directory do not configure this program
        autoloadDotenv: false,
        autoloadBunfig: false,
      },
    });
    await mkdir(dirname(outfile), { recursive: true });
    // one that runs is left alone, and so can be replaced
    await rm(outfile, { force: true });
    await copyFile(program, outfile);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** What belongs into {@link USED_FUNCTIONS}, from the tour of a program compiled for this machine. */
export async function recordUsedFunctions(program: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'used-functions-'));
  try {
    const record = join(folder, 'record');
    const [server, health] = await freePorts(2);
    const ports = [`--server-port=${server}`, `--health-port=${health}`];
    await runOrThrow([program, 'sandbox', '--once', ...ports], {
      env: { ...process.env, BUN_BYTECODE_ORDER_OUT: record },
    });
    const [version, ...entries] = (await Bun.file(record).text()).trimEnd().split('\n');
    // the ten times as many entries of other kinds, such as of functions never called, make no difference
    const functions = entries.filter((entry) => entry.startsWith('F '));
    return `${[version, ...functions].join('\n')}\n`;
  } finally {
    await rm(folder, { recursive: true });
  }
}
