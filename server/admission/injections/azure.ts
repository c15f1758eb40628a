import { AZURE_CLIENT_ID_ANNOTATION, AZURE_TENANT_ID_ANNOTATION } from '../../azure/azure-identity.ts';
import type { IdentityContext, IdentityInjection, InjectionContext } from '../injection.ts';
import { InjectionRefused } from '../injection.ts';
import type { ContainerEditor, PodEditor } from '../pod-editor.ts';
import type { Volume } from '../pod-manifest.ts';
import {
  type Annotated,
  annotatedPod,
  annotatedServiceAccount,
  type Form,
  readAnnotation,
} from './annotations.ts';
import {
  type CloudCredentials,
  type CredentialsSource,
  credentialsSourceOf,
  warnWithoutRoute,
} from './credentials-source.ts';
import { containersNotSkipped } from './listed-containers.ts';

// names, paths and rules of https://github.com/Azure/azure-workload-identity, pkg/webhook, v1.6.0
const PREFIX = 'azure.workload.identity';
const AZURE_OPT_IN_LABEL = `${PREFIX}/use`;
const EXPIRATION_ANNOTATION = `${PREFIX}/service-account-token-expiration`;
const SKIP_ANNOTATION = `${PREFIX}/skip-containers`;
const PROXY_ANNOTATION = `${PREFIX}/inject-proxy-sidecar`;
/** Before the suffix of the custom token endpoint. */
const ENDPOINT_ANNOTATION = `${PREFIX}/use-`;

/** What a key of an annotation may end with; its name has at most 63 characters. */
export const ENDPOINT_SUFFIX = /^(?:[A-Za-z0-9._-]{0,58}[A-Za-z0-9])$/;

const AZURE: CloudCredentials = {
  cloud: 'Azure',
  annotation: 'gke-metadata-server.matheuscscp.io/azure-credentials',
  value: 'azure.credentials',
};

const VOLUME_PREFIX = 'azure-workload-identity-reserved-';
const VOLUME = /^azure-workload-identity-reserved-[0-9a-f]{30}$/;
/** Of the name of a volume. */
const MOST_CHARACTERS = 63;
const MOUNT_PATH = '/var/run/secrets/azure/wi';
const TOKEN_FILE = 'token/azure-identity-token';
const CA_FILE = 'ca-cert/ca.crt';

const EXPIRATION_SECONDS = { least: 3600, most: 86_400, default: 3600 } as const;

/** An endpoint in front of Entra, which Pods ask that are annotated for it: identity bindings of AKS. */
export interface CustomTokenEndpoint {
  /** Of the annotation `azure.workload.identity/use-SUFFIX`. */
  readonly suffix: string;
  readonly audience: string;
  readonly url: string;
  /** Empty: the host of the URL. */
  readonly sniName: string;
  /** Undefined: the system's CAs. */
  readonly ca: CertificateAuthority | undefined;
}

/** Where the endpoint's CA is: a ConfigMap in the Namespace of the Pod (`ca.crt`), PEM, or ClusterTrustBundles. */
export type CertificateAuthority =
  | { readonly configMap: string }
  | { readonly data: string }
  | { readonly signerName: string; readonly labels: Readonly<Record<string, string>> };

export interface AzureSettings {
  /** If neither the Pod nor its Namespace says; with TokenFile the server has no tokens of Entra. */
  readonly credentials: CredentialsSource;
  /** If the ServiceAccount does not name one; empty: none. */
  readonly tenantID: string;
  readonly authorityHost: string;
  /** Of the token. */
  readonly audience: string;
  readonly customTokenEndpoint: CustomTokenEndpoint | undefined;
}

/**
 * A token for Microsoft Entra, and the variables by which the Azure SDKs find it, as azure-workload-identity does: in Pods
 * with its label, variables that a container sets are kept one by one.
 *
 * Differs in: a Pod copied from a live one keeps its one volume, whose name derives from the name of the other Pod; CA
 * variables are set only if there is such a CA; no proxy is added.
 */
