import { manifestObjects } from '../../scripts/module/manifests.ts';
import { type KubernetesObject, type ModuleValues, renderModule } from '../../scripts/module/render.ts';
import type { Objects } from '../cluster/objects.ts';
import { version } from './signed-source.ts';

const name = 'gke-metadata-server';

/** The objects that plain manifests have of these values, of the version and by the name that releases have. */
export async function moduleObjects(values: ModuleValues): Promise<readonly KubernetesObject[]> {
  const sets = await renderModule(values, { name, namespace: name, moduleVersion: version });
  return manifestObjects(sets);
}

/** Objects that do not exist yet as the API server would store them: with its defaults, changed by nobody else. */
export async function asDefaulted(
  expected: readonly KubernetesObject[],
  objects: Objects,
): Promise<readonly unknown[]> {
  const found: unknown[] = [];
  for (const object of expected) found.push(content(await objects.apply(object, { dryRun: true })));
  return found;
}

/** The same objects as they are now; undefined for one that does not exist. */
export async function asApplied(
  expected: readonly KubernetesObject[],
  objects: Objects,
): Promise<readonly unknown[]> {
  return Promise.all(expected.map(async (object) => content(await objects.get(object))));
}

/** By which Flux, Helm and the API server know their own; each sets another app.kubernetes.io/managed-by too. */
const MARKS =
  /^((kustomize|helm)\.toolkit\.fluxcd\.io\/|meta\.helm\.sh\/|deprecated\.daemonset\.template\.generation$)/;

/** What is neither the API server's own of an object, nor a mark of Flux or Helm, nor put in by cert-manager. */
function content(object: KubernetesObject | undefined): unknown {
  if (object === undefined) return undefined;
  const { metadata, status: _, spec, ...rest } = object;
  const unmarked = (field: string) =>
    Object.fromEntries(
      Object.entries<string>(Object(metadata[field])).filter(
        ([key, value]) =>
          !MARKS.test(key) && !(key === 'app.kubernetes.io/managed-by' && ['Helm', 'timoni'].includes(value)),
      ),
    );
  // each Service has another
  const { clusterIP: _address, clusterIPs: _addresses, ...wanted } = Object(spec);
  return {
    ...JSON.parse(
      JSON.stringify({ ...rest, spec: wanted }, (key, value) => (key === 'caBundle' ? undefined : value)),
    ),
    metadata: {
      ...{ name: metadata.name, namespace: metadata.namespace },
      ...{ labels: unmarked('labels'), annotations: unmarked('annotations') },
    },
  };
}
