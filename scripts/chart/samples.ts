import type { ConfigField } from '../module/config-fields.ts';
import type { Instance, ModuleRenderer } from '../module/render.ts';
import { ValuesRefused } from '../module/render.ts';
import { isList, isObject, type Json, type JsonObject, valueAt, withValueAt } from './json.ts';
import { sampleName, sampleValue } from './sample-values.ts';
import type { Term, Vocabulary } from './vocabulary.ts';

/** A text by which a value is found again in the objects. */
export type Token =
  | { readonly text: string; readonly term: Term; readonly index?: undefined }
  | { readonly text: string; readonly term: Term; readonly index: number; readonly part: 'key' | 'value' };

/** What the module makes of some values. */
export interface Sample {
  /** With every default said. */
  readonly values: JsonObject;
  readonly instance: Instance;
  /** By the set that they are applied in. */
  readonly objects: Readonly<Record<string, readonly Json[]>>;
  /** The longest first. */
  readonly tokens: readonly Token[];
  /** To the questions of the vocabulary. */
  readonly answers: readonly boolean[];
}

/** Values for any field, that go together as the module's guards have it. */
export function sampleValues(
  fields: readonly ConfigField[],
  number: number,
): { values: JsonObject; instance: Instance } {
  // the same samples each time: a chart is the same for the same module
  const below = randomBelow(number);
  let count = below(1000);
  const next = (): number => {
    count += 1;
    return count;
  };
  let values: JsonObject = {};
  const absent = new Set<string>();
  for (const { within } of fields) if (within !== undefined && below(2) === 0) absent.add(within);
  for (const field of fields) {
    const isOptional = !field.required && field.default === undefined;
    if ((isOptional && below(2) === 0) || (field.within !== undefined && absent.has(field.within))) continue;
    // a value that JSON has, for JSON
    values = withValueAt(values, field.path, sampleValue(field, next, below));
  }
  const [name, namespace] = [sampleName(next()), sampleName(next())];
  return {
    values: together(values, () => sampleName(next())),
    instance: { name, namespace, moduleVersion: `1.2.${next()}+${sampleName(next())}` },
  };
}

/** Numbers from 0 to below a bound, always the same for a seed (mulberry32). */
function randomBelow(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  };
}

/** What the guards refuse in most combinations of the values, so that not most samples are in vain. */
function together(values: JsonObject, other: () => string): JsonObject {
  let result = values;
  if (valueAt(result, 'webhook.enabled') === false) {
    result = withValueAt(result, 'webhook.injectionMode', 'Environment');
    result = withValueAt(result, 'test.enabled', false);
  }
  if (valueAt(result, 'test.enabled') === true) {
    result = withValueAt(result, 'test.googleServiceAccount', `${other()}@project.iam.gserviceaccount.com`);
  }
  if (valueAt(result, 'image.tag') === '' && valueAt(result, 'image.digest') === '') {
    result = withValueAt(result, 'image.tag', other());
  }
  return result;
}

/** What the templates can be found from: the objects that the module makes of some values. */
export function sampleOf(
  values: JsonObject,
  instance: Instance,
  objects: Sample['objects'],
  vocabulary: Vocabulary,
): Sample {
  return {
    values,
    instance,
    objects,
    tokens: tokensOf(values, instance, vocabulary),
    answers: vocabulary.questions.map(({ answer }) => answer(values)),
  };
}

/** So many samples, always in the same order, as the templates depend on it. Those that the module refuses are none. */
export async function takeSamples(
  fields: readonly ConfigField[],
  vocabulary: Vocabulary,
  renderer: ModuleRenderer,
  count: number,
): Promise<readonly Sample[]> {
  const taken = new Map<number, Sample>();
  let refusal: unknown;
  const one = async (number: number): Promise<void> => {
    const { values, instance } = sampleValues(fields, number);
    try {
      // the shape of timoni.apply in timoni.cue
      const objects = (await renderer.export('timoni.apply', values, instance)) as Sample['objects'];
      taken.set(number, sampleOf(values, instance, objects, vocabulary));
    } catch (error) {
      if (!(error instanceof ValuesRefused)) throw error;
      refusal = error;
    }
  };
  const numbers = Array.from({ length: count }, (_, index) => index + 1);
  // two at a time: cue takes a core and a half
  const worker = async (): Promise<void> => {
    for (let number = numbers.shift(); number !== undefined; number = numbers.shift()) await one(number);
  };
  await Promise.all([worker(), worker()]);
  const samples = [...taken].sort(([one], [other]) => one - other).map(([, sample]) => sample);
  if (samples.length < count / 2) {
    throw new Error(`the module refuses ${count - samples.length} of ${count} samples`, { cause: refusal });
  }
  return samples;
}

/** A text shorter than this may be in an object by chance. */
const SHORTEST = 5;

function tokensOf(values: JsonObject, instance: Instance, { terms }: Vocabulary): readonly Token[] {
  const tokens = terms.flatMap((term): readonly Token[] => {
    const value = term.value(values, instance);
    if (term.found === 'as a text' && (typeof value === 'string' || typeof value === 'number')) {
      return [{ text: String(value), term }];
    }
    if (term.found !== 'by its elements') return [];
    if (isList(value)) {
      return value.flatMap((one, index) =>
        typeof one === 'string' ? [{ text: one, term, index, part: 'value' }] : [],
      );
    }
    return Object.entries(isObject(value) ? value : {}).flatMap(([key, one], index): readonly Token[] => [
      { text: key, term, index, part: 'key' },
      { text: String(one), term, index, part: 'value' },
    ]);
  });
  return tokens
    .filter(({ text }) => text.length >= SHORTEST)
    .sort((one, other) => other.text.length - one.text.length);
}
