import type { Namespace } from '../kubernetes/objects.ts';
import type { InjectionSettings } from './injection-settings.ts';
import type { PodEditor } from './pod-editor.ts';

/** What decides about an injection, besides the Pod. */
export interface InjectionContext {
  /** Where the Pod is created. */
  readonly namespace: Namespace;
  readonly settings: InjectionSettings;
}

/**
 * One kind of credentials that Pods can have. What it adds follows from its arguments alone; it touches nothing but
 * the editor, and what is there already it does not add again.
 */
export interface Injection {
  /** False if the Pod alone decides that nothing is added, so that its Namespace need not be read. */
  concerns(pod: PodEditor, namespace: string, settings: InjectionSettings): boolean;
  /** Throws {@link InjectionRefused} if what the Pod or its Namespace asks for makes no sense. */
  inject(pod: PodEditor, context: InjectionContext): void;
}

/** The Pod asks for something impossible: starting it otherwise than asked would be worse than saying so. */
export class InjectionRefused extends Error {}
