import { Fault } from '../core/fault.ts';
import type { Namespace } from '../kubernetes/objects.ts';
import type { InjectionSettings } from './injection.ts';
import { type Injection, InjectionRefused } from './injection.ts';
import { googleInjection } from './injections/google.ts';
import { PodEditor } from './pod-editor.ts';
import { readPod } from './pod-manifest.ts';
import { type AdmissionRequest, ALLOWED, type Answer, refused, refusedForNow } from './review.ts';

/** All injections, in the order in which they are applied to a Pod. */
const INJECTIONS: readonly Injection[] = [googleInjection];

interface PodMutationOptions {
  readonly settings: InjectionSettings;
  /** Undefined if it does not exist. Throws a Fault. */
  namespace(name: string): Promise<Namespace | undefined>;
}

/**
 * The patch for a Pod that is being created. Anything else is allowed unchanged.
 *
 * If the Namespace cannot be read, the Pod is refused temporarily: admitted without its credentials, it would never get
 * them, while a controller retries in seconds. If it asks for something impossible, it is refused with what to change.
 */
export async function mutatePod(request: AdmissionRequest, options: PodMutationOptions): Promise<Answer> {
  if (request.resource !== 'pods' || request.operation !== 'CREATE') return ALLOWED;
  const raw = readPod(request.object);
  if (raw === undefined) return refused('request.object is not a Pod');
  const pod = new PodEditor(raw);
  const injections = INJECTIONS.filter((injection) =>
    injection.concerns(pod, request.namespace, options.settings),
  );
  if (injections.length === 0) return ALLOWED;
  try {
    const namespace = await options.namespace(request.namespace);
    if (namespace === undefined) return refusedForNow(`Namespace ${request.namespace} not found`);
    for (const injection of injections) injection.inject(pod, { namespace, settings: options.settings });
    return { allowed: true, patch: pod.patch(), warnings: pod.warnings };
  } catch (error) {
    if (error instanceof InjectionRefused) return refused(error.message);
    if (error instanceof Fault) {
      return refusedForNow(`cannot read Namespace ${request.namespace}: ${error.message}`);
    }
    throw error;
  }
}
