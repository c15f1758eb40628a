import { escaped } from '../../core/printable.ts';
import type { IdentityContext } from '../injection.ts';
import { type ContainerEditor, isWindows, type PodEditor } from '../pod-editor.ts';
import {
  type Annotated,
  annotatedPod,
  annotatedServiceAccount,
  BOOLEAN,
  type Form,
  readAnnotation,
} from './annotations.ts';
import { parseCsvRecord } from './csv-record.ts';
import { containersOfThePod } from './own-containers.ts';

/** The prefix of the annotations and labels that users of EKS know. */
export const AWS_PREFIX = 'eks.amazonaws.com';
const OPT_OUT_LABEL = `${AWS_PREFIX}/skip-pod-identity-webhook`;
const EXPIRATION_ANNOTATION = `${AWS_PREFIX}/token-expiration`;
const REGIONAL_ANNOTATION = `${AWS_PREFIX}/sts-regional-endpoints`;
const SKIP_ANNOTATION = `${AWS_PREFIX}/skip-containers`;
const INCLUDE_ANNOTATION = `${AWS_PREFIX}/include-containers`;

/** Either one that is set suppresses both. */
export const REGION_VARIABLES = ['AWS_DEFAULT_REGION', 'AWS_REGION'];
const REGIONAL_VARIABLE = 'AWS_STS_REGIONAL_ENDPOINTS';

/** Names that are shown in a warning. */
const MOST_NAMES = 3;

/** Seconds that Kubernetes accepts as `expirationSeconds` of a projected token. */
export const TOKEN_EXPIRATION = { least: 600, most: 2 ** 32 } as const;

/** The settings that IRSA and EKS Pod Identity share. */
export interface AwsPodSettings {
  /** Set in containers that set no region; none if undefined. */
  readonly region: string | undefined;
  /** Whether SDKs use STS of their region, if the ServiceAccount does not say. */
  readonly stsRegionalEndpoints: boolean;
  /** If neither the Pod nor its ServiceAccount says. */
  readonly tokenExpirationSeconds: number;
}

/** How SDKs find credentials: a pair of variables, of which one leads to a token in a file. */
export interface AwsCredentials {
  /** For people. */
  readonly title: string;
  readonly variable: { readonly name: string; readonly value: string };
  /** The name of the variable with the path of the token. */
  readonly fileVariable: string;
  /** A container that sets one of these has chosen the other kind of credentials. */
  readonly otherVariables: readonly string[];
  readonly volume: string;
  readonly mountPath: string;
  /** The name of the token in the volume. */
  readonly file: string;
  readonly audience: string;
  readonly expirationSeconds: number;
  readonly stsRegionalEndpoints: boolean;
}

/** SDKs prefer these to {@link POD_IDENTITY_VARIABLES}. */
export const IRSA_VARIABLES = ['AWS_ROLE_ARN', 'AWS_WEB_IDENTITY_TOKEN_FILE'] as const;
export const POD_IDENTITY_VARIABLES = [
  'AWS_CONTAINER_CREDENTIALS_FULL_URI',
  'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE',
] as const;

/** Whether a Pod opts out of AWS credentials; the value of the label means nothing. */
export function optsOutOfAws({ labels }: PodEditor): boolean {
  return labels.get(OPT_OUT_LABEL) !== undefined;
}

/** Seconds: of the Pod, its ServiceAccount, `mapped`, the settings. Too few are raised, with a warning. */
export function tokenExpiration(
  pod: PodEditor,
  { serviceAccount }: IdentityContext,
  otherwise: number,
): number {
  const said = (object: Annotated) => readAnnotation(object, EXPIRATION_ANNOTATION, SECONDS);
  const seconds = said(annotatedPod(pod)) ?? said(annotatedServiceAccount(serviceAccount)) ?? otherwise;
  if (seconds >= TOKEN_EXPIRATION.least) return seconds;
  pod.warn(`AWS tokens expire after at least ${TOKEN_EXPIRATION.least} s: ${seconds} s is raised to that`);
  return TOKEN_EXPIRATION.least;
}

/** As the ServiceAccount says, or else `otherwise`. */
export function usesRegionalSts({ serviceAccount }: IdentityContext, otherwise: boolean): boolean {
  return readAnnotation(annotatedServiceAccount(serviceAccount), REGIONAL_ANNOTATION, BOOLEAN) ?? otherwise;
}

/**
 * Gives the containers of the Pod these credentials, as aws/amazon-eks-pod-identity-webhook does: variables at the end,
 * the volume first, and what is set already kept, where either variable of a pair stands for both. Other than by that
 * webhook, a container with variables of the other kind gets none of this kind.
 */
