import { Document } from 'yaml';
import type { Instance, KubernetesObject, ModuleRenderer, ModuleValues, ObjectSet } from './render.ts';

/** A value that Flux has yet to put in: the name of its variable, and a value that no object has by itself. */
interface Variable {
  readonly name: string;
  readonly standIn: string;
}

/** The values that cannot be guessed, by their name under `settings`. */
const variables: Readonly<Record<string, Variable>> = {
  projectID: { name: 'PROJECT_ID', standIn: 'project-id-to-be-substituted' },
  workloadIdentityProvider: {
    name: 'WORKLOAD_IDENTITY_PROVIDER',
    standIn:
      'projects/1/locations/global/workloadIdentityPools/to-be-substituted/providers/to-be-substituted',
  },
};

interface ManifestOptions {
  readonly instance: Instance;
  /** Whether the Namespace is one of the objects. */
  readonly createNamespace: boolean;
}

/**
 * All objects of an instance in the order in which they are applied, as YAML. If the values lack what cannot be
 * guessed there are variables for Flux to put in; then every `$` of the objects' own is `$$`, which Flux's substitution
 * makes `$` again (github.com/fluxcd/pkg/envsubst: of `$$` one is skipped and the other is text).
 */
export async function manifestsOf(
  renderer: ModuleRenderer,
  values: ModuleValues,
  { instance, createNamespace }: ManifestOptions,
): Promise<string> {
  const { settings: given } = values;
  const settings: Readonly<Record<string, unknown>> = Object(given);
  const open = Object.entries(variables).filter(([field]) => settings[field] === undefined);
  const standIns = Object.fromEntries(open.map(([field, { standIn }]) => [field, standIn]));
  const sets = await renderer.render({ ...values, settings: { ...settings, ...standIns } }, instance);
  const objects = [...(createNamespace ? [namespaceOf(instance)] : []), ...manifestObjects(sets)];
  // YAML 1.1, as Kubernetes' tools read it: what they could take for something else than a text is in quotes
  const manifests = objects
    .map(
      (object) =>
        `---\n${new Document(object, { version: '1.1', aliasDuplicateObjects: false }).toString({ lineWidth: 0, directives: false })}`,
    )
    .join('');
  if (open.length === 0) return manifests;
  return open.reduce(
    (text, [, { name, standIn }]) => text.replaceAll(standIn, () => `\${${name}}`),
    manifests.replaceAll('$', '$$$$'),
  );
}

/** The variables of manifests, by the path of the value that each is. */
export const fluxVariables: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(variables).map(([field, { name }]) => [`settings.${field}`, name]),
);

const MANAGED_BY = 'app.kubernetes.io/managed-by';

/** The objects of the sets in order, without the label that says that Timoni manages them. */
export function manifestObjects(sets: readonly ObjectSet[]): readonly KubernetesObject[] {
  return sets.flatMap(({ objects }) => objects.map(withoutManager));
}

function withoutManager(object: KubernetesObject): KubernetesObject {
  const { labels, ...metadata } = object.metadata;
  const others = Object.entries(Object(labels)).filter(
    ([key, value]) => key !== MANAGED_BY || value !== 'timoni',
  );
  return { ...object, metadata: { ...metadata, labels: Object.fromEntries(others) } };
}

/** The servers are on the host network, which Pod Security's level "privileged" alone allows. */
function namespaceOf({ namespace }: Instance): KubernetesObject {
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: namespace, labels: { 'pod-security.kubernetes.io/enforce': 'privileged' } },
  };
}
