import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Instance, ModuleValues, ObjectSet } from '../../scripts/module/render.ts';

const TESTDATA = join(import.meta.dir, 'testdata');

const { UPDATE_GOLDEN } = process.env;

/** Whether what is expected is to be written instead of compared: `UPDATE_GOLDEN=1`. */
export const isUpdate = UPDATE_GOLDEN === '1';

/** Values, and the instance of the module that they are for. */
export interface GoldenCase {
  readonly name: string;
  readonly values: ModuleValues;
  readonly instance: Instance;
  /** The path of one of its files. */
  file(name: string): string;
}

/** Those of testdata/objects or testdata/refused, each a folder: values.yaml, and instance.yaml for another instance. */
export async function goldenCases(kind: 'objects' | 'refused'): Promise<readonly GoldenCase[]> {
  const folder = join(TESTDATA, kind);
  return Promise.all(
    folders(folder).map(async (name): Promise<GoldenCase> => {
      const file = (base: string) => join(folder, name, base);
      const instance = Bun.file(file('instance.yaml'));
      return {
        name,
        file,
        // cue refuses what is no values, and what is no instance
        values: Bun.YAML.parse(await Bun.file(file('values.yaml')).text()) as ModuleValues,
        instance: {
          name: 'gke-metadata-server',
          namespace: 'gke-metadata-server',
          ...((await instance.exists()) ? Object(Bun.YAML.parse(await instance.text())) : {}),
        },
      };
    }),
  );
}

function folders(path: string): readonly string[] {
  const entries = readdirSync(path, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

/** Files of testdata that no case has a use for. */
export function unusedFiles(kind: 'objects' | 'refused'): readonly string[] {
  const used = /^[a-z0-9-]+\/(values|instance)\.yaml$/;
  const expected = kind === 'objects' ? /^[a-z0-9-]+\/objects\.yaml$/ : /^[a-z0-9-]+\/error\.txt$/;
  const files = [...new Bun.Glob('**/*').scanSync({ cwd: join(TESTDATA, kind), dot: true })];
  return files.filter((file) => !used.test(file) && !expected.test(file));
}

/** What is expected of a case, in order; a set is an element of a list, as a mapping has no order. */
export interface ExpectedSet {
  readonly set: string;
  readonly objects: ObjectSet['objects'];
}

export function expectedSets(sets: readonly ObjectSet[]): readonly ExpectedSet[] {
  return sets.map(({ name, objects }) => ({ set: name, objects }));
}

/** The objects.yaml of a case. */
export async function readExpected({ file }: GoldenCase): Promise<readonly ExpectedSet[]> {
  // compared with what is typed
  return Bun.YAML.parse(await Bun.file(file('objects.yaml')).text()) as readonly ExpectedSet[];
}

export async function writeExpected({ file }: GoldenCase, sets: readonly ObjectSet[]): Promise<void> {
  await Bun.write(file('objects.yaml'), `${Bun.YAML.stringify(expectedSets(sets), null, 2)}\n`);
}
