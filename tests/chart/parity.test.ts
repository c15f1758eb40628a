import { afterAll, beforeAll, expect, test } from 'bun:test';
import { join } from 'node:path';
import { type ConfigField, configFields } from '../../scripts/module/config-fields.ts';
import { fluxVariables, manifestObjects, manifestsOf } from '../../scripts/module/manifests.ts';
import {
  type Instance,
  type KubernetesObject,
  ModuleRenderer,
  type ModuleValues,
  type ObjectSet,
  ValuesRefused,
} from '../../scripts/module/render.ts';
import { runOrThrow } from '../../scripts/run.ts';
import { Cache } from '../../scripts/tools/cache.ts';
import { goBuild } from '../../scripts/tools/go-build.ts';
import { goProgram } from '../../scripts/tools/go-program.ts';
import { goldenCases } from '../module/golden-cases.ts';
import { byIdentity, Helm, objectsIn, RefusedByHelm } from './helm.ts';
import { sampleValues, withDefaults } from './sample-values.ts';

// a cold cache has programs to compile
const MINUTE = 60_000;
const [accepted, refused] = await Promise.all([goldenCases('objects'), goldenCases('refused')]);

let renderer: ModuleRenderer;
let fields: readonly ConfigField[];
let helm: Helm;
let envsubst: string;

beforeAll(async () => {
  const cache = new Cache();
  const source = join(import.meta.dir, 'envsubst');
  const [program, folder, prepared] = await Promise.all([
    goProgram('helm', cache),
    goBuild({ name: 'envsubst', source, packages: ['.'] }, cache),
    ModuleRenderer.prepare(cache),
  ]);
  envsubst = join(folder, 'envsubst');
  renderer = prepared;
  fields = await configFields(renderer);
  helm = await Helm.prepare(program);
}, 20 * MINUTE);

afterAll(async () => {
  await helm?.[Symbol.asyncDispose]();
});

/** What Helm is to give: the objects, which it manages, and of which it runs those of the test on `helm test`. */
function forHelm(sets: readonly ObjectSet[]): readonly KubernetesObject[] {
  return sets.flatMap(({ name, objects }) =>
    objects.map((object) => {
      const { labels, annotations, ...metadata } = object.metadata;
      const managed = Object.entries(Object(labels)).map(([key, value]) => [
        key,
        key === 'app.kubernetes.io/managed-by' && value === 'timoni' ? 'Helm' : value,
      ]);
      const hook = name === 'test' && { 'helm.sh/hook': 'test' };
      return withoutReplacement({
        ...object,
        metadata: {
          ...metadata,
          labels: Object.fromEntries(managed),
          annotations: { ...hook, ...Object(annotations) },
        },
      });
    }),
  );
}

/** Helm makes a new Job for each `helm test`, so the annotation that has Timoni replace it is missing. */
function withoutReplacement<T>(object: T): T {
  const ofJob =
    /^(action\.timoni\.sh|kustomize\.toolkit\.fluxcd\.io)\/force$|^gke-metadata-server\..*\/configuration$/;
  return JSON.parse(JSON.stringify(object, (key, value) => (ofJob.test(key) ? undefined : value)));
}

async function expectParity(values: ModuleValues, instance: Instance): Promise<void> {
  const sets = await renderer.render(values, instance);
  const objects = manifestObjects(sets);
  const manifests = await manifestsOf(renderer, values, { instance, createNamespace: false });
  expect(objectsIn(manifests)).toEqual(objects);
  expect(objectsIn(await substituted(values, instance))).toEqual(objects);
  expect(comparable(await helm.template(values, instance))).toEqual(comparable(forHelm(sets)));
}

/** By identity, without maps that are as good as left out. */
function comparable(objects: readonly KubernetesObject[]): unknown {
  const text = JSON.stringify(byIdentity(objects), (key, value: unknown) =>
    ['annotations', 'affinity'].includes(key) && Bun.deepEquals(value, {}) ? undefined : value,
  );
  return JSON.parse(text);
}

/** The manifests without the values that Flux knows, once it has put them in. */
async function substituted(values: ModuleValues, instance: Instance): Promise<string> {
  const { settings: given } = values;
  const settings: Readonly<Record<string, string>> = Object(given);
  const variables = Object.entries(fluxVariables).map(
    ([path, name]) => [path.replace('settings.', ''), name] as const,
  );
  const others = Object.entries(settings).filter(([name]) => variables.every(([field]) => field !== name));
  const manifests = await manifestsOf(
    renderer,
    { ...values, settings: Object.fromEntries(others) },
    { instance, createNamespace: false },
  );
  for (const [, name] of variables) expect(manifests).toContain(`\${${name}}`);
  const env = Object.fromEntries(variables.map(([field, name]) => [name, settings[field]]));
  return runOrThrow([envsubst], { env, stdin: new Blob([manifests]).stream() });
}

