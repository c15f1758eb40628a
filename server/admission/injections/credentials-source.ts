import type { Namespace } from '../../kubernetes/objects.ts';
import { InjectionRefused } from '../injection.ts';
import { isWindows, type PodEditor } from '../pod-editor.ts';
import { type Form, readPodAnnotation } from './annotations.ts';
import { isRouted } from './google-addresses.ts';

/** Where Pods get their credentials for a cloud: a token file and variables, or the metadata server. */
export type CredentialsSource = 'TokenFile' | 'MetadataServer';

export const CREDENTIALS_SOURCES: readonly CredentialsSource[] = ['TokenFile', 'MetadataServer'];

/** A cloud whose credentials come by either. */
export interface CloudCredentials {
  /** For people. */
  readonly cloud: string;
  /** Of a Pod or its Namespace. */
  readonly annotation: string;
  /** The module's value. */
  readonly value: string;
}

/**
 * The annotation of the Pod, then of its Namespace, then what is configured, with which `TokenFile` means that the server
 * has no credentials for this cloud. Throws {@link InjectionRefused} if it is invalid, or asks for such a server.
 *
 * Always `TokenFile` for Pods that cannot ask as themselves: on Windows there is no route, and on the host network the
 * server takes a Pod for its Node.
 */
export function credentialsSourceOf(
  pod: PodEditor,
  namespace: Namespace,
  { cloud, annotation, value }: CloudCredentials,
  configured: CredentialsSource,
): CredentialsSource {
  const said = readPodAnnotation(pod, namespace, annotation, SOURCE) ?? configured;
  if (said === 'MetadataServer' && configured === 'TokenFile') {
    throw new InjectionRefused(
      `the annotation ${annotation} of the Pod or its Namespace is MetadataServer, but the metadata server has no ` +
        `credentials for ${cloud}: remove it, or install with ${value}: MetadataServer`,
    );
  }
  return pod.spec.hostNetwork === true || isWindows(pod) ? 'TokenFile' : said;
}

/** For a Pod that asks for credentials of the cloud, and is to get them from the metadata server. */
export function warnWithoutRoute(pod: PodEditor, { cloud, annotation }: CloudCredentials): void {
  if (isRouted(pod)) return;
  pod.warn(
    `the Pod gets its credentials for ${cloud} from the metadata server, but has no route to it: add the label ` +
      `gke-metadata-server.matheuscscp.io/webhook: Mutate, or the annotation ${annotation}: TokenFile`,
  );
}

const SOURCE: Form<CredentialsSource> = {
  parse: (text) => CREDENTIALS_SOURCES.find((known) => known === text.trim()),
  expected: CREDENTIALS_SOURCES.join(' or '),
};