export function addAwsCredentials(
  pod: PodEditor,
  credentials: AwsCredentials,
  { region }: AwsPodSettings,
): boolean {
  const containers = chosenContainers(pod).filter((container) => accepts(pod, container, credentials));
  if (containers.length === 0) {
    pod.warn(`no container of the Pod gets ${credentials.title}`);
    return false;
  }
  const { volume, audience, expirationSeconds, file } = credentials;
  const token = { serviceAccountToken: { audience, expirationSeconds, path: file } };
  pod.addVolume({ name: volume, projected: { sources: [token] } }, 'first');
  const tokenFile = tokenPath(pod, credentials);
  for (const container of containers) {
    addTo(container, credentials, region, tokenFile);
    warnOfMount(pod, container, credentials);
  }
  return true;
}

function addTo(
  container: ContainerEditor,
  { variable, fileVariable, volume, mountPath, stsRegionalEndpoints }: AwsCredentials,
  region: string | undefined,
  tokenFile: string,
): void {
  const sets = (names: readonly string[]) => names.some((name) => container.hasVariable(name));
  const isComplete =
    sets([variable.name, fileVariable]) && sets(REGION_VARIABLES) && sets([REGIONAL_VARIABLE]);
  if (isComplete) return;
  if (stsRegionalEndpoints) container.addVariable({ name: REGIONAL_VARIABLE, value: 'regional' });
  if (region !== undefined && !sets(REGION_VARIABLES)) {
    for (const name of REGION_VARIABLES) container.addVariable({ name, value: region });
  }
  if (!sets([variable.name, fileVariable])) {
    container.addVariable(variable);
    container.addVariable({ name: fileVariable, value: tokenFile });
  }
  container.addVolumeMount({ name: volume, mountPath, readOnly: true });
}

/** If the token is not where the variable says. */
function warnOfMount(
  pod: PodEditor,
  container: ContainerEditor,
  { volume, mountPath }: AwsCredentials,
): void {
  const there = container.volumeAt(mountPath);
  if (there === undefined || there === volume) return;
  pod.warn(`container ${container.name} mounts volume ${there} at ${mountPath}: ${volume} is not mounted`);
}

/** On Windows the variable alone has a path of Windows: the kubelet translates that of the mount. */
function tokenPath(pod: PodEditor, { mountPath, file }: AwsCredentials): string {
  const path = `${mountPath}/${file}`;
  return isWindows(pod) ? `C:${path.replaceAll('/', '\\')}` : path;
}

/** Whether a container gets these credentials; says why not. */
function accepts(
  pod: PodEditor,
  container: ContainerEditor,
  { title, variable, fileVariable, otherVariables }: AwsCredentials,
): boolean {
  const other = otherVariables.find((name) => container.hasVariable(name));
  if (other !== undefined) {
    pod.warn(`container ${container.name} does not get ${title}: it sets ${other}`);
    return false;
  }
  const pair = [variable.name, fileVariable];
  const missing = pair.filter((name) => !container.hasVariable(name));
  if (missing.length === 1) {
    const set = pair.filter((name) => container.hasVariable(name));
    pod.warn(`container ${container.name} sets ${set.join()} without ${missing.join()}: neither is injected`);
  }
  return true;
}

/** Those that the Pod's annotations do not exclude. */
function chosenContainers(pod: PodEditor): readonly ContainerEditor[] {
  const included = listedContainers(pod, INCLUDE_ANNOTATION);
  const skipped = listedContainers(pod, SKIP_ANNOTATION);
  return containersOfThePod(pod).filter(
    ({ name }) => (included === undefined || included.has(name)) && skipped?.has(name) !== true,
  );
}

function listedContainers(pod: PodEditor, key: string): ReadonlySet<string> | undefined {
  const names = readAnnotation(annotatedPod(pod), key, CONTAINER_NAMES);
  if (names === undefined) return undefined;
  const known = new Set(pod.allContainers.map(({ name }) => name));
  const unknown = names.filter((name) => !known.has(name));
  if (unknown.length > 0) {
    const shown = unknown.slice(0, MOST_NAMES).map((name) => escaped(name, 63));
    pod.warn(`the annotation ${key} names what is not a container of the Pod: ${shown.join(', ')}`);
  }
  return new Set(names);
}

const CONTAINER_NAMES: Form<readonly string[]> = {
  parse: parseCsvRecord,
  expected: 'names of containers, separated by commas without spaces',
};

/** Whether it is a whole number of seconds, as long as it is not too many: too few are raised. */
export function isTokenExpiration(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) <= TOKEN_EXPIRATION.most;
}

const SECONDS: Form<number> = {
  parse(text) {
    const seconds = /^\s*[+-]?[0-9]+\s*$/.test(text) ? Number(text) : undefined;
    return isTokenExpiration(seconds) ? seconds : undefined;
  },
  expected: `seconds, such as 86400: at least ${TOKEN_EXPIRATION.least}, at most ${TOKEN_EXPIRATION.most}`,
};

/** Any that fits into a URL or a name: AWS and Kubernetes take it as it is. */
export const AUDIENCE: Form<string> = {
  parse: (text) => /^[!-~]{1,255}$/.exec(text.trim())?.[0],
  expected: 'the audience of an IAM OIDC provider, such as sts.amazonaws.com',
};
