import { cp, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { chartValues, chartValuesSchema } from './chart-values.ts';
import { configFields, minimalValues } from './config-fields.ts';
import type { ReleasedImage } from './released-image.ts';
import type { KubernetesObject, ModuleRenderer, ModuleValues } from './render.ts';

/** The folder of the Helm chart. */
export const chartFolder = join(import.meta.dir, '../../charts/gke-metadata-server');

/** Writes the chart as `version` into a folder that is new, empty or was one. `image` is what runs if the user names none, as in a release. */
export async function writeChart(folder: string, version: string, image?: ReleasedImage): Promise<void> {
  await requireChart(folder);
  await cp(chartFolder, folder, { recursive: true });
  const replace = async (file: string, ...replacements: readonly (readonly [RegExp, string])[]) => {
    let text = await Bun.file(join(folder, file)).text();
    for (const [pattern, replacement] of replacements) {
      if (!pattern.test(text)) throw new Error(`cannot set the chart's release: ${file} has no ${pattern}`);
      text = text.replace(pattern, () => replacement);
    }
    await Bun.write(join(folder, file), text);
  };
  const quoted = JSON.stringify(version);
  await replace(
    'Chart.yaml',
    [/^version: .*$/m, `version: ${quoted}`],
    [/^appVersion: .*$/m, `appVersion: ${quoted}`],
  );
  if (image === undefined) return;
  const { repository, tag, digest } = image;
  await replace(
    'values.yaml',
    [/^ {2}# repository:$/m, `  repository: ${JSON.stringify(repository)}`],
    [/^ {2}tag: ""$/m, `  tag: ${JSON.stringify(tag)}`],
    [/^ {2}digest: ""$/m, `  digest: ${JSON.stringify(digest)}`],
  );
  // by which templates/guards.yaml knows half of an image
  await replace('Chart.yaml', [
    /$/,
    stringify({
      annotations: {
        'gke-metadata-server.matheuscscp.io/image-tag': tag,
        'gke-metadata-server.matheuscscp.io/image-digest': digest,
      },
    }),
  ]);
}

/** Throws if the folder holds anything but an older version of the chart: a README of somebody's, which ours would replace. */
async function requireChart(folder: string): Promise<void> {
  const [names, own] = await Promise.all([
    readdir(folder).catch((error: NodeJS.ErrnoException): string[] => {
      if (error.code === 'ENOENT') return [];
      throw new Error(`cannot write the chart to ${folder}: ${error.message}`);
    }),
    readdir(chartFolder),
  ]);
  const other = names.find((name) => !own.includes(name));
  const isOurs = other === undefined && (names.length === 0 || names.includes('Chart.yaml'));
  if (isOurs) return;
  throw new Error(
    `cannot write the chart to ${folder}: it holds ${other ?? names[0]}, which is not part of it. Name another folder.`,
  );
}

/** The chart's files that are generated from the module, by their path: all but the templates. */
export async function generatedChartFiles(renderer: ModuleRenderer): Promise<ReadonlyMap<string, string>> {
  const [fields, full, withoutWebhook, withoutKeys] = await Promise.all([
    configFields(renderer),
    monitoringOf(renderer, {}),
    monitoringOf(renderer, { webhook: { enabled: false }, test: { enabled: false } }),
    monitoringOf(renderer, { monitoring: { ...all, prometheusRule: { enabled: true, clusterKeys: false } } }),
  ]);
  const without = (others: typeof full) =>
    full.alerts.filter(({ alert }) => others.alerts.every((other) => other.alert !== alert));
  const [webhook, clusterKeys] = [without(withoutWebhook), without(withoutKeys)];
  const always = full.alerts.filter((alert) => !webhook.includes(alert) && !clusterKeys.includes(alert));
  return new Map([
    ['values.yaml', chartValues(fields)],
    ['values.schema.json', chartValuesSchema(fields)],
    ['files/alerts.yaml', stringify({ always, clusterKeys, webhook }, { version: '1.1', lineWidth: 0 })],
    ['files/dashboard.json', full.dashboard],
    ['files/dashboard-without-webhook.json', withoutWebhook.dashboard],
    ['files/test.js', full.script],
  ]);
}

const all = {
  podMonitor: { enabled: true },
  prometheusRule: { enabled: true },
  dashboard: { enabled: true },
};

/** Values that no text contains by chance, and what the templates put in their places. */
const instance = { name: 'name-of-the-release', namespace: 'namespace-of-the-release' };
const marked: ModuleValues = {
  ...minimalValues,
  settings: { ...minimalValues.settings, healthPort: 61_621 },
  webhook: { timeoutSeconds: 29 },
  certificates: { renewBefore: '771773s' },
  monitoring: all,
  test: { enabled: true, googleServiceAccount: 'test@my-project.iam.gserviceaccount.com' },
};
const marks: readonly (readonly [string, string])[] = [
  [instance.namespace, '@NAMESPACE@'],
  [instance.name, '@NAME@'],
  ['61621', '@HEALTH_PORT@'],
  ['29 s', '@TIMEOUT_SECONDS@ s'],
  ['771773s', '@RENEW_BEFORE@'],
  // half of it
  ['385886', '@PATIENCE@'],
];

interface Monitoring {
  readonly alerts: readonly { readonly alert: string }[];
  readonly dashboard: string;
  readonly script: string;
}

/** The module's texts, with placeholders for those of an instance. */
async function monitoringOf(renderer: ModuleRenderer, values: ModuleValues): Promise<Monitoring> {
  const sets = await renderer.render({ ...marked, ...values }, instance);
  const objects = sets.flatMap((set) => set.objects);
  const textOf = (value: unknown) =>
    marks.reduce((text, [found, mark]) => text.replaceAll(found, mark), JSON.stringify(value));
  const rule: { groups: [{ rules: Monitoring['alerts'] }] } = JSON.parse(
    textOf(specOf(objects, 'PrometheusRule')),
  );
  const data = objects.find(({ kind }) => kind === 'ConfigMap')?.['data'];
  const [dashboard] = Object.values<string>(JSON.parse(textOf(data)));
  const job = specOf(objects, 'Job');
  const [, script] = job.template?.spec.containers[0].args ?? [];
  if (dashboard === undefined) throw new Error('the module has no dashboard');
  return {
    alerts: rule.groups[0].rules,
    dashboard: `${dashboard.replace(/(?<="uid": ")[0-9a-f]{16}(?=")/, '@UID@')}\n`,
    script: `${script}\n`,
  };
}

// a part of an object whose kind is known
function specOf(objects: readonly KubernetesObject[], kind: string) {
  return Object(objects.find((object) => object.kind === kind)?.['spec']);
}
