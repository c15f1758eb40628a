import { expect, test } from 'bun:test';
import { type ConfigField, configFields, minimalValues } from '../../scripts/module/config-fields.ts';
import { ModuleRenderer, type ObjectSet, ValuesRefused } from '../../scripts/module/render.ts';
import { Cache } from '../../scripts/tools/cache.ts';
import { type GoldenCase, goldenCases } from './golden-cases.ts';

const renderer = await ModuleRenderer.prepare(new Cache());
const fields = await configFields(renderer);
// those that set the most go first, as one is enough
const cases = (await goldenCases('objects')).toSorted(
  (one, other) => JSON.stringify(other.values).length - JSON.stringify(one.values).length,
);

const rendered = new Map<GoldenCase, readonly ObjectSet[]>();
for (const golden of cases) rendered.set(golden, await renderer.render(golden.values, golden.instance));

// A configuration handed from definition to definition can lose a user's values on the way and still be valid: that a
// field has an effect is seen only in the objects.
for (const field of fields) {
  test(`${field.path} changes the objects`, async () => {
    const path = field.path.split('.');
    const settingIt = cases.filter(({ values }) => {
      const value = valueAt(values, path);
      return value !== undefined && !Bun.deepEquals(value, field.default);
    });
    expect(settingIt, 'cases that set it to another value than its default').not.toEqual([]);
    expect(await someAsync(settingIt, (golden) => hasEffect(golden, field))).toBe(true);
  });
}

test('each field has a comment and a type', () => {
  expect(fields.filter(({ description, type }) => description === '' || /unknown|^$/.test(type))).toEqual([]);
});

/** Whether a case's objects change without the field, or with another value if it is required. */
async function hasEffect(golden: GoldenCase, { path: name, required }: ConfigField): Promise<boolean> {
  const { values, instance } = golden;
  const path = name.split('.');
  const others = [valueAt(minimalValues, path), anotherOf(valueAt(values, path))];
  for (const other of required ? others : [undefined, ...others]) {
    try {
      const sets = await renderer.render(withValue(values, path, other), instance);
      return !Bun.deepEquals(sets, rendered.get(golden));
    } catch (error) {
      // this case needs one, or just this one
      if (!(error instanceof ValuesRefused)) throw error;
    }
  }
  return false;
}

/** Names, emails and URLs are still such with one letter more. */
function anotherOf(value: unknown): unknown {
  return String(value).replace(/^(https?:\/\/)?/, '$1x');
}

async function someAsync<T>(all: readonly T[], holds: (one: T) => Promise<boolean>): Promise<boolean> {
  for (const one of all) if (await holds(one)) return true;
  return false;
}

function valueAt(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((at, name) => Object(at)[name], value);
}

/** A copy with another value at a path, or with none there. */
function withValue<T>(object: T, [name = '', ...rest]: readonly string[], value: unknown): T {
  const { [name]: inside, ...others } = Object(object);
  if (rest.length > 0) return { ...others, [name]: withValue(inside, rest, value) };
  return value === undefined ? others : { ...others, [name]: value };
}
