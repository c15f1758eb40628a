import { Fault } from '../core/fault.ts';
import type { Namespace } from '../kubernetes/admission-client.ts';
import type { InjectionSettings } from '../settings/webhook-settings.ts';
import { type Injected, type Injection, InjectionRefused } from './injection.ts';
import { googleInjection } from './injections/google.ts';
import { type Json, jsonPatch } from './json-patch.ts';
import { editablePod, type PodManifest, readPod } from './pod-manifest.ts';
import { type AdmissionRequest, ALLOWED, type Answer, refused, refusedForNow } from './review.ts';

/** Every kind of credentials, in the order in which they are put into a Pod. */
const INJECTIONS: readonly Injection[] = [googleInjection];

export interface PodMutationOptions {
  readonly settings: InjectionSettings;
  /** Undefined where there is none. Throws a Fault. */
  namespace(name: string): Promise<Namespace | undefined>;
}

/**
 * The answer to the creation of a Pod: what to patch into it. Whatever else comes is let through.
 *
 * Where the Namespace cannot be read the Pod is refused for now: admitted without what it may need, it would
 * stay so for good, while a controller tries again in seconds. Where it asks for something impossible it is
 * refused with what to change.
 */
export async function mutatePod(request: AdmissionRequest, options: PodMutationOptions): Promise<Answer> {
  if (request.resource !== 'pods' || request.operation !== 'CREATE') return ALLOWED;
  const raw = readPod(request.object);
  if (raw === undefined) return refused('request.object is not a Pod');
  const pod = editablePod(raw);
  const concerned = INJECTIONS.some((injection) =>
    injection.concerns(pod, request.namespace, options.settings),
  );
  if (!concerned) return ALLOWED;
  try {
    const namespace = await options.namespace(request.namespace);
    if (namespace === undefined) return refusedForNow(`there is no Namespace ${request.namespace}`);
    const injected = injectAll(pod, namespace, options.settings);
    // both are JSON: the one as it came, the other a copy of it with JSON put in
    const patch = jsonPatch(raw, injected.pod as unknown as Json);
    return { allowed: true, patch, warnings: injected.warnings };
  } catch (error) {
    if (error instanceof InjectionRefused) return refused(error.message);
    if (error instanceof Fault) {
      return refusedForNow(`the labels of Namespace ${request.namespace} cannot be read (${error.message})`);
    }
    throw error;
  }
}

function injectAll(pod: PodManifest, namespace: Namespace, settings: InjectionSettings): Injected {
  return INJECTIONS.reduce<Injected>(
    (before, injection) => {
      const { pod: after, warnings } = injection.inject(before.pod, { namespace, settings });
      return { pod: after, warnings: [...before.warnings, ...warnings] };
    },
    { pod, warnings: [] },
  );
}
