import { join } from 'node:path';
import type { KubernetesObject } from '../../scripts/module/render.ts';

const EXAMPLES = join(import.meta.dir, '../../docs/examples');

/** The names of the examples for Flux and for policies, such as `flux/chart.yaml`. */
export function exampleNames(): readonly string[] {
  return [...new Bun.Glob('{flux,policies}/*.yaml').scanSync(EXAMPLES)].sort();
}

/** The objects of an example, in order. */
export async function example(name: string): Promise<readonly KubernetesObject[]> {
  const documents = Bun.YAML.parse(await Bun.file(join(EXAMPLES, name)).text());
  // the API server is asked about each
  return [documents].flat() as KubernetesObject[];
}

/** The only object of the kind. */
export function ofKind(kind: string, objects: readonly KubernetesObject[]): KubernetesObject {
  const [only, ...others] = objects.filter((object) => object.kind === kind);
  if (only === undefined || others.length > 0) throw new Error(`there is not one ${kind}`);
  return only;
}

/** The object with other fields in its `spec`; a field that is undefined is left out. */
export function withSpec(
  object: KubernetesObject,
  fields: Readonly<Record<string, unknown>>,
): KubernetesObject {
  return { ...object, spec: { ...Object(object['spec']), ...fields } };
}
