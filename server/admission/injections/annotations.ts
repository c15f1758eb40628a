import { escaped } from '../../core/printable.ts';
import type { Namespace, ServiceAccount } from '../../kubernetes/objects.ts';
import { InjectionRefused } from '../injection.ts';
import type { PodEditor } from '../pod-editor.ts';

/** Characters of an invalid value that are shown. */
const SHOWN = 100;

/** An object whose annotations are read, and what a refusal calls it. */
export interface Annotated {
  readonly title: string;
  annotation(key: string): string | undefined;
}

/** What a value may look like. */
export interface Form<T> {
  /** Undefined if the text is invalid. */
  parse(text: string): T | undefined;
  /** Completes "set it to". */
  readonly expected: string;
}

export function annotatedPod({ annotations }: PodEditor): Annotated {
  return { title: 'the Pod', annotation: (key) => annotations.get(key) };
}

export function annotatedNamespace({ name, annotations }: Namespace): Annotated {
  return { title: `Namespace ${name}`, annotation: (key) => annotations[key] };
}

export function annotatedServiceAccount({ namespace, name, annotations }: ServiceAccount): Annotated {
  return { title: `ServiceAccount ${namespace}/${name}`, annotation: (key) => annotations[key] };
}

/**
 * The parsed value of an annotation; undefined if it is absent or blank, as charts render a value that is not set. Throws
 * {@link InjectionRefused} with the annotation, its value and the allowed form.
 */
export function readAnnotation<T>(object: Annotated, key: string, form: Form<T>): T | undefined {
  const text = object.annotation(key);
  if (text === undefined) return undefined;
  return parseAs(text, form, `the annotation ${key} of ${object.title}`);
}

/** The annotation of the Pod, or else of its ServiceAccount. */
export function readEither<T>(
  pod: PodEditor,
  serviceAccount: ServiceAccount,
  key: string,
  form: Form<T>,
): T | undefined {
  return (
    readAnnotation(annotatedPod(pod), key, form) ??
    readAnnotation(annotatedServiceAccount(serviceAccount), key, form)
  );
}

/** The annotation of the Pod, or else of its Namespace. */
export function readPodAnnotation<T>(
  pod: PodEditor,
  namespace: Namespace,
  key: string,
  form: Form<T>,
): T | undefined {
  return (
    readAnnotation(annotatedPod(pod), key, form) ?? readAnnotation(annotatedNamespace(namespace), key, form)
  );
}

/** As {@link readAnnotation}, for a value from elsewhere. */
export function parseAs<T>(text: string, form: Form<T>, title: string): T | undefined {
  if (text.trim() === '') return undefined;
  const value = form.parse(text);
  if (value !== undefined) return value;
  throw new InjectionRefused(`${title} is ${escaped(text, SHOWN)}: set it to ${form.expected}`);
}

/** As ParseBool of Go reads them. */
const BOOLEANS = new Map([
  ...['1', 't', 'T', 'true', 'True', 'TRUE'].map((text) => [text, true] as const),
  ...['0', 'f', 'F', 'false', 'False', 'FALSE'].map((text) => [text, false] as const),
]);

export const BOOLEAN: Form<boolean> = {
  parse: (text) => BOOLEANS.get(text.trim()),
  expected: 'true or false',
};

/** An audience of a token: any text that a name may be. */
export function audienceForm(expected: string): Form<string> {
  return { parse: (text) => /^[!-~]{1,255}$/.exec(text.trim())?.[0], expected };
}
