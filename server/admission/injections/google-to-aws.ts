import { escaped } from '../../core/printable.ts';
import { GOOGLE_ACCOUNT_ANNOTATION, readGoogleAccount } from '../../google/google-account.ts';
import type { ServiceAccount } from '../../kubernetes/objects.ts';
import {
  type IdentityContext,
  type IdentityInjection,
  type InjectionContext,
  InjectionRefused,
} from '../injection.ts';
import { type ContainerEditor, isWindows, type PodEditor } from '../pod-editor.ts';
import { fieldVariable } from '../pod-manifest.ts';
import { parseRoleArn, ROLE_ARN_EXPECTED, type RoleArn } from './aws-role.ts';
import { addedResources } from './init-network-resources.ts';
import { containersOfThePod } from './own-containers.ts';
import { restricted } from './security-context.ts';

/** What every Pod gets beside its role. */
export interface GoogleToAwsSettings {
  /** `AWS_REGION` and `AWS_DEFAULT_REGION`; undefined: neither. */
  readonly region: string | undefined;
}

/** Labels, annotations, container names and the path are token-injector's, for Pods that were written for it. */
const OPT_IN_LABEL = 'admission.token-injector/enabled';
const ROLE_ANNOTATION = 'amazonaws.com/role-arn';
const GENERATE = 'generate-gcp-id-token';
const UPDATE = 'update-gcp-id-token';
const MOUNT_PATH = '/var/run/secrets/aws/token';
const TOKEN_PATH = `${MOUNT_PATH}/token`;

const VOLUME = 'gcp-id-token';
const COMMAND = 'token-file';
/** Of the volume: a token has 2 KiB at most, and there are two of them while it is replaced. */
const SIZE_LIMIT = '1Mi';

const ROLE = 'AWS_ROLE_ARN';
const TOKEN_FILE = 'AWS_WEB_IDENTITY_TOKEN_FILE';
const SESSION_NAME = 'AWS_ROLE_SESSION_NAME';
const REGIONS = ['AWS_DEFAULT_REGION', 'AWS_REGION'];
const LONGEST_SESSION_NAME = 64;

/**
 * An AWS role by a Google ID token, for Pods with the label of token-injector: an init container gets the token of the
 * Pod's Google account from the metadata server, a native sidecar renews it, and AWS's SDKs find it by variables. AWS
 * trusts accounts.google.com, so nobody has to reach the issuer of this cluster.
 *
 * What a container sets already is kept, and either of the role and the token file suppresses both.
 */
export const googleToAwsInjection: IdentityInjection = {
  kind: 'google-to-aws',

  concerns(pod, { googleToAws }) {
    const said = pod.labels.get(OPT_IN_LABEL);
    return googleToAws !== undefined && said !== undefined && said !== 'false';
  },

  inject(pod, context) {
    const { serviceAccount, settings } = context;
    const obstacle = obstacleIn(pod);
    if (obstacle !== undefined) {
      pod.warn(`not injected with a token for AWS: ${obstacle}`);
      return false;
    }
    const role = roleOf(serviceAccount);
    requireGoogleAccount(serviceAccount);
    const variables = [
      { name: ROLE, value: role },
      { name: TOKEN_FILE, value: TOKEN_PATH },
      { name: SESSION_NAME, value: sessionName(serviceAccount) },
    ];
    for (const container of consumersIn(pod)) {
      container.addVolumeMount({ name: VOLUME, mountPath: MOUNT_PATH, readOnly: true });
      if (!container.hasVariable(TOKEN_FILE)) {
        for (const variable of variables) container.addVariable(variable);
      }
      addRegion(container, settings.googleToAws?.region);
    }
    pod.addVolume({ name: VOLUME, emptyDir: { medium: 'Memory', sizeLimit: SIZE_LIMIT } }, 'last');
    addTokenFile(pod, GENERATE, context);
    addTokenFile(pod, UPDATE, context);
    return true;
  },
};

/** Why the Pod is left as it is, though its label asks for a token; undefined if it is not. */
function obstacleIn(pod: PodEditor): string | undefined {
  const said = pod.labels.get(OPT_IN_LABEL);
  if (said !== 'true') return `the label ${OPT_IN_LABEL} is ${escaped(said ?? '', 63)}, not "true"`;
  if (isWindows(pod)) return 'it runs on Windows';
  if (pod.spec.hostNetwork === true) {
    return "on the host network the metadata server takes a Pod for its Node, and gives it the Node's identity";
  }
  const other = pod.allContainers.find(
    ({ name, args: [command] }) => [GENERATE, UPDATE].includes(name) && command !== COMMAND,
  );
  if (other !== undefined) return `its container ${other.name} is not this webhook's, and is kept`;
  if (consumersIn(pod).length === 0) {
    return `each container has ${ROLE} or ${TOKEN_FILE} of its own, or mounts something else at ${MOUNT_PATH}`;
  }
  return undefined;
}

