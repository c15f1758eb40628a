import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, InvalidArgumentError } from '@commander-js/extra-typings';
import { compileServer } from './compile-server.ts';
import { ARCHITECTURES, type Architecture } from './image/architecture.ts';
import { makeBaseRoot, packagesOf } from './image/base-root.ts';
import { MMDEBSTRAP } from './image/debian-packages.ts';
import { requireLayout } from './image/oci-layout.ts';
import { addProgram, type PlatformParts, writeServerImage } from './image/server-image.ts';
import { sourceVersion } from './image/source-version.ts';
import { parseSource, parseVersion } from './publish/release-command.ts';
import { bringPrograms } from './required-programs.ts';
import { callerPath, runScript } from './script.ts';

interface Options {
  readonly platform: readonly Architecture[];
  readonly output: string;
  readonly rootfs?: string;
  readonly version?: string;
  readonly source?: string;
}

function parsePlatforms(value: string): Architecture[] {
  const names = value.split(',').map((platform) => platform.replace(/^linux\//, ''));
  // the filter is the proof of the type
  const known = names.filter((name): name is Architecture => Object.hasOwn(ARCHITECTURES, name));
  if (known.length === names.length && new Set(known).size === known.length) return known.sort();
  throw new InvalidArgumentError('It must be one or more of linux/amd64 and linux/arm64.');
}

const command = new Command('scripts/build-image')
  .description(
    'Builds the image as an OCI layout, with no container engine: compiles the program, and puts what it needs of ' +
      "Debian around it. Prints the digest of the index of all platforms. It needs Linux with Debian's mmdebstrap.\n\n" +
      'The same commit and the same Debian packages give the same bytes. SOURCE_DATE_EPOCH overrides the time that ' +
      "the image is said to be made at: the commit's.",
  )
  .option('--platform <list>', 'platforms of the image', parsePlatforms, ['amd64', 'arm64'] as const)
  .option('--output <folder>', 'folder of the layout', callerPath, 'dist/image')
  .option('--version <version>', 'the version in its labels (default: that of package.json)', parseVersion)
  .option('--source <url>', 'the repository in its labels', parseSource)
  .option(
    '--rootfs <folder>',
    'make this empty folder the root of one platform instead, for a Containerfile',
    callerPath,
  )
  .action(build);

async function makeParts(
  architecture: Architecture,
  baseRoot: string,
  folder: string,
): Promise<PlatformParts> {
  await bringPrograms([MMDEBSTRAP], (line) => console.error(line));
  console.error(`linux/${architecture}: getting the Debian packages, compiling the program ...`);
  const program = join(folder, `program-${architecture}`);
  await makeBaseRoot(baseRoot, architecture);
  await compileServer(program, ARCHITECTURES[architecture].target);
  for (const each of await packagesOf(baseRoot)) console.error(`  ${each}`);
  return { architecture, baseRoot, program };
}

async function buildLayout(options: Options, folder: string): Promise<void> {
  // before the minutes that it takes
  await requireLayout(options.output);
  const source = await sourceVersion(process.env, {
    ...(options.version !== undefined && { version: options.version }),
    ...(options.source !== undefined && { url: options.source }),
  });
  const platforms: PlatformParts[] = [];
  for (const architecture of options.platform) {
    platforms.push(await makeParts(architecture, join(folder, `base-${architecture}`), folder));
  }
  console.error(`${options.output}: compressing the layers ...`);
  const { index, manifests } = await writeServerImage(options.output, platforms, source);
  for (const { architecture, digest, size } of manifests) {
    console.error(`linux/${architecture}: ${digest}, ${(size / 1e6).toFixed(1)} MB to pull`);
  }
  console.log(index.digest);
}

async function buildRoot(root: string, platforms: readonly Architecture[], folder: string): Promise<void> {
  const [architecture, ...others] = platforms;
  if (architecture === undefined || others.length > 0) {
    return command.error('error: --rootfs wants one --platform');
  }
  if ((await readdir(root).catch(() => [])).length > 0) throw new Error(`${root} is not empty`);
  const { program } = await makeParts(architecture, root, folder);
  await addProgram(root, program);
  console.log(root);
}

async function build(options: Options): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'build-image-'));
  try {
    if (options.rootfs === undefined) await buildLayout(options, folder);
    else await buildRoot(options.rootfs, options.platform, folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

await runScript(command);
