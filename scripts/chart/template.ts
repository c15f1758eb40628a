import type { Condition } from './condition.ts';
import type { Json } from './json.ts';
import type { Term } from './vocabulary.ts';

/** What stands for a list's element or a map's entry where a template goes through them. */
export interface Current {
  readonly current: 'key' | 'value';
}

/** All elements of a list, or entries of a map, in one text. */
export interface Join {
  readonly join: Term;
  readonly element: readonly (string | Current)[];
  /** Undefined where no sample had two of them. */
  readonly separator?: string;
}

export type TextPart = string | Term | Current | Join;

/** A map's entry. */
export interface Entry {
  readonly when: Condition;
  readonly key: readonly TextPart[];
  readonly value: Template;
}

/** A list's element, or one for each that `each` has. */
export interface Item {
  readonly when: Condition;
  readonly each?: Term;
  readonly value: Template;
}

/** What the objects are for any values, as the samples have it. */
export type Template =
  | { readonly kind: 'constant'; readonly value: Json }
  /** The value of a term as it is, or as a text. */
  | {
      readonly kind: 'value';
      readonly term: Term;
      readonly asText: boolean;
      readonly type: 'text' | 'number' | 'any';
    }
  | { readonly kind: 'text'; readonly parts: readonly TextPart[] }
  /** Its own entries, and those of the maps that it takes in whole. */
  | { readonly kind: 'map'; readonly entries: readonly Entry[]; readonly spreads: readonly Term[] }
  | { readonly kind: 'list'; readonly items: readonly Item[] }
  | {
      readonly kind: 'choice';
      readonly when: Condition;
      readonly yes: Template;
      readonly no: Template;
    };
