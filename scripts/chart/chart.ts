import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type ConfigField, configFields, minimalValues } from '../module/config-fields.ts';
import type { ReleasedImage } from '../module/released-image.ts';
import { type Instance, type ModuleRenderer, ValuesRefused } from '../module/render.ts';
import { valuesFile, valuesSchema } from './chart-files.ts';
import { guardsTemplate } from './guards.ts';
import { inferList } from './infer.ts';
import { isObject, type Json, type JsonObject, valueAt, withValueAt } from './json.ts';
import { type Sample, takeSamples } from './samples.ts';
import { Expressions, vocabularyOf } from './vocabulary.ts';
import { TemplateWriter } from './write-template.ts';

/** As many as tell every condition of the module from chance. */
const SAMPLES = 96;

const instance: Instance = { name: 'name', namespace: 'namespace' };

/** A file of a chart by its path. */
export type ChartFiles = ReadonlyMap<string, string>;

/**
 * A Helm chart that gives the objects that the module gives. Nothing of it is written by hand: the module is evaluated
 * for values of every kind, and what of its objects changes with what is the templates. A part of an object that cannot
 * be explained so, or a field of a type without sample values, fails with where it is. `image` is what a release runs
 * where the user names none, as `_released` of the module.
 */
export async function chartOf(
  renderer: ModuleRenderer,
  version: string,
  image?: ReleasedImage,
): Promise<ChartFiles> {
  const fields = await configFields(renderer);
  const expressions = new Expressions(fields, await changedDefaults(fields, renderer));
  const vocabulary = vocabularyOf(fields, expressions);
  const samples = await takeSamples(fields, vocabulary, renderer, SAMPLES);
  const shown = image === undefined ? fields : fields.map((field) => withReleased(field, image));
  const writer = new TemplateWriter(vocabulary.questions);
  const sets = [...new Set(samples.flatMap(({ objects }) => Object.keys(objects)))];
  return new Map([
    ['Chart.yaml', chartFile(version)],
    ['values.yaml', valuesFile(shown, expressions)],
    ['values.schema.json', valuesSchema(shown)],
    ['templates/guards.yaml', await guardsTemplate(shown, expressions)],
    ...sets.map((set): [string, string] => {
      const cases = samples.map((sample) => ({ sample, node: objectsOf(sample, set) }));
      return [`templates/${set}.yaml`, writer.documents(inferList(cases, vocabulary.terms, set).items)];
    }),
  ]);
}

export async function writeChart(files: ChartFiles, folder: string): Promise<void> {
  await mkdir(join(folder, 'templates'), { recursive: true });
  for (const [path, content] of files) await Bun.write(join(folder, path), content);
}

function withReleased(field: ConfigField, image: ReleasedImage): ConfigField {
  const part = Object.entries(image).find(([name]) => field.path === `image.${name}`);
  return part === undefined ? field : { ...field, default: part[1], required: false };
}

/** The mark of what `helm test` runs. An installation applies a Job before there is a webhook, which it needs. */
export const testHook = { 'helm.sh/hook': 'test' } as const;

function objectsOf({ objects }: Sample, set: string): readonly Json[] {
  const all = objects[set] ?? [];
  if (set !== 'test') return all;
  return all.map((object) => {
    const annotations = valueAt(object, 'metadata.annotations');
    const marked = { ...testHook, ...(isObject(annotations) ? annotations : {}) };
    return isObject(object) ? withValueAt(object, 'metadata.annotations', marked) : object;
  });
}

/** Defaults that depend on a switch. */
async function changedDefaults(
  fields: readonly ConfigField[],
  renderer: ModuleRenderer,
): Promise<ReadonlyMap<string, { switch: string; then: Json }>> {
  const found = new Map<string, { switch: string; then: Json }>();
  for (const { path, default: value } of fields.filter(({ type }) => type === 'boolean')) {
    // what cue wrote as JSON, for cue
    const values = withValueAt(minimalValues as JsonObject, path, value !== true);
    try {
      const config = (await renderer.export('timoni.instance.config', values, instance)) as Json;
      for (const field of fields) {
        const then = valueAt(config, field.path);
        const isSet = valueAt(values, field.path) !== undefined || field.within !== undefined;
        if (isSet || then === undefined || Bun.deepEquals(then, field.default)) continue;
        found.set(field.path, { switch: path, then });
      }
    } catch (error) {
      // needs another field too, so that it is no switch of a default alone
      if (!(error instanceof ValuesRefused)) throw error;
    }
  }
  return found;
}

/** Chart.yaml: all of a chart that a version changes. */
export function chartFile(version: string): string {
  return [
    'apiVersion: v2',
    'name: gke-metadata-server',
    'description: A GKE metadata server for any Kubernetes cluster',
    'type: application',
    `version: ${JSON.stringify(version)}`,
    `appVersion: ${JSON.stringify(version)}`,
    'kubeVersion: ">=1.30.0-0"',
    '',
  ].join('\n');
}
