import { copyFile, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { runOrThrow } from '../run.ts';
import type { Cache } from './cache.ts';
import { fluxControllers } from './flux.ts';

/** One version of a Go module, and the checksum of its content as a go.sum has it. */
interface GoModule {
  readonly path: string;
  readonly version: string;
  readonly sum: string;
}

const CERT_MANAGER = 'github.com/cert-manager/cert-manager';
const PROMETHEUS_OPERATOR: GoModule = {
  path: 'github.com/prometheus-operator/prometheus-operator',
  version: 'v0.92.1',
  sum: 'h1:rHWuFo6SVya4FBSCNg2DCzyc4xAv54zk3eDTzp5mQZc=',
};
const KYVERNO: GoModule = {
  path: 'github.com/kyverno/kyverno',
  version: 'v1.19.1',
  sum: 'h1:/MkgFii3/VlQfKR1JpC9tVwNNVNQTt2S4U6qCsafsTU=',
};
const POLICY_CONTROLLER: GoModule = {
  path: 'github.com/sigstore/policy-controller',
  version: 'v0.13.1',
  sum: 'h1:Woy+6bQ7pT/0m3/PSO2RtDxSHKBZ/8iHpCZFcZJThM8=',
};
const CILIUM: GoModule = {
  path: 'github.com/cilium/cilium',
  version: 'v1.20.2',
  sum: 'h1:dqiEGIcXc+gqCLYG/l7VCFJ8GHyb4HUrwbZOpkX5dL8=',
};
const EXTERNAL_SECRETS: GoModule = {
  path: 'github.com/external-secrets/external-secrets',
  version: 'v1.3.2',
  sum: 'h1:u2J8RjlHIeF0oZCqtl92adI/uZWUwOesJIDkfql6LqQ=',
};

/** The folder of cert-manager's CustomResourceDefinitions, one YAML file each, of the version that is built here. */
export async function certManagerCRDs(cache: Cache): Promise<string> {
  const module = await pinned(join(import.meta.dir, 'cert-manager'), CERT_MANAGER);
  return kept(cache, 'cert-manager-crds', module, 'deploy/crds', /\.yaml$/);
}

/** The folder of the Prometheus operator's for PodMonitor and PrometheusRule, one YAML file each. */
export function prometheusOperatorCRDs(cache: Cache): Promise<string> {
  const files = /_(podmonitors|prometheusrules)\.yaml$/;
  return kept(
    cache,
    'prometheus-operator-crds',
    PROMETHEUS_OPERATOR,
    'example/prometheus-operator-crd',
    files,
  );
}

/** The folders of those of Flux's controllers that are built here. */
export function fluxCRDs(cache: Cache): Promise<readonly string[]> {
  return Promise.all(
    fluxControllers.map(async (name) => {
      const module = await pinned(join(import.meta.dir, 'flux'), `github.com/fluxcd/${name}`);
      return kept(cache, `${name}-crds`, module, 'config/crd/bases', /\.yaml$/);
    }),
  );
}

/** The folders of those of what admits images by their signatures: Kyverno, and Sigstore's policy-controller. */
export function imagePolicyCRDs(cache: Cache): Promise<readonly string[]> {
  const kyverno = 'config/crds/policies.kyverno.io';
  return Promise.all([
    kept(cache, 'kyverno-crds', KYVERNO, kyverno, /_imagevalidatingpolicies\.yaml$/),
    kept(cache, 'policy-controller-crds', POLICY_CONTROLLER, 'config', /-clusterimagepolicy\.yaml$/),
  ]);
}

/** The folders of those of docs/recipes.md that nothing else here needs: Cilium's and External Secrets'. */
export function recipeCRDs(cache: Cache): Promise<readonly string[]> {
  const cilium = 'pkg/k8s/apis/cilium.io/client/crds/v2';
  const policies = /^cilium(networkpolicies|localredirectpolicies)\.yaml$/;
  const stores = /_clustersecretstores\.yaml$/;
  return Promise.all([
    kept(cache, 'cilium-crds', CILIUM, cilium, policies),
    kept(cache, 'external-secrets-crds', EXTERNAL_SECRETS, 'config/crds/bases', stores),
  ]);
}

/** Keeps files of a folder of a module in the cache. */
function kept(cache: Cache, name: string, module: GoModule, folder: string, files: RegExp): Promise<string> {
  return cache.get(`${name}-${module.version}`, async (copy) => {
    const source = join(await download(module), folder);
    await mkdir(copy);
    const names = (await readdir(source)).filter((file) => files.test(file));
    for (const file of names) await copyFile(join(source, file), join(copy, file));
  });
}

/** The folder of the module's content, which Go downloads from the module proxy if it lacks it. */
async function download({ path, version, sum }: GoModule): Promise<string> {
  const command = ['go', 'mod', 'download', '-json', `${path}@${version}`];
  // outside any module, so that no go.mod is used
  const answer = await runOrThrow(command, { cwd: '/', env: { ...process.env, GOWORK: 'off' } });
  // `go help mod download` describes what it prints
  const { Dir, Sum } = JSON.parse(answer) as { Dir: string; Sum: string };
  if (Sum !== sum) throw new Error(`${path}@${version} is ${Sum}, expected ${sum}`);
  return Dir;
}

/** What a folder's go.mod requires of a module, and its go.sum knows of it. */
async function pinned(folder: string, path: string): Promise<GoModule> {
  const [goMod = '', goSum = ''] = await Promise.all(
    ['go.mod', 'go.sum'].map((name) => Bun.file(join(folder, name)).text()),
  );
  const version = new RegExp(`^(?:require|\\t)\\s*${path} (v\\S+)(?: // indirect)?$`, 'm').exec(goMod)?.[1];
  const prefix = `${path} ${version} `;
  const sum = goSum.split('\n').find((line) => line.startsWith(prefix));
  if (version === undefined || sum === undefined) throw new Error(`${folder} does not pin ${path}`);
  return { path, version, sum: sum.slice(prefix.length) };
}