/** The containers that read the token: those without a role of their own. */
function consumersIn(pod: PodEditor): readonly ContainerEditor[] {
  return containersOfThePod(pod).filter(
    (container) => !hasOtherRole(container) && [undefined, VOLUME].includes(container.volumeAt(MOUNT_PATH)),
  );
}

/** Whether a container has a role by another token. */
function hasOtherRole(container: ContainerEditor): boolean {
  const isSet = container.hasVariable(ROLE) || container.hasVariable(TOKEN_FILE);
  return isSet && container.valueOf(TOKEN_FILE) !== TOKEN_PATH;
}

/** Either one that is set suppresses both. */
function addRegion(container: ContainerEditor, region: string | undefined): void {
  if (region === undefined || REGIONS.some((name) => container.hasVariable(name))) return;
  for (const name of REGIONS) container.addVariable({ name, value: region });
}

/** Adds the init container, or the native sidecar, which keeps no Job from finishing. */
function addTokenFile(
  pod: PodEditor,
  name: typeof GENERATE | typeof UPDATE,
  context: InjectionContext,
): void {
  const { initNetworkImage, serverPort } = context.settings;
  const once = name === GENERATE;
  pod.addInitContainer(
    {
      name,
      image: initNetworkImage,
      imagePullPolicy: 'IfNotPresent',
      args: [
        COMMAND,
        ...(once ? ['--once'] : []),
        `--token-file=${TOKEN_PATH}`,
        `--server-port=${serverPort}`,
      ],
      env: [fieldVariable('HOST_IP', 'status.hostIP'), fieldVariable('POD_UID', 'metadata.uid')],
      volumeMounts: [{ name: VOLUME, mountPath: MOUNT_PATH }],
      ...(once ? {} : { restartPolicy: 'Always' }),
      ...addedResources(pod, context, name, once ? 'before' : 'beside'),
      // in case it fails without a termination message of its own
      terminationMessagePolicy: 'FallbackToLogsOnError',
      securityContext: restricted(pod),
    },
    'first',
  );
}

function roleOf(serviceAccount: ServiceAccount): RoleArn {
  const value = serviceAccount.annotations[ROLE_ANNOTATION]?.trim() ?? '';
  const role = parseRoleArn(value);
  if (role === undefined) throw refused(ROLE_ANNOTATION, serviceAccount, value, ROLE_ARN_EXPECTED);
  return role;
}

/** The metadata server gives ID tokens of a Google account only: a ServiceAccount alone has none. */
function requireGoogleAccount(serviceAccount: ServiceAccount): void {
  const account = readGoogleAccount(serviceAccount);
  if (account.kind === 'account') return;
  const value = account.kind === 'invalid' ? account.value : '';
  throw refused(
    GOOGLE_ACCOUNT_ANNOTATION,
    serviceAccount,
    value,
    'the email of the Google service account whose ID token AWS trusts, NAME@PROJECT.iam.gserviceaccount.com',
  );
}

function refused(
  annotation: string,
  { namespace, name }: ServiceAccount,
  value: string,
  expected: string,
): InjectionRefused {
  const is = value === '' ? 'missing' : `invalid (${escaped(value, 200)})`;
  return new InjectionRefused(
    `the annotation ${annotation} of ServiceAccount ${namespace}/${name} is ${is}, and the Pod's label ` +
      `${OPT_IN_LABEL} needs it: set it to ${expected}`,
  );
}

/** `NAMESPACE.SERVICEACCOUNT`, which CloudTrail shows; cut, with a digest of the whole, if STS would refuse its length. */
function sessionName({ namespace, name }: IdentityContext['serviceAccount']): string {
  const whole = `${namespace}.${name}`;
  if (whole.length <= LONGEST_SESSION_NAME) return whole;
  const digest = new Bun.CryptoHasher('sha256').update(whole).digest('hex').slice(0, 8);
  return `${whole.slice(0, LONGEST_SESSION_NAME - digest.length - 1)}-${digest}`;
}
