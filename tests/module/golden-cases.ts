import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { minimalValues } from '../../scripts/module/config-fields.ts';
import type { Instance, ModuleValues, ObjectSet } from '../../scripts/module/render.ts';

const TESTDATA = join(import.meta.dir, 'testdata');
const REFUSED = join(TESTDATA, 'refused.yaml');

const { UPDATE_GOLDEN } = process.env;

/** Whether what is expected is to be written instead of compared: `UPDATE_GOLDEN=1`. */
export const isUpdate = UPDATE_GOLDEN === '1';

/** Values, and the instance of the module that they are for. */
export interface GoldenCase {
  readonly name: string;
  readonly values: ModuleValues;
  readonly instance: Instance;
}

/** A folder of testdata/objects: values.yaml, objects.yaml, and instance.yaml for another instance. */
interface ObjectsCase extends GoldenCase {
  /** The path of one of its files. */
  file(name: string): string;
}

/** An element of testdata/refused.yaml. */
interface RefusedCase extends GoldenCase {
  /** What the module says, a line for each mistake. */
  readonly error: string;
}

const INSTANCE: Instance = { name: 'gke-metadata-server', namespace: 'gke-metadata-server' };

export function goldenCases(kind: 'objects'): Promise<readonly ObjectsCase[]>;
export function goldenCases(kind: 'refused'): Promise<readonly RefusedCase[]>;
export function goldenCases(kind: 'objects' | 'refused'): Promise<readonly GoldenCase[]> {
  return kind === 'objects' ? objectsCases() : refusedCases();
}

async function objectsCases(): Promise<readonly ObjectsCase[]> {
  const folder = join(TESTDATA, 'objects');
  return Promise.all(
    folders(folder).map(async (name): Promise<ObjectsCase> => {
      const file = (base: string) => join(folder, name, base);
      const instance = Bun.file(file('instance.yaml'));
      return {
        name,
        file,
        // cue refuses what are not values, and what is not an instance
        values: Bun.YAML.parse(await Bun.file(file('values.yaml')).text()) as ModuleValues,
        instance: {
          ...INSTANCE,
          ...((await instance.exists()) ? Object(Bun.YAML.parse(await instance.text())) : {}),
        },
      };
    }),
  );
}

/** As in the file: `values` are merged into the least that a user must set, of which the paths in `without` are left out. */
interface RefusedRow {
  readonly name: string;
  readonly without?: readonly string[];
  readonly values?: ModuleValues;
  readonly instance?: Partial<Instance>;
  readonly error: string;
}

async function refusedRows(): Promise<readonly RefusedRow[]> {
  // cue refuses what are not values, and what is not an instance
  return Bun.YAML.parse(await Bun.file(REFUSED).text()) as readonly RefusedRow[];
}

async function refusedCases(): Promise<readonly RefusedCase[]> {
  return (await refusedRows()).map(({ name, without = [], values = {}, instance, error }) => ({
    name,
    values: merged(omitted(minimalValues, without), values) as ModuleValues,
    instance: { ...INSTANCE, ...instance },
    error,
  }));
}

/** Writes what the module says into testdata/refused.yaml, by the name of each case. */
export async function writeRefusals(errors: ReadonlyMap<string, string>): Promise<void> {
  const rows = (await refusedRows()).map((row) => ({ ...row, error: errors.get(row.name) ?? row.error }));
  const sorted = rows.toSorted((one, other) => one.name.localeCompare(other.name));
  await Bun.write(REFUSED, `${Bun.YAML.stringify(sorted, null, 2)}\n`);
}

function merged(base: unknown, over: unknown): unknown {
  if (!isMap(base) || !isMap(over)) return over;
  const added = Object.entries(over).map(([key, value]) => [key, merged(base[key], value)]);
  return { ...base, ...Object.fromEntries(added) };
}

function omitted(value: unknown, paths: readonly string[], at = ''): unknown {
  if (!isMap(value)) return value;
  const kept = Object.entries(value).filter(([key]) => !paths.includes(`${at}${key}`));
  return Object.fromEntries(kept.map(([key, inner]) => [key, omitted(inner, paths, `${at}${key}.`)]));
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function folders(path: string): readonly string[] {
  const entries = readdirSync(path, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

/** Files of testdata/objects that no case has a use for. */
export function unusedFiles(): readonly string[] {
  const used = /^[a-z0-9-]+\/(values|instance|objects)\.yaml$/;
  const files = [...new Bun.Glob('**/*').scanSync({ cwd: join(TESTDATA, 'objects'), dot: true })];
  return files.filter((file) => !used.test(file));
}

/** What is expected of a case, in order; a set is an element of a list, as a mapping has no order. */
interface ExpectedSet {
  readonly set: string;
  readonly objects: ObjectSet['objects'];
}

export function expectedSets(sets: readonly ObjectSet[]): readonly ExpectedSet[] {
  return sets.map(({ name, objects }) => ({ set: name, objects }));
}

/** The objects.yaml of a case. */
export async function readExpected({ file }: ObjectsCase): Promise<readonly ExpectedSet[]> {
  // compared with what is typed
  return Bun.YAML.parse(await Bun.file(file('objects.yaml')).text()) as readonly ExpectedSet[];
}

export async function writeExpected({ file }: ObjectsCase, sets: readonly ObjectSet[]): Promise<void> {
  await Bun.write(file('objects.yaml'), `${Bun.YAML.stringify(expectedSets(sets), null, 2)}\n`);
}