for (const { name, values, instance } of accepted) {
  test(
    `${name}: cue, plain manifests and Helm give the same`,
    async () => {
      await expectParity(values, instance);
    },
    MINUTE,
  );
}

for (const number of [1001, 1002, 1003, 1004, 1005, 1006, 1007, 1008]) {
  test(
    `sample ${number}: cue, plain manifests and Helm give the same`,
    async () => {
      const { values, instance } = sampleValues(fields, number);
      await expectParity(values, instance);
    },
    MINUTE,
  );
}

for (const number of [2001, 2002, 2003, 2004, 2005, 2006]) {
  test(
    `sample ${number} without values that have a default: cue, plain manifests and Helm give the same`,
    async () => {
      const { values, instance } = sampleValues(fields, number);
      await expectParity(withDefaults(values, fields), instance);
    },
    MINUTE,
  );
}

test(
  'the order of labels makes no difference',
  async () => {
    const [minimum] = accepted;
    if (minimum === undefined) throw new Error('no golden case');
    const nodeSelector = { 'example.com/z': '1', 'example.com/a': '2', other: '3', 'other-one': '4' };
    await expectParity({ ...minimum.values, server: { nodeSelector } }, minimum.instance);
  },
  MINUTE,
);

for (const { name, values, instance } of refused) {
  test(
    `${name}: what cue refuses Helm refuses`,
    async () => {
      const [cue, said] = await Promise.all([
        renderer.render(values, instance).catch((error) => error),
        helm.template(values, instance).catch((error) => error),
      ]);
      expect(cue).toBeInstanceOf(ValuesRefused);
      expect(said).toBeInstanceOf(RefusedByHelm);
      // by the schema, or by a guard and then in the same words
      const [, guard] = /templates\/[\w-]+\.yaml:[0-9:]+\): (.*)/.exec(said.message) ?? [];
      if (instance.kubeVersion !== undefined)
        expect(said.message).toContain('requires kubeVersion: >=1.30.0');
      else if (guard === undefined) expect(said.message).toContain('specifications of the schema');
      else if (!/^the release is called|is required$/.test(guard)) expect(cue.message).toContain(guard);
    },
    MINUTE,
  );
}

for (const values of [
  { metadata: { labels: { 'app.kubernetes.io/name': 'other' } } },
  { server: { nodeSelector: { 'kubernetes.io/os': 'windows' } } },
  { server: { podLabels: { 'app.kubernetes.io/component': 'webhook' } } },
  { webhook: { podLabels: { 'app.kubernetes.io/name': 'other' } } },
]) {
  test(
    `${JSON.stringify(values)}: neither cue nor Helm lets it take the place of the objects' own`,
    async () => {
      const [minimum] = accepted;
      if (minimum === undefined) throw new Error('no golden case');
      const all = { ...minimum.values, ...values };
      expect(await renderer.render(all, minimum.instance).catch((error) => error)).toBeInstanceOf(
        ValuesRefused,
      );
      const said = await helm.template(all, minimum.instance).catch((error) => error);
      expect(said).toBeInstanceOf(RefusedByHelm);
      expect(said.message).toContain('or left out');
    },
    MINUTE,
  );
}

test(
  'setting a value to what the objects have anyway is allowed',
  async () => {
    const [minimum] = accepted;
    if (minimum === undefined) throw new Error('no golden case');
    const { values, instance } = minimum;
    const own = { 'app.kubernetes.io/name': instance.name };
    const os = { 'kubernetes.io/os': 'linux' };
    await expectParity(
      { ...values, metadata: { labels: own }, server: { podLabels: own, nodeSelector: os } },
      instance,
    );
  },
  MINUTE,
);

test(
  'helm lint has nothing to say',
  async () => {
    for (const { values, instance } of accepted) {
      const said = await helm.lint(values, instance);
      expect(said).toContain('1 chart(s) linted, 0 chart(s) failed');
      expect(said).not.toMatch(/\[(WARNING|ERROR)\]/);
    }
  },
  MINUTE,
);

test(
  'the Namespace is among the manifests if requested, and comes first',
  async () => {
    const [minimum] = accepted;
    if (minimum === undefined) throw new Error('no golden case');
    const { values, instance } = minimum;
    const [with_, without] = await Promise.all(
      [true, false].map(async (createNamespace) =>
        objectsIn(await manifestsOf(renderer, values, { instance, createNamespace })),
      ),
    );
    const [namespace, ...others] = with_ ?? [];
    expect(namespace).toMatchObject({ kind: 'Namespace', metadata: { name: instance.namespace } });
    expect(others).toEqual([...(without ?? [])]);
  },
  MINUTE,
);
