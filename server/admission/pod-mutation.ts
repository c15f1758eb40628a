import type { Random } from '../core/effects.ts';
import { Fault } from '../core/fault.ts';
import type {
  ConfigMap,
  Namespace,
  ObjectName,
  ServiceAccount,
  ServiceAccountName,
} from '../kubernetes/objects.ts';
import type { IdentityContext, IdentityInjection, InjectionKind, InjectionSettings } from './injection.ts';
import { InjectionRefused } from './injection.ts';
import { awsInjection } from './injections/aws.ts';
import { awsPodIdentityInjection } from './injections/aws-pod-identity.ts';
import { azureInjection } from './injections/azure.ts';
import { externalAccountInjection } from './injections/external-account.ts';
import { googleInjection } from './injections/google.ts';
import { googleToAwsInjection } from './injections/google-to-aws.ts';
import { PodEditor } from './pod-editor.ts';
import { readPod } from './pod-manifest.ts';
import { type AdmissionRequest, ALLOWED, type ReviewResponse, refused, refusedForNow } from './review.ts';

/** Those that read the Pod's ServiceAccount, in the order in which they are applied, after the route of Google's. */
const IDENTITY_INJECTIONS: readonly IdentityInjection[] = [
  awsPodIdentityInjection,
  awsInjection,
  azureInjection,
  googleToAwsInjection,
  externalAccountInjection,
];

/** Set by the kubelet on the API server's copy of a static Pod: that Pod runs already, and cannot be changed. */
const MIRROR_ANNOTATION = 'kubernetes.io/config.mirror';

/** Reads objects of the API server. Each is undefined if it does not exist; throws a Fault. */
export interface InjectionReader {
  namespace(name: ObjectName): Promise<Namespace | undefined>;
  serviceAccount(name: ServiceAccountName): Promise<ServiceAccount | undefined>;
  configMap(name: ObjectName): Promise<ConfigMap | undefined>;
}

interface PodMutationOptions {
  readonly settings: InjectionSettings;
  readonly read: InjectionReader;
  readonly random: Random;
}

/**
 * The patch for a Pod that is being created. Anything else is allowed unchanged.
 *
 * If what it depends on cannot be read, the Pod is refused temporarily: admitted without its credentials, it would never
 * get them, while a controller retries in seconds. If it asks for something impossible, it is refused with what to
 * change.
 */
export async function mutatePod(
  request: AdmissionRequest,
  { settings, read, random }: PodMutationOptions,
): Promise<ReviewResponse> {
  if (request.resource !== 'pods' || request.operation !== 'CREATE') return ALLOWED;
  const raw = readPod(request.object);
  if (raw === undefined) return refused('request.object is not a Pod');
  const pod = new PodEditor(raw);
  const account: ServiceAccountName = { namespace: request.namespace, name: pod.serviceAccountName };
  if (isOwn(account, settings) || pod.annotations.get(MIRROR_ANNOTATION) !== undefined) return ALLOWED;
  const isRouted = googleInjection.concerns(pod, settings);
  const identities = IDENTITY_INJECTIONS.filter((injection) => injection.concerns(pod, settings));
  if (!isRouted && identities.length === 0) return ALLOWED;
  let current: InjectionKind | undefined;
  try {
    const [namespace, identity] = await Promise.all([
      readNamespace(request.namespace, read),
      identities.length === 0 ? undefined : readIdentity(account, identities, settings, read),
    ]);
    const injected: InjectionKind[] = [];
    const context = { namespace, settings };
    if (isRouted) {
      current = googleInjection.kind;
      if (googleInjection.inject(pod, context)) injected.push(current);
    }
    if (identity !== undefined) {
      const identityContext = { ...context, ...identity, random: random() };
      for (const injection of identities) {
        current = injection.kind;
        if (injection.inject(pod, identityContext)) injected.push(current);
      }
    }
    const patch = pod.patch();
    return { allowed: true, patch, warnings: pod.warnings, injected: patch.length === 0 ? [] : injected };
  } catch (error) {
    if (error instanceof InjectionRefused) return refused(error.message, current);
    if (error instanceof Unreadable) return refusedForNow(error.message);
    throw error;
  }
}

/** An object that the injections depend on cannot be read now. */
class Unreadable extends Error {}

function isOwn({ namespace, name }: ServiceAccountName, { ownServiceAccounts }: InjectionSettings): boolean {
  return ownServiceAccounts.some((own) => own.namespace === namespace && own.name === name);
}

async function readNamespace(name: string, read: InjectionReader): Promise<Namespace> {
  const namespace = await readable(`Namespace ${name}`, read.namespace({ name }));
  if (namespace === undefined) throw new Unreadable(`Namespace ${name} not found`);
  return namespace;
}

/** What identity injections read of a Pod's ServiceAccount, and the ConfigMaps that map ServiceAccounts. */
async function readIdentity(
  account: ServiceAccountName,
  injections: readonly IdentityInjection[],
  settings: InjectionSettings,
  read: InjectionReader,
): Promise<Pick<IdentityContext, 'serviceAccount' | 'configMaps'>> {
  const title = `ServiceAccount ${account.namespace}/${account.name}`;
  const names = new Set(injections.flatMap((injection) => injection.configMaps?.(settings) ?? []));
  const [serviceAccount, ...configMaps] = await Promise.all([
    readable(title, read.serviceAccount(account)),
    ...[...names].map(async (name) => {
      const [namespace = '', ofNamespace = ''] = name.split('/', 2);
      const configMap = await readable(`ConfigMap ${name}`, read.configMap({ namespace, name: ofNamespace }));
      return [name, configMap] as const;
    }),
  ]);
  if (serviceAccount === undefined)
    throw new InjectionRefused(`${title} not found: create it before the Pod`);
  return { serviceAccount, configMaps: new Map(configMaps.filter(isFound)) };
}

function isFound<T>(entry: readonly [string, T | undefined]): entry is readonly [string, T] {
  return entry[1] !== undefined;
}

/** The object, or {@link Unreadable} with its title in place of a Fault. */
async function readable<T>(title: string, object: Promise<T>): Promise<T> {
  try {
    return await object;
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    throw new Unreadable(`cannot read ${title}: ${error.message}`);
  }
}
