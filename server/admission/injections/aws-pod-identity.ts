import { AWS_ROLE_ANNOTATION } from '../../aws/aws-identity.ts';
import { CONTAINER_CREDENTIALS_ADDRESS } from '../../core/metadata-address.ts';
import { type IdentityContext, type IdentityInjection, InjectionRefused } from '../injection.ts';
import { isJsonObject } from '../json-patch.ts';
import { annotatedServiceAccount, BOOLEAN, readAnnotation } from './annotations.ts';
import {
  AWS_PREFIX,
  type AwsPodSettings,
  addAwsCredentials,
  awsCredentialsOf,
  optsOutOfAws,
  tokenExpiration,
  usesRegionalSts,
} from './aws-credentials.ts';
import { IRSA_VARIABLES, POD_IDENTITY_VARIABLES } from './aws-variables.ts';
import { readConfig } from './config-maps.ts';
import { redirectsContainerCredentials } from './init-network.ts';

/** Of a ServiceAccount, `true` or `false`; AWS has no annotation for it, as its associations are in EKS. */
const ANNOTATION = 'gke-metadata-server.matheuscscp.io/aws-pod-identity';
/** By which EKS finds the Pods that have it. */
const LABEL = `${AWS_PREFIX}/pod-identity`;
const CREDENTIALS_PATH = '/v1/credentials';

/** Seconds. What expires by default is drawn from this range, so that Pods that start together renew apart. */
const DEFAULT_EXPIRATION = { least: 79_200, most: 86_400 } as const;

/** The settings of {@link awsPodIdentityInjection}. */
export interface AwsPodIdentitySettings extends AwsPodSettings {
  readonly audience: string;
  /** `NAMESPACE/NAME` of a ConfigMap with the ServiceAccounts that have it. */
  readonly configMap: string | undefined;
}

/**
 * EKS Pod Identity: the token of the ServiceAccount in a file, with which SDKs ask the address of its agent for
 * credentials. By an annotation of the ServiceAccount, or else by the ConfigMap.
 */
export const awsPodIdentityInjection: IdentityInjection = {
  kind: 'aws-pod-identity',

  concerns: (pod, { awsPodIdentity }) => awsPodIdentity !== undefined && !optsOutOfAws(pod),

  configMaps: ({ awsPodIdentity }) =>
    awsPodIdentity?.configMap === undefined ? [] : [awsPodIdentity.configMap],

  inject(pod, context) {
    const { awsPodIdentity } = context.settings;
    if (awsPodIdentity === undefined || !hasPodIdentity(context)) return false;
    if (awsCredentialsOf(pod, context) === 'MetadataServer' && !redirectsContainerCredentials(pod)) {
      // SDKs take no address of a Node for the agent
      pod.warn(
        'the Pod does not get EKS Pod Identity, which the metadata server gives only in mode Redirect: it gives the Pod ' +
          `the role of the annotation ${AWS_ROLE_ANNOTATION} of its ServiceAccount in another way`,
      );
      return false;
    }
    const { audience, tokenExpirationSeconds, stsRegionalEndpoints } = awsPodIdentity;
    const [urlVariable, fileVariable] = POD_IDENTITY_VARIABLES;
    const expirationSeconds = tokenExpiration(pod, context, tokenExpirationSeconds);
    const { IPv4, IPv6 } = CONTAINER_CREDENTIALS_ADDRESS;
    // a Pod without IPv4 cannot reach the first; EKS's agent has both
    const host = context.settings.nodesAreIPv6 ? `[${IPv6}]` : IPv4;
    const credentials = {
      title: 'EKS Pod Identity',
      variable: { name: urlVariable, value: `http://${host}${CREDENTIALS_PATH}` },
      fileVariable,
      otherVariables: IRSA_VARIABLES,
      volume: 'eks-pod-identity-token',
      mountPath: '/var/run/secrets/pods.eks.amazonaws.com/serviceaccount',
      file: 'eks-pod-identity-token',
      audience,
      expirationSeconds: withJitter(expirationSeconds, context),
      stsRegionalEndpoints: usesRegionalSts(context, stsRegionalEndpoints),
    };
    const isInjected = addAwsCredentials(pod, credentials, awsPodIdentity);
    if (isInjected) pod.labels.set(LABEL, 'enabled');
    return isInjected;
  },
};

/** Whether the Pods of this ServiceAccount have EKS Pod Identity, and so no IRSA. */
export function hasPodIdentity(context: IdentityContext): boolean {
  const { awsPodIdentity } = context.settings;
  if (awsPodIdentity === undefined) return false;
  const said = readAnnotation(annotatedServiceAccount(context.serviceAccount), ANNOTATION, BOOLEAN);
  return said ?? isListed(context, awsPodIdentity.configMap);
}

/** As in the file that aws/amazon-eks-pod-identity-webhook watches. */
function isListed(context: IdentityContext, configMap: string | undefined): boolean {
  if (configMap === undefined) return false;
  const { identities = [] } = readConfig(context, configMap) ?? {};
  if (!Array.isArray(identities)) {
    throw new InjectionRefused(`identities of ConfigMap ${configMap} is invalid: set it to ${EXPECTED}`);
  }
  const { namespace, name } = context.serviceAccount;
  return identities.some(
    (identity) =>
      isJsonObject(identity) && identity['namespace'] === namespace && identity['serviceAccount'] === name,
  );
}

const EXPECTED = '[{"namespace": "NAMESPACE", "serviceAccount": "NAME"}, …]';

/** Only what expires by default, as AWS has it. */
function withJitter(seconds: number, { random }: IdentityContext): number {
  const { least, most } = DEFAULT_EXPIRATION;
  return seconds === most ? least + Math.floor(random * (most - least + 1)) : seconds;
}
