import { AWS_ROLE_ANNOTATION } from '../../aws/aws-identity.ts';
import { parseRoleArn, type RoleArn } from '../../aws/aws-role.ts';
import { type IdentityContext, type IdentityInjection, InjectionRefused } from '../injection.ts';
import { isJsonObject } from '../json-patch.ts';
import { annotatedServiceAccount, type Form, parseAs, readAnnotation } from './annotations.ts';
import {
  AUDIENCE,
  AWS,
  AWS_PREFIX,
  type AwsPodSettings,
  addAwsCredentials,
  addAwsRegion,
  awsCredentialsOf,
  optsOutOfAws,
  tokenExpiration,
  usesRegionalSts,
} from './aws-credentials.ts';
import { hasPodIdentity } from './aws-pod-identity.ts';
import { IRSA_VARIABLES, POD_IDENTITY_VARIABLES } from './aws-variables.ts';
import { readConfig } from './config-maps.ts';
import { type CredentialsSource, warnWithoutRoute } from './credentials-source.ts';
import { isExpiration } from './token-expiration.ts';

const AUDIENCE_ANNOTATION = `${AWS_PREFIX}/audience`;

/** The key of a ConfigMap that means every Namespace. */
const ANY_NAMESPACE = '*';

/** The settings of {@link awsInjection}. */
export interface AwsSettings extends AwsPodSettings {
  /** If neither the Pod nor its Namespace says; with TokenFile the server has no credentials of AWS. */
  readonly credentials: CredentialsSource;
  /** If the ServiceAccount does not say. */
  readonly audience: string;
  /** The account of roles that are annotated by their name alone, which are refused if it is undefined. */
  readonly accountId: string | undefined;
  readonly partition: string;
  /** `NAMESPACE/NAME` of a ConfigMap with the roles of ServiceAccounts, as kOps writes it. */
  readonly configMap: string | undefined;
}

/**
 * IAM roles for service accounts: the token of the ServiceAccount in a file, which SDKs exchange for credentials of the
 * role. The role is that of the ServiceAccount's annotation, or else of the ConfigMap. If the Pod has EKS Pod Identity,
 * it does not get this, which SDKs would prefer.
 */
export const awsInjection: IdentityInjection = {
  kind: 'aws',

  concerns: (pod, { aws }) => aws !== undefined && !optsOutOfAws(pod),

  configMaps: ({ aws }) => (aws?.configMap === undefined ? [] : [aws.configMap]),

  inject(pod, context) {
    const { aws } = context.settings;
    if (aws === undefined || hasPodIdentity(context)) return false;
    const role = annotatedRole(context, aws) ?? mappedRole(context, aws);
    if (role === undefined) return false;
    if (awsCredentialsOf(pod, context) === 'MetadataServer') {
      warnWithoutRoute(pod, AWS);
      addAwsRegion(pod, aws);
      return false;
    }
    const account = annotatedServiceAccount(context.serviceAccount);
    const [roleVariable, fileVariable] = IRSA_VARIABLES;
    const credentials = {
      title: 'IRSA',
      variable: { name: roleVariable, value: role.arn },
      fileVariable,
      otherVariables: POD_IDENTITY_VARIABLES,
      volume: 'aws-iam-token',
      mountPath: '/var/run/secrets/eks.amazonaws.com/serviceaccount',
      file: 'token',
      audience: readAnnotation(account, AUDIENCE_ANNOTATION, AUDIENCE) ?? role.audience ?? aws.audience,
      expirationSeconds: tokenExpiration(pod, context, role.expirationSeconds || aws.tokenExpirationSeconds),
      stsRegionalEndpoints: usesRegionalSts(context, role.stsRegionalEndpoints ?? aws.stsRegionalEndpoints),
    };
    return addAwsCredentials(pod, credentials, aws);
  },
};

/** A role, and what the ConfigMap says besides. */
interface Role {
  readonly arn: RoleArn;
  readonly audience?: string | undefined;
  readonly expirationSeconds?: number | undefined;
  readonly stsRegionalEndpoints?: boolean | undefined;
}

function annotatedRole({ serviceAccount }: IdentityContext, settings: AwsSettings): Role | undefined {
  const arn = readAnnotation(
    annotatedServiceAccount(serviceAccount),
    AWS_ROLE_ANNOTATION,
    roleForm(settings),
  );
  return arn === undefined ? undefined : { arn };
}

/** Of the ServiceAccount in its Namespace, or else of its name in any; undefined also if its role is empty. */
function mappedRole(context: IdentityContext, settings: AwsSettings): Role | undefined {
  const { configMap } = settings;
  if (configMap === undefined) return undefined;
  const { namespace, name } = context.serviceAccount;
  const roles = readConfig(context, configMap) ?? {};
  const key = [`${namespace}/${name}`, `${ANY_NAMESPACE}/${name}`].find((one) => Object.hasOwn(roles, one));
  if (key === undefined) return undefined;
  const title = `${key} of ConfigMap ${configMap}`;
  const role = roles[key];
  if (!isMappedRole(role)) {
    throw new InjectionRefused(`${title} is invalid: set it to ${MAPPED_ROLE_EXPECTED}`);
  }
  const { RoleARN = '', Audience = '', TokenExpiration, UseRegionalSTS } = role;
  const arn = parseAs(RoleARN, roleForm(settings), `RoleARN of ${title}`);
  if (arn === undefined) return undefined;
  return {
    arn,
    audience: parseAs(Audience, AUDIENCE, `Audience of ${title}`),
    expirationSeconds: TokenExpiration,
    stsRegionalEndpoints: UseRegionalSTS,
  };
}

/** As kOps writes it; an expiration of 0 is that of the settings. */
interface MappedRole {
  readonly RoleARN?: string;
  readonly Audience?: string;
  readonly UseRegionalSTS?: boolean;
  readonly TokenExpiration?: number;
}

const MAPPED_ROLE_EXPECTED =
  '{"RoleARN": "…", "Audience": "…", "UseRegionalSTS": true, "TokenExpiration": 86400}';

function isMappedRole(value: unknown): value is MappedRole {
  if (!isJsonObject(value)) return false;
  const { RoleARN, Audience, UseRegionalSTS, TokenExpiration } = value;
  return (
    ['undefined', 'string'].includes(typeof RoleARN) &&
    ['undefined', 'string'].includes(typeof Audience) &&
    ['undefined', 'boolean'].includes(typeof UseRegionalSTS) &&
    (TokenExpiration === undefined || isExpiration(TokenExpiration))
  );
}

/** Of a role with its path, without the first slash. */
const ROLE_NAME = /^[\w.@+=,-][\w/.@+=,-]*$/;

function roleForm({ accountId, partition }: AwsSettings): Form<RoleArn> {
  const example = `an ARN such as arn:${partition}:iam::${accountId ?? '111122223333'}:role/NAME`;
  return {
    parse(text) {
      const said = text.trim();
      const isName = accountId !== undefined && ROLE_NAME.test(said);
      const arn = isName ? `arn:${partition}:iam::${accountId}:role/${said}` : said;
      return parseRoleArn(arn);
    },
    expected: accountId === undefined ? example : `${example}, or the name of a role of account ${accountId}`,
  };
}
