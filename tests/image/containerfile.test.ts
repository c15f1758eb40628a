import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compileServer } from '../../scripts/compile-server.ts';
import { ARCHITECTURES, hostArchitecture } from '../../scripts/image/architecture.ts';
import { addProgram, serverImageSettings } from '../../scripts/image/server-image.ts';
import { run, runOrThrow } from '../../scripts/run.ts';
import { Cache } from '../../scripts/tools/cache.ts';
import { serverBase } from '../cluster/images.ts';
import { builderArchive, whyNoContainerfile } from './containerfile-builder.ts';

const REPOSITORY = join(import.meta.dir, '../..');
const MINUTES = 60_000;

// the builder is a Debian made here, with the Bun that runs this: no registry of images is asked
describe.skipIf(whyNoContainerfile() !== undefined)('the Containerfile', () => {
  let folder: string;
  let container: string;

  function buildah(...args: readonly string[]): string[] {
    const storage = ['--root', join(folder, 'store'), '--runroot', join(folder, 'run')];
    return ['buildah', '--storage-driver=vfs', ...storage, ...args];
  }

  async function inStorage(...args: readonly string[]): Promise<string> {
    return (await runOrThrow(buildah(...args))).trim();
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'containerfile-test-'));
    const builder = await inStorage('from', 'scratch');
    await inStorage('add', '--quiet', builder, await builderArchive(new Cache()), '/');
    await inStorage('copy', '--quiet', builder, process.execPath, '/usr/local/bin/bun');
    await inStorage('commit', '--quiet', '--rm', builder, 'localhost/builder');
    // the packages that are here already, so no registry has to be configured; what is written is lost
    const packages = (await runOrThrow([process.execPath, 'pm', 'cache'], { cwd: REPOSITORY })).trim();
    await inStorage(
      ...['build', '--isolation=chroot', '--pull-never', '--build-arg=BUILDER=localhost/builder'],
      ...[`--volume=${packages}:/root/.bun/install/cache:O`, '--tag=localhost/built', REPOSITORY],
    );
    container = await inStorage('from', '--pull-never', 'localhost/built');
  }, 10 * MINUTES);
  afterAll(async () => {
    await inStorage('umount', '--all');
    await rm(folder, { recursive: true, force: true });
  }, MINUTES);

  test(
    'gives the files of scripts/build-image',
    async () => {
      const expected = join(folder, 'expected');
      const program = join(folder, 'program');
      await compileServer(program, ARCHITECTURES[hostArchitecture()].target);
      await cp(await serverBase(new Cache()), expected, { recursive: true, verbatimSymlinks: true });
      await addProgram(expected, program);
      const built = await inStorage('mount', container);
      expect(await run(['diff', '--recursive', '--no-dereference', expected, built])).toMatchObject({
        exitCode: 0,
        stdout: '',
      });
    },
    2 * MINUTES,
  );

  test('gives an image that runs, as somebody with no rights', async () => {
    const { user, entrypoint } = serverImageSettings({ version: '1', created: new Date(0) });
    const { OCIv1 } = JSON.parse(await inStorage('inspect', container));
    expect(OCIv1.config).toMatchObject({ User: user, Entrypoint: entrypoint });
    const { version } = await Bun.file(join(REPOSITORY, 'package.json')).json();
    const started = await inStorage('run', '--isolation=chroot', container, '--', ...entrypoint, '--version');
    expect(started).toBe(version);
  });
});
