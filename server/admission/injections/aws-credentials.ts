import type { IdentityContext, InjectionContext } from '../injection.ts';
import { type ContainerEditor, isWindows, type PodEditor } from '../pod-editor.ts';
import {
  annotatedPod,
  annotatedServiceAccount,
  audienceForm,
  BOOLEAN,
  type Form,
  readAnnotation,
} from './annotations.ts';
import { type CloudCredentials, type CredentialsSource, credentialsSourceOf } from './credentials-source.ts';
import { parseCsvRecord } from './csv-record.ts';
import { listedContainers } from './listed-containers.ts';
import { containersOfThePod } from './own-containers.ts';
import { raisedExpiration } from './token-expiration.ts';

/** The prefix of the annotations and labels that users of EKS know. */
export const AWS_PREFIX = 'eks.amazonaws.com';
const OPT_OUT_LABEL = `${AWS_PREFIX}/skip-pod-identity-webhook`;
const EXPIRATION_ANNOTATION = `${AWS_PREFIX}/token-expiration`;
const REGIONAL_ANNOTATION = `${AWS_PREFIX}/sts-regional-endpoints`;
const SKIP_ANNOTATION = `${AWS_PREFIX}/skip-containers`;
const INCLUDE_ANNOTATION = `${AWS_PREFIX}/include-containers`;

/** Either one that is set suppresses both. */
const REGION_VARIABLES = ['AWS_DEFAULT_REGION', 'AWS_REGION'];
export const REGIONAL_VARIABLE = 'AWS_STS_REGIONAL_ENDPOINTS';

/** Seconds. */
export const LEAST_EXPIRATION = 600;

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
interface AwsCredentials {
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

export const AWS: CloudCredentials = {
  cloud: 'AWS',
  annotation: 'gke-metadata-server.matheuscscp.io/aws-credentials',
  value: 'aws.credentials',
};

/** Undefined if AWS is switched off, or the Pod opts out of it. Throws `InjectionRefused`. */
export function awsCredentialsOf(
  pod: PodEditor,
  { namespace, settings: { aws } }: InjectionContext,
): CredentialsSource | undefined {
  if (aws === undefined || optsOutOfAws(pod)) return undefined;
  return credentialsSourceOf(pod, namespace, AWS, aws.credentials);
}

/** Whether a Pod opts out of AWS credentials; the value of the label means nothing. */
export function optsOutOfAws({ labels }: PodEditor): boolean {
  return labels.get(OPT_OUT_LABEL) !== undefined;
}

/** Seconds: as the Pod, or else its ServiceAccount says, or else `otherwise`. */
export function tokenExpiration(
  pod: PodEditor,
  { serviceAccount }: IdentityContext,
  otherwise: number,
): number {
  return raisedExpiration(pod, serviceAccount, {
    key: EXPIRATION_ANNOTATION,
    otherwise,
    least: LEAST_EXPIRATION,
  });
}

/** As the ServiceAccount says, or else `otherwise`. */
export function usesRegionalSts({ serviceAccount }: IdentityContext, otherwise: boolean): boolean {
  return readAnnotation(annotatedServiceAccount(serviceAccount), REGIONAL_ANNOTATION, BOOLEAN) ?? otherwise;
}

/**
 * Gives the containers of the Pod these credentials, as aws/amazon-eks-pod-identity-webhook does: variables at the end,
 * the volume first, and what is set already kept, where either variable of a pair counts for both. Other than by that
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
  addRegion(container, region);
  if (!sets([variable.name, fileVariable])) {
    container.addVariable(variable);
    container.addVariable({ name: fileVariable, value: tokenFile });
  }
  container.addVolumeMount({ name: volume, mountPath, readOnly: true });
}

/** Sets the region for SDKs: either variable that a container sets counts for both. */
export function addRegion(container: ContainerEditor, region: string | undefined): void {
  if (region === undefined || REGION_VARIABLES.some((name) => container.hasVariable(name))) return;
  for (const name of REGION_VARIABLES) container.addVariable({ name, value: region });
}

/** Sets the region in the containers that the Pod's annotations do not exclude. */
export function addAwsRegion(pod: PodEditor, { region }: AwsPodSettings): void {
  for (const container of chosenContainers(pod)) addRegion(container, region);
}

/** If the token is not at the path in the variable. */
function warnOfMount(
  pod: PodEditor,
  container: ContainerEditor,
  { volume, mountPath }: AwsCredentials,
): void {
  if (!container.mountsOtherAt(mountPath, volume)) return;
  pod.warn(`container ${container.name} mounts another volume at ${mountPath}: ${volume} is not mounted`);
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
  const included = listed(pod, INCLUDE_ANNOTATION);
  const skipped = listed(pod, SKIP_ANNOTATION);
  return containersOfThePod(pod).filter(
    ({ name }) => (included === undefined || included.has(name)) && skipped?.has(name) !== true,
  );
}

function listed(pod: PodEditor, key: string): ReadonlySet<string> | undefined {
  const names = readAnnotation(annotatedPod(pod), key, CONTAINER_NAMES);
  return names === undefined ? undefined : listedContainers(pod, key, names);
}

const CONTAINER_NAMES: Form<readonly string[]> = {
  parse: parseCsvRecord,
  expected: 'names of containers, separated by commas without spaces',
};

export const AUDIENCE = audienceForm('the audience of an IAM OIDC provider, such as sts.amazonaws.com');