export const azureInjection: IdentityInjection = {
  kind: 'azure',

  concerns(pod, { azure }) {
    return azure !== undefined && pod.labels.get(AZURE_OPT_IN_LABEL) === 'true';
  },

  inject(pod, context) {
    const { azure } = context.settings;
    if (azure === undefined) return false;
    if (azureCredentialsOf(pod, context) === 'MetadataServer') {
      warnWithoutRoute(pod, AZURE);
      return false;
    }
    const endpoint = customTokenEndpointOf(pod, azure);
    const variables = variablesOf(context, azure, endpoint);
    const expirationSeconds = expirationOf(pod, context);
    warnOfProxy(pod);
    const volume = volumeName(pod);
    pod.setVolume(tokenVolume(volume, expirationSeconds, endpoint?.audience ?? azure.audience, endpoint?.ca));
    const containers = containersNotSkipped(pod, SKIP_ANNOTATION, ';');
    if (containers.length === 0)
      pod.warn('no container of the Pod gets the credentials of Azure: all are skipped');
    const injected = containers.filter((container) => addTo(pod, container, volume, variables));
    return injected.length > 0;
  },
};

/** Undefined if Azure is switched off. Throws {@link InjectionRefused}. */
export function azureCredentialsOf(
  pod: PodEditor,
  { namespace, settings: { azure } }: InjectionContext,
): CredentialsSource | undefined {
  return azure && credentialsSourceOf(pod, namespace, AZURE, azure.credentials);
}

/** Returns whether the container has them now. */
function addTo(
  pod: PodEditor,
  container: ContainerEditor,
  volume: string,
  variables: ReadonlyMap<string, string>,
): boolean {
  if (container.mountsOtherAt(MOUNT_PATH, volume)) {
    pod.warn(
      `container ${container.name} does not get the credentials of Azure: it mounts another volume at ${MOUNT_PATH}`,
    );
    return false;
  }
  container.addVolumeMountAt({ name: volume, mountPath: MOUNT_PATH, readOnly: true });
  for (const [name, value] of variables) {
    if (value !== '') container.addVariable({ name, value });
  }
  return true;
}

/** By name, in the order in which they are added; those with an empty value are not. */
function variablesOf(
  { serviceAccount }: IdentityContext,
  azure: AzureSettings,
  endpoint: CustomTokenEndpoint | undefined,
): ReadonlyMap<string, string> {
  const account = annotatedServiceAccount(serviceAccount);
  // set but empty means no tenant, not the default
  const namesTenant = account.annotation(AZURE_TENANT_ID_ANNOTATION) !== undefined;
  const tenantID = readAnnotation(account, AZURE_TENANT_ID_ANNOTATION, TENANT_ID);
  return new Map([
    ['AZURE_CLIENT_ID', readAnnotation(account, AZURE_CLIENT_ID_ANNOTATION, CLIENT_ID) ?? ''],
    ['AZURE_TENANT_ID', (namesTenant ? tenantID : azure.tenantID) ?? ''],
    ['AZURE_FEDERATED_TOKEN_FILE', `${MOUNT_PATH}/${TOKEN_FILE}`],
    ['AZURE_AUTHORITY_HOST', azure.authorityHost],
    ...(endpoint === undefined ? [] : endpointVariables(endpoint)),
  ]);
}

function endpointVariables({ url, sniName, ca }: CustomTokenEndpoint): [string, string][] {
  // SDKs refuse both at once
  const isFile = ca !== undefined && !('data' in ca);
  return [
    ['AZURE_KUBERNETES_TOKEN_PROXY', url],
    ['AZURE_KUBERNETES_SNI_NAME', sniName],
    ['AZURE_KUBERNETES_CA_FILE', isFile ? `${MOUNT_PATH}/${CA_FILE}` : ''],
    ['AZURE_KUBERNETES_CA_DATA', ca !== undefined && 'data' in ca ? ca.data : ''],
  ];
}

function tokenVolume(
  name: string,
  expirationSeconds: number,
  audience: string,
  ca: CertificateAuthority | undefined,
): Volume {
  const token = { serviceAccountToken: { path: TOKEN_FILE, expirationSeconds, audience } };
  return { name, projected: { sources: [token, ...caSources(ca)] } };
}

function caSources(ca: CertificateAuthority | undefined): object[] {
  if (ca === undefined || 'data' in ca) return [];
  if ('configMap' in ca) {
    const items = [{ key: 'ca.crt', path: CA_FILE }];
    return [{ configMap: { name: ca.configMap, items, optional: false } }];
  }
  const { signerName, labels } = ca;
  // a selector without labels selects all bundles of the signer; without a selector there would be none
  const labelSelector = Object.keys(labels).length === 0 ? {} : { matchLabels: labels };
  return [{ clusterTrustBundle: { signerName, labelSelector, path: CA_FILE, optional: false } }];
}

