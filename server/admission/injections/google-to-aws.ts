import { parseRoleArn, ROLE_ARN_EXPECTED, type RoleArn, sessionName } from '../../aws/aws-role.ts';
import { escaped } from '../../core/printable.ts';
import {
  GOOGLE_ACCOUNT_ANNOTATION,
  type GoogleServiceAccountEmail,
  parseGoogleServiceAccountEmail,
} from '../../google/google-account.ts';
import type { ServiceAccount } from '../../kubernetes/objects.ts';
import { type IdentityInjection, type InjectionContext, InjectionRefused } from '../injection.ts';
import { type ContainerEditor, isWindows, type PodEditor } from '../pod-editor.ts';
import { fieldVariable } from '../pod-manifest.ts';
import { annotatedServiceAccount, type Form, readAnnotation } from './annotations.ts';
import { AWS, addRegion, awsCredentialsOf, REGIONAL_VARIABLE } from './aws-credentials.ts';
import { IRSA_VARIABLES, POD_IDENTITY_VARIABLES } from './aws-variables.ts';
import { warnWithoutRoute } from './credentials-source.ts';
import { addedResources } from './init-network-resources.ts';
import { containersOfThePod } from './own-containers.ts';
import { restricted } from './security-context.ts';

/** What every Pod gets beside its role. */
export interface GoogleToAwsSettings {
  /** `AWS_REGION` and `AWS_DEFAULT_REGION`; undefined: neither. */
  readonly region: string | undefined;
  /** Whether older SDKs, too, use STS of their region. */
  readonly stsRegionalEndpoints: boolean;
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

const [ROLE, TOKEN_FILE] = IRSA_VARIABLES;
const SESSION_NAME = 'AWS_ROLE_SESSION_NAME';

/**
 * An AWS role by a Google ID token, for Pods with the label of token-injector: an init container gets the token of the
 * Pod's Google account from the metadata server, a native sidecar renews it, and AWS's SDKs find it by variables. AWS
 * trusts accounts.google.com, so nobody has to reach the issuer of this cluster.
 *
 * What a container sets already is kept, and either of the role and the token file suppresses both. A container that
 * has a role by IRSA or EKS Pod Identity keeps it.
 */
export const googleToAwsInjection: IdentityInjection = {
  kind: 'google-to-aws',

  concerns(pod, { googleToAws }) {
    const said = pod.labels.get(OPT_IN_LABEL);
    return googleToAws !== undefined && said !== undefined && said !== 'false';
  },

  inject(pod, context) {
    const { serviceAccount, settings } = context;
    const { googleToAws } = settings;
    const obstacle = obstacleIn(pod);
    if (obstacle !== undefined) {
      pod.warn(`not injected with a token for AWS: ${obstacle}`);
      return false;
    }
    const role = required(serviceAccount, ROLE_ANNOTATION, ROLE_ARN);
    required(serviceAccount, GOOGLE_ACCOUNT_ANNOTATION, GOOGLE_ACCOUNT);
    if (awsCredentialsOf(pod, context) === 'MetadataServer') {
      // which knows these annotations too
      warnWithoutRoute(pod, AWS);
      for (const container of consumersIn(pod)) addRegion(container, googleToAws?.region);
      return false;
    }
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
      if (googleToAws?.stsRegionalEndpoints) {
        container.addVariable({ name: REGIONAL_VARIABLE, value: 'regional' });
      }
      addRegion(container, googleToAws?.region);
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
    return `each container has an AWS role already, or mounts something else at ${MOUNT_PATH}`;
  }
  return undefined;
}

/** The containers that read the token: those without a role of their own. */
function consumersIn(pod: PodEditor): readonly ContainerEditor[] {
  return containersOfThePod(pod).filter(
    (container) => !hasOtherRole(container) && !container.mountsOtherAt(MOUNT_PATH, VOLUME),
  );
}

/** Whether a container has a role by another token, or by EKS Pod Identity, to which SDKs would prefer this one. */
function hasOtherRole(container: ContainerEditor): boolean {
  const isSet = [...IRSA_VARIABLES, ...POD_IDENTITY_VARIABLES].some((name) => container.hasVariable(name));
  return isSet && container.valueOf(TOKEN_FILE) !== TOKEN_PATH;
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

/** The value of an annotation that the label needs. Throws {@link InjectionRefused}. */
function required<T>(serviceAccount: ServiceAccount, annotation: string, form: Form<T>): T {
  const account = annotatedServiceAccount(serviceAccount);
  const value = readAnnotation(account, annotation, form);
  if (value !== undefined) return value;
  throw new InjectionRefused(
    `${account.title} lacks the annotation ${annotation}, which the Pod's label ${OPT_IN_LABEL} needs: ` +
      `set it to ${form.expected}`,
  );
}

const ROLE_ARN: Form<RoleArn> = {
  parse: (text) => parseRoleArn(text.trim()),
  expected: ROLE_ARN_EXPECTED,
};

/** The metadata server gives ID tokens of a Google account only: a ServiceAccount alone has none. */
const GOOGLE_ACCOUNT: Form<GoogleServiceAccountEmail> = {
  parse: (text) => parseGoogleServiceAccountEmail(text.trim()),
  expected:
    'the email of the Google service account that the role trusts, NAME@PROJECT.iam.gserviceaccount.com',
};
