import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { compileServer } from '../../scripts/compile-server.ts';
import { hostArchitecture } from '../../scripts/image/architecture.ts';
import { writeServerImage } from '../../scripts/image/server-image.ts';
import { minimalValues } from '../../scripts/module/config-fields.ts';
import { referenceOf } from '../../scripts/module/released-image.ts';
import { SignatureRefused } from '../../scripts/publish/cosign.ts';
import { LayoutReader } from '../../scripts/publish/layout-reader.ts';
import { Registry } from '../../scripts/publish/registry.ts';
import { type PublishedArtifact, publishRelease } from '../../scripts/publish/release.ts';
import { writeReleaseFiles } from '../../scripts/publish/release-files.ts';
import { type ArtifactName, repositoryOf } from '../../scripts/publish/release-names.ts';
import { releaseParts } from '../../scripts/publish/release-parts.ts';
import { run, runOrThrow } from '../../scripts/run.ts';
import { Cache } from '../../scripts/tools/cache.ts';
import { goProgram } from '../../scripts/tools/go-program.ts';
import { serverBase } from '../cluster/images.ts';
import { LocalRegistry } from './local-registry.ts';
import { cosign, cosignEnvironment, makeKey, orderOf, scratchFolder } from './small-release.ts';

// all of it is made before the first test
setDefaultTimeout(900_000);

const VERSION = '1.2.3';
/** Without an image: that is the release's. */
const { settings } = minimalValues;

let local: LocalRegistry;
let folder: Awaited<ReturnType<typeof scratchFolder>>;
let released: readonly PublishedArtifact[];
let at: string;

/** The release as it is, but for the image: it is for this machine's platform alone. */
beforeAll(async () => {
  const cache = new Cache();
  local = await LocalRegistry.start();
  folder = await scratchFolder();
  at = `${local.host}/project`;
  const order = orderOf(at, VERSION, await makeKey(folder.path, 'release'));
  const parts = await releaseParts(order.source, cache, () => {});
  const architecture = hostArchitecture();
  const writeImage = async (layout: string) => {
    const program = join(folder.path, 'program');
    await compileServer(program);
    const { version, commit: revision, created, url } = order.source;
    const platform = { architecture, baseRoot: await serverBase(cache), program };
    await writeServerImage(layout, [platform], { version, revision, created, url });
  };
  const tools = { registry: new Registry(await goProgram('crane', cache)), cosign: await cosign() };
  const work = join(folder.path, 'layouts');
  released = await publishRelease(order, { ...parts, writeImage }, work, tools, () => {});
});