/**
 * The volume of a Pod that was injected already, whatever its name was then, so that there are not two at one path.
 * Otherwise the name that azure-workload-identity gives it.
 */
function volumeName(pod: PodEditor): string {
  const { name, generateName } = pod.metadata;
  const hash = new Bun.CryptoHasher('sha256').update(name || `${generateName} (prefix)`).digest('hex');
  const own = `${VOLUME_PREFIX}${hash}`.slice(0, MOST_CHARACTERS);
  if (pod.hasVolume(own)) return own;
  return pod.volumeNames.find((volume) => VOLUME.test(volume)) ?? own;
}

/** Annotation of the Pod, then of its ServiceAccount, then the default. */
function expirationOf(pod: PodEditor, { serviceAccount }: IdentityContext): number {
  const said = (object: Annotated) => {
    const seconds = readAnnotation(object, EXPIRATION_ANNOTATION, SECONDS);
    if (seconds === undefined) return undefined;
    const { least, most } = EXPIRATION_SECONDS;
    if (seconds >= least && seconds <= most) return seconds;
    throw new InjectionRefused(
      `the annotation ${EXPIRATION_ANNOTATION} of ${object.title} is ${seconds}: token expiration ${seconds} not valid. ` +
        `Expected value to be between ${least} and ${most}`,
    );
  };
  return (
    said(annotatedPod(pod)) ?? said(annotatedServiceAccount(serviceAccount)) ?? EXPIRATION_SECONDS.default
  );
}

/** The custom token endpoint, if the Pod asks for it. Warns if the Pod asks for one that there is not. */
function customTokenEndpointOf(
  pod: PodEditor,
  { customTokenEndpoint: endpoint }: AzureSettings,
): CustomTokenEndpoint | undefined {
  const own = `${ENDPOINT_ANNOTATION}${endpoint?.suffix ?? ''}`;
  for (const key of pod.annotations.originalKeys) {
    if (!key.startsWith(ENDPOINT_ANNOTATION) || key === own) continue;
    if (pod.annotations.get(key)?.toLowerCase() !== 'true') continue;
    pod.warn(`the annotation ${key} is ignored: the webhook has no custom token endpoint of that name`);
  }
  return readAnnotation(annotatedPod(pod), own, CASELESS_BOOLEAN) === true ? endpoint : undefined;
}

/** For applications that ask 169.254.169.254: their webhook adds it whatever the value is, which "false" cannot mean. */
function warnOfProxy(pod: PodEditor): void {
  const value = pod.annotations.get(PROXY_ANNOTATION);
  if (value === undefined || value.trim().toLowerCase() === 'false') return;
  pod.warn(
    `the annotation ${PROXY_ANNOTATION} is ignored: this webhook adds no proxy. Let the application use ` +
      'WorkloadIdentityCredential or DefaultAzureCredential, which read the variables; for ManagedIdentityCredential, ' +
      `set the annotation ${AZURE.annotation} to MetadataServer`,
  );
}

const SECONDS: Form<number> = {
  parse: (text) => (/^[+-]?[0-9]{1,10}$/.test(text) ? Number(text) : undefined),
  expected: `a number of seconds between ${EXPIRATION_SECONDS.least} and ${EXPIRATION_SECONDS.most}`,
};

const CASELESS_BOOLEANS = new Map([
  ['true', true],
  ['false', false],
]);

const CASELESS_BOOLEAN: Form<boolean> = {
  parse: (text) => CASELESS_BOOLEANS.get(text.trim().toLowerCase()),
  expected: 'true or false',
};

// what azure-identity accepts as a tenant; in a variable, $(NAME) would be expanded
const CLIENT_ID: Form<string> = {
  parse: (text) => /^[A-Za-z0-9._-]{1,253}$/.exec(text.trim())?.[0],
  expected:
    'the client ID of the managed identity or application, such as 00000000-0000-0000-0000-000000000000',
};
const TENANT_ID: Form<string> = {
  parse: CLIENT_ID.parse,
  expected: 'the ID of the tenant, such as 00000000-0000-0000-0000-000000000000, or one of its domains',
};
