import { join } from 'node:path';
import type { ApiClient } from '../../scripts/test-cluster/api-client.ts';

/** Of a ClusterRole. */
export interface Rule {
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

/** A Kubernetes object as YAML has it. */
export interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly rules?: readonly Rule[];
  readonly [field: string]: unknown;
}

const FOLDER = join(import.meta.dir, '../manifests');

/** The collection of each kind that a manifest may have. */
const COLLECTIONS: ReadonlyMap<string, string> = new Map([
  ['ServiceAccount', '/api/v1/namespaces/NAMESPACE/serviceaccounts'],
  ['Service', '/api/v1/namespaces/NAMESPACE/services'],
  ['DaemonSet', '/apis/apps/v1/namespaces/NAMESPACE/daemonsets'],
  ['Deployment', '/apis/apps/v1/namespaces/NAMESPACE/deployments'],
  ['ClusterRole', '/apis/rbac.authorization.k8s.io/v1/clusterroles'],
  ['ClusterRoleBinding', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings'],
  ...[
    'ValidatingAdmissionPolicy',
    'ValidatingAdmissionPolicyBinding',
    'ValidatingWebhookConfiguration',
    'MutatingWebhookConfiguration',
  ].map((kind): [string, string] => [kind, `/apis/admissionregistration.k8s.io/v1/${plural(kind)}`]),
]);

function plural(kind: string): string {
  return kind.toLowerCase().replace(/y$/, 'ie').concat('s');
}

/** The objects of a file in tests/manifests, each `${NAME}` replaced. Throws where a value is missing. */
export async function readManifests(
  file: string,
  values: Readonly<Record<string, string>>,
): Promise<Manifest[]> {
  const text = (await Bun.file(join(FOLDER, file)).text()).replace(/\$\{(\w+)\}/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`${file} wants a value for ${name}`);
    return value;
  });
  // our own files, and the API server looks closely
  return [Bun.YAML.parse(text) as Manifest | Manifest[]].flat();
}

/** Where the API server has the object. */
export function pathOf({ kind, metadata }: Manifest): string {
  const collection = COLLECTIONS.get(kind);
  if (collection === undefined) throw new Error(`no path is known for ${kind}`);
  return `${collection.replace('NAMESPACE', metadata.namespace ?? '')}/${metadata.name}`;
}

/** Makes the object, or makes it what the manifest says. */
export async function applyManifest(api: ApiClient, manifest: Manifest): Promise<void> {
  await api.text('PATCH', `${pathOf(manifest)}?fieldManager=tests&force=true`, {
    contentType: 'application/apply-patch+yaml',
    body: manifest,
  });
}