afterAll(async () => {
  await local[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

function artifact(name: ArtifactName): PublishedArtifact & { readonly layout: string } {
  const found = released.find((each) => each.name === name);
  if (found?.layout === undefined) throw new Error(`there is no ${name}`);
  return { ...found, layout: found.layout };
}

/** What everything is to run. */
function image(): string {
  const { repository, digest } = artifact('image');
  return referenceOf({ repository, tag: VERSION, digest });
}

/** The images of containers and of those that the webhook puts into Pods, in YAML or JSON, each once. */
function imagesIn(text: string): readonly string[] {
  return [...new Set([...text.matchAll(/127\.0\.0\.1:[^\s"',]+/g)].map(([found]) => found))];
}

test("the image's bill of materials has its contents, and no development tools", async () => {
  const { repository, digest } = artifact('image');
  const signer = { key: join(folder.path, 'release.pub') };
  const [statement] = await (await cosign()).statements(`${repository}@${digest}`, signer, 'sbom');
  const text = JSON.stringify(statement?.predicate);
  for (const part of ['pkg:deb/debian/libc6@', 'pkg:deb/debian/iptables@', `pkg:npm/bun@${Bun.version}`]) {
    expect(text).toContain(part);
  }
  expect(text).toContain('pkg:npm/elysia@');
  expect(text).toContain(`arch=${hostArchitecture()}&distro=debian-13`);
  expect(text).not.toContain('pkg:npm/typescript@');
});

test('the module runs the signed image if its user names none, and refuses half an image', async () => {
  const module = await pulledModule();
  const cue = await goProgram('cue', new Cache());
  const render = async (values: object) => {
    const file = join(folder.path, 'values.json');
    await Bun.write(file, JSON.stringify({ values }));
    const tags = ['-t', 'name=n', '-t', 'namespace=ns', '-t', `mv=${VERSION}`, '-t', 'kv=1.33.0'];
    return run([cue, 'export', ...tags, '.', file, '-e', 'timoni.apply', '--out=json'], { cwd: module });
  };
  expect(imagesIn((await render({ settings })).stdout)).toEqual([image()]);
  const mirrored = await render({ settings, image: { repository: '127.0.0.1:1/mirror' } });
  const { digest } = artifact('image');
  expect(imagesIn(mirrored.stdout)).toEqual([`127.0.0.1:1/mirror:${VERSION}@${digest}`]);
  const half = await render({ settings, image: { tag: 'mine' } });
  expect(half.stderr).toContain(
    `image.tag is mine, and image.digest still that of ${VERSION}: set image.digest too, or to "" to go by the tag alone`,
  );
  const byTag = await render({ settings, image: { tag: 'mine', digest: '' } });
  expect(imagesIn(byTag.stdout)).toEqual([`${artifact('image').repository}:mine`]);
});

test('the module has its schemas in one layer, the rest in another, and no file for developers', async () => {
  const [manifest] = await (await LayoutReader.open(artifact('module').layout)).manifests();
  const reader = await LayoutReader.open(artifact('module').layout);
  const [vendored, own] = await Promise.all(
    (manifest?.layers ?? []).map((layer) => reader.files(layer, '**')),
  );
  const names = (layer?: ReadonlyMap<string, string>) => [...(layer?.keys() ?? [])];
  expect(names(vendored)).toContain('cue.mod/gen/k8s.io/api/apps/v1/types_go_gen.cue');
  expect(names(vendored).filter((name) => !name.startsWith('cue.mod/gen/'))).toEqual([]);
  expect(names(own)).toEqual(
    expect.arrayContaining(['cue.mod/module.cue', 'timoni.cue', 'values.cue', 'LICENSE']),
  );
  expect(names(own).filter((name) => /^cue.mod\/gen|debug_values|_tool\.cue|testdata/.test(name))).toEqual(
    [],
  );
});

// where timoni is not on PATH, cue alone has judged the module above
test.skipIf(Bun.which('timoni') === null)(
  'timoni takes the module from the registry and builds a bundle',
  async () => {
    const url = `oci://${repositoryOf('module', at)}`;
    const pulled = join(folder.path, 'by-timoni');
    const verified = async (key: string) => {
      const flags = ['--version', VERSION, '--registry-insecure', '--output', pulled, '--verify=cosign'];
      const cosignFolder = dirname(await goProgram('cosign', new Cache()));
      const { PATH } = process.env;
      return run(['timoni', 'mod', 'pull', url, ...flags, `--cosign-key=${key}`], {
        env: { ...process.env, ...cosignEnvironment(), PATH: `${cosignFolder}:${PATH}` },
      });
    };
    const other = await makeKey(folder.path, 'other');
    expect((await verified(other.signer.key)).exitCode).toBe(1);
    expect((await verified(join(folder.path, 'release.pub'))).exitCode).toBe(0);
    expect(await Bun.file(join(pulled, 'templates/config/release.cue')).text()).toContain(
      artifact('image').digest,
    );
    const bundle = {
      apiVersion: 'v1alpha1',
      name: 'test',
      instances: {
        'gke-metadata-server': {
          module: { url, version: VERSION, digest: artifact('module').digest },
          namespace: 'gke-metadata-server',
          values: { settings },
        },
      },
    };
    const file = join(folder.path, 'bundle.cue');
    await Bun.write(file, `bundle: ${JSON.stringify(bundle)}`);
    const built = await runOrThrow(['timoni', 'bundle', 'build', '-f', file, '--registry-insecure']);
    expect(imagesIn(built)).toEqual([image()]);
    expect(built).toContain(`app.kubernetes.io/version: ${VERSION}`);
  },
);

test('the chart from the registry runs the signed image if its user names none, and refuses half an image', async () => {
  const helm = await goProgram('helm', new Cache());
  const { repository, digest } = artifact('chart');
  const file = join(folder.path, 'values.yaml');
  await Bun.write(file, JSON.stringify({ settings }));
  const flags = ['--plain-http', '--kube-version=1.30.0', '--values', file];
  const template = (reference: string, ...more: string[]) =>
    run([helm, 'template', 'n', `oci://${reference}`, ...flags, ...more], {
      env: { ...process.env, HOME: folder.path },
    });
  const rendered = await template(repository, '--version', VERSION);
  expect(rendered.stderr.split('\n').filter((line) => /error/i.test(line))).toEqual([]);
  expect(imagesIn(rendered.stdout)).toEqual([image()]);
  const versions = rendered.stdout.match(/(?<=app\.kubernetes\.io\/version: "?)[^"\n]+/g);
  expect([...new Set(versions)]).toEqual([VERSION]);
  expect(imagesIn((await template(`${repository}@${digest}`)).stdout)).toEqual([image()]);
  const half = await template(repository, '--version', VERSION, '--set', 'image.tag=mine');
  expect(half.stderr).toContain(`image.tag is mine, and image.digest still that of ${VERSION}`);
});

test('what the release page shows: digests, the manifests with their variables, the chart, and their checksums', async () => {
  const files = join(folder.path, 'files');
  const key = { privateKey: join(folder.path, 'release.key'), key: join(folder.path, 'release.pub') };
  const signing = await cosign();
  await writeReleaseFiles(files, { version: VERSION, commit: 'a'.repeat(40) }, released, (file, bundle) =>
    signing.signFile(file, bundle, key.privateKey),
  );
  const signed = [join(files, 'checksums.txt'), join(files, 'checksums.txt.sigstore.json')] as const;
  await signing.verifyFile(...signed, key);
  const other = (await makeKey(folder.path, 'another')).signer;
  await expect(signing.verifyFile(...signed, other)).rejects.toThrow(SignatureRefused);
  await runOrThrow(['sha256sum', '--check', '--strict', 'checksums.txt'], { cwd: files });
  const listed = (await Bun.file(join(files, 'checksums.txt')).text()).match(/\S+$/gm);
  const chart = `gke-metadata-server-${VERSION}.tgz`;
  const digestFiles = {
    'container-digest.txt': 'image',
    'helm-digest.txt': 'chart',
    'timoni-digest.txt': 'module',
  };
  expect(listed?.toSorted()).toEqual(
    [
      ...Object.keys(digestFiles),
      'digests.json',
      chart,
      'kubectl-gke_metadata',
      'manifests.yaml',
      'release.cue',
      'runtime.cue',
    ].toSorted(),
  );
  for (const [file, name] of Object.entries(digestFiles)) {
    const found = released.find((each) => each.name === name);
    expect(await Bun.file(join(files, file)).text()).toBe(`${found?.repository}@${found?.digest}\n`);
  }
  const { repository, digest } = artifact('module');
  for (const file of ['release.cue', 'runtime.cue']) {
    const bundle = await Bun.file(join(files, file)).text();
    expect([file, bundle.includes(`"oci://${repository}"`), bundle.includes(`"${digest}"`)]).toEqual([
      file,
      true,
      true,
    ]);
  }
  const manifests = await Bun.file(join(files, 'manifests.yaml')).text();
  expect(imagesIn(manifests)).toEqual([image()]);
  expect(manifests).toContain(`\${PROJECT_ID}`);
  const digests: unknown = await Bun.file(join(files, 'digests.json')).json();
  expect(digests).toEqual({
    version: VERSION,
    commit: 'a'.repeat(40),
    artifacts: Object.fromEntries(
      released.map(({ name, repository, digest }) => [name, { repository, tag: VERSION, digest }]),
    ),
  });
});

test('the line of docs/verify.md that needs nothing but cosign and a digest file', async () => {
  const guide = await Bun.file(join(import.meta.dir, '../../docs/verify.md')).text();
  const lines = guide.match(/^cosign verify (?:.*\\\n)*.*-digest\.txt\)"$/gm) ?? [];
  expect(lines).toHaveLength(1);
  // signed with a key here, not by a workflow
  const line = lines[0]?.replace(
    /--certificate-identity=\S+ \\\n\s+--certificate-oidc-issuer=\S+/,
    '--key ../release.pub',
  );
  expect(line).not.toContain('certificate');
  const program = dirname(await goProgram('cosign', new Cache()));
  const environment = cosignEnvironment();
  const env = { ...environment, PATH: `${program}:${environment['PATH']}` };
  const files = join(folder.path, 'files');
  for (const file of ['container-digest.txt', 'helm-digest.txt', 'timoni-digest.txt']) {
    const command = line?.replace('container-digest.txt', file) ?? '';
    const verified = await run(['bash', '-c', command], { cwd: files, env });
    expect([file, verified.exitCode]).toEqual([file, 0]);
    expect(verified.stdout).toContain('https://sigstore.dev/cosign/sign/v1');
  }
});

test("each platform's manifest is signed, as well as the index", async () => {
  const { repository, layout } = artifact('image');
  const digests = await (await LayoutReader.open(layout)).digests();
  expect(digests.length).toBeGreaterThan(1);
  for (const digest of digests) {
    await (await cosign()).verify(`${repository}@${digest}`, { key: join(folder.path, 'release.pub') });
  }
});

/** As Timoni pulls one: every layer into one folder. */
async function pulledModule(): Promise<string> {
  const { repository, digest } = artifact('module');
  const [layout, module] = [join(folder.path, 'pulled-layout'), join(folder.path, 'pulled-module')];
  const registry = new Registry(await goProgram('crane', new Cache()));
  await registry.pull(`${repository}@${digest}`, layout);
  await mkdir(module);
  const reader = await LayoutReader.open(layout);
  for (const { layers } of await reader.manifests()) {
    for (const layer of layers) {
      for (const [path, text] of await reader.files(layer, '**')) await Bun.write(join(module, path), text);
    }
  }
  return module;
}
