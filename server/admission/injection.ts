import type { Namespace } from '../kubernetes/admission-client.ts';
import type { InjectionSettings } from '../settings/webhook-settings.ts';
import type { PodManifest } from './pod-manifest.ts';

/** What an injection goes by, besides the Pod. */
export interface InjectionContext {
  /** Where the Pod is created. */
  readonly namespace: Namespace;
  readonly settings: InjectionSettings;
}

export interface Injected {
  readonly pod: PodManifest;
  /** What a person should know about, in a line each: `kubectl` prints them. */
  readonly warnings: readonly string[];
}

/** One kind of credentials that Pods can have. Pure: what it is given is never changed; twice is the same as once. */
export interface Injection {
  /** False where the Pod alone decides that nothing is to be done, so that its Namespace need not be asked for. */
  concerns(pod: PodManifest, namespace: string, settings: InjectionSettings): boolean;
  /** Throws {@link InjectionRefused} where what the Pod or its Namespace asks for makes no sense. */
  inject(pod: PodManifest, context: InjectionContext): Injected;
}

/** The Pod asks for something impossible: starting it otherwise than asked would be worse than saying so. */
export class InjectionRefused extends Error {}
