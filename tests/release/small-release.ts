import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeLayer } from '../../scripts/image/layer.ts';
import { writeOciLayout } from '../../scripts/image/oci-layout.ts';
import { referenceOf } from '../../scripts/module/released-image.ts';
import type { ReleaseSource } from '../../scripts/publish/artifacts.ts';
import { writeChartArtifact, writeManifestsArtifact } from '../../scripts/publish/artifacts.ts';
import { Cosign, type Signer } from '../../scripts/publish/cosign.ts';
import { writeModuleArtifact } from '../../scripts/publish/module-artifact.ts';
import type { ReleaseOrder, ReleaseParts } from '../../scripts/publish/release.ts';
import { billOfMaterials } from '../../scripts/publish/sbom.ts';
import { runOrThrow } from '../../scripts/run.ts';
import { Cache } from '../../scripts/tools/cache.ts';
import { goProgram } from '../../scripts/tools/go-program.ts';

/** What cosign needs to sign and verify with no transparency log, and its key's password. */
export function cosignEnvironment(password = 'open sesame'): Readonly<Record<string, string | undefined>> {
  const { PATH, HOME } = process.env;
  return {
    PATH,
    HOME,
    COSIGN_PASSWORD: password,
    COSIGN_USE_SIGNING_CONFIG: 'false',
    COSIGN_TLOG_UPLOAD: 'false',
    COSIGN_INSECURE_IGNORE_TLOG: 'true',
  };
}

export async function cosign(password?: string): Promise<Cosign> {
  return new Cosign(await goProgram('cosign', new Cache()), cosignEnvironment(password));
}

export interface Key {
  readonly privateKey: string;
  readonly signer: Signer & { readonly key: string };
}

/** A new key of the usual password in a folder. */
export async function makeKey(folder: string, name: string): Promise<Key> {
  const program = await goProgram('cosign', new Cache());
  const prefix = join(folder, name);
  await runOrThrow([program, 'generate-key-pair', '--output-key-prefix', prefix], {
    env: cosignEnvironment(),
  });
  return { privateKey: `${prefix}.key`, signer: { key: `${prefix}.pub` } };
}

export function orderOf(registry: string, version: string, key: Key, commit = 'a'.repeat(40)): ReleaseOrder {
  const url = 'https://git.example.test/project';
  const source: ReleaseSource = { version, commit, created: new Date(1_700_000_000_000), url };
  const build = { sourceURL: url, commit, builder: 'https://ci.example.test', invocation: 'urn:run:1' };
  return { registry, source, build, ...key };
}

/** A release whose image, manifests and chart are as small as they can be. The module is the real one. */
export function smallParts({ source }: ReleaseOrder, schemas: string): ReleaseParts {
  return {
    writeImage: (layout) => writeSmallImage(layout, source),
    others: [
      {
        name: 'module',
        write: (layout, image) => writeModuleArtifact(layout, schemas, image, source).then(),
      },
      {
        name: 'manifests',
        write: async (layout, image) => {
          const container = { name: 'server', image: referenceOf(image) };
          const pod = { kind: 'Pod', spec: { containers: [container] } };
          await writeManifestsArtifact(layout, JSON.stringify(pod), source);
        },
      },
      {
        name: 'chart',
        write: async (layout, image) => {
          await using folder = await scratchFolder();
          const facts = { apiVersion: 'v2', name: 'gke-metadata-server', version: source.version };
          await Bun.write(join(folder.path, 'Chart.yaml'), Bun.YAML.stringify(facts));
          await Bun.write(join(folder.path, 'values.yaml'), Bun.YAML.stringify({ image }));
          await writeChartArtifact(layout, folder.path, source);
        },
      },
    ],
    billOf: (subject, image, layout) => billOfMaterials(subject, image, layout, source),
  };
}

async function writeSmallImage(layout: string, { version, commit, created }: ReleaseSource): Promise<void> {
  await using folder = await scratchFolder();
  const root = join(folder.path, 'root');
  const control = 'Package: libc6\nVersion: 2.41-12\nArchitecture: amd64\n';
  await Bun.write(join(root, 'var/lib/dpkg/status.d/libc6'), control);
  await Bun.write(join(root, 'var/lib/dpkg/status.d/libc6.md5sums'), '');
  await Bun.write(join(root, 'usr/lib/os-release'), 'ID=debian\nVERSION_ID="13"\n');
  await Bun.write(join(root, 'version'), version);
  const layer = await makeLayer(root, 'a test');
  const settings = { user: '1:2', entrypoint: ['/version'], environment: {}, labels: { commit }, created };
  const platforms = [
    { architecture: 'amd64', layers: [layer] },
    { architecture: 'arm64', layers: [layer] },
  ] as const;
  await writeOciLayout(layout, platforms, settings);
}

/** A folder that is there until its user leaves. */
export async function scratchFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'release-test-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}
