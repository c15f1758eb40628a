import { afterAll, expect, test } from 'bun:test';
import { ModuleRenderer, ValuesRefused } from '../../scripts/module/render.ts';
import { moduleFolder } from '../../scripts/module/schemas.ts';
import { Cache } from '../../scripts/tools/cache.ts';
import { type GoldenCase, goldenCases, isUpdate, writeRefusals } from './golden-cases.ts';

const renderer = await ModuleRenderer.prepare(new Cache());
const cases = await goldenCases('refused');
const errors = new Map<string, string>();

for (const { name, values, instance, error } of cases) {
  test(`refused: ${name}`, async () => {
    const message = withoutPositions(await refusal({ values, instance }));
    errors.set(name, message);
    if (!isUpdate) expect(message).toBe(error);
  });
}
afterAll(async () => {
  if (isUpdate) await writeRefusals(errors);
});

async function refusal({ values, instance }: Pick<GoldenCase, 'values' | 'instance'>): Promise<string> {
  try {
    await renderer.render(values, instance);
  } catch (error) {
    if (error instanceof ValuesRefused) return error.message;
    throw error;
  }
  throw new Error('the values were not refused');
}

/** What is wrong, without the lines that say where in the module's source it is known. */
function withoutPositions(message: string): string {
  return message
    .split('\n')
    .filter((line) => !line.startsWith('    '))
    .map((line) => line.replace(/:$/, '').replace(/^timoni\.instance\.config\./, ''))
    .join('\n');
}

test('one mistake is one line', () => {
  // which lacks all three that are required
  const [several, single] = [['nothing set'], cases.filter(({ name }) => name !== 'nothing set')];
  expect(several.every((name) => cases.some((one) => one.name === name))).toBe(true);
  expect(single.filter(({ error }) => error.includes('\n')).map(({ name }) => name)).toEqual([]);
});

test('each text that the module has for a mistake is one of these', async () => {
  const seen = cases.map(({ error }) => error).join('\n');
  const texts: string[] = [];
  for await (const path of new Bun.Glob('templates/**/*.cue').scan({ cwd: moduleFolder, absolute: true })) {
    const source = await Bun.file(path).text();
    // a tree that is not a release has no digest to confuse
    texts.push(
      ...[...source.matchAll(/\berror\("((?:[^"\\]|\\.)*)"\)/g)]
        .map(([, text = '']) => text)
        .filter((text) => !text.includes('_released')),
    );
  }
  // what stands between the values in a text
  const unseen = texts.filter(
    (text) => !text.split(/\\\(.*?\)(?!\))/).every((words) => seen.includes(unquoted(words))),
  );
  expect(texts.length).toBeGreaterThan(20);
  expect(unseen).toEqual([]);
});

function unquoted(text: string): string {
  return text.replaceAll('\\"', '"');
}
