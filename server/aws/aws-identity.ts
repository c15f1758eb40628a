import type { Caller } from '../caller/caller.ts';
import type { CloudAnnotations } from '../caller/service-accounts.ts';
import { Fault } from '../core/fault.ts';
import { escaped } from '../core/printable.ts';
import type { ServiceAccount } from '../kubernetes/objects.ts';
import {
  composeRoleArn,
  parseRoleArn,
  ROLE_ARN_EXPECTED,
  type RoleArn,
  type RoleDefaults,
} from './aws-role.ts';

/** The annotations of IAM roles for service accounts (IRSA). */
export const AWS_ROLE_ANNOTATION = 'eks.amazonaws.com/role-arn';
const AUDIENCE_ANNOTATION = 'eks.amazonaws.com/audience';
/** token-injector's: the role trusts the Google account of the ServiceAccount. */
const GOOGLE_ROLE_ANNOTATION = 'amazonaws.com/role-arn';
/** A role that the first one assumes, in another account for example. */
const TARGET_ROLE_ANNOTATION = 'amazonaws.com/target-role-arn';

const KEYS = [AWS_ROLE_ANNOTATION, AUDIENCE_ANNOTATION, GOOGLE_ROLE_ANNOTATION, TARGET_ROLE_ANNOTATION];

/** The role of a ServiceAccount, and by which token AWS knows it. */
export interface AwsIdentity {
  readonly role: RoleArn;
  /** `kubernetes`: its token of the cluster; `google`: the ID token of its Google account. */
  readonly webIdentity: 'kubernetes' | 'google';
  /** A role that {@link role} assumes, whose credentials the Pod gets instead. */
  readonly targetRole: RoleArn | undefined;
}

/** The role whose credentials the Pod gets. */
export function effectiveRole({ role, targetRole }: AwsIdentity): RoleArn {
  return targetRole ?? role;
}

/** The annotations that AWS credentials depend on: they are cached while this stays the same. */
export function awsCredentialsVersion(serviceAccount: ServiceAccount): string {
  return KEYS.map((key) => annotation(serviceAccount, key)).join(' ');
}

/** The annotations of a ServiceAccount that are AWS's. */
export const awsAnnotations: CloudAnnotations = {
  keys: KEYS,
  areComplete: (serviceAccount) =>
    [AWS_ROLE_ANNOTATION, GOOGLE_ROLE_ANNOTATION].some((key) => isRole(annotation(serviceAccount, key))),
};

/**
 * The role that a ServiceAccount is annotated with. `audience` is that of the tokens that the server may request.
 * Throws `aws-role-missing` or `aws-role-invalid`.
 */
export function awsIdentityOf(
  { serviceAccount }: Pick<Caller, 'serviceAccount'>,
  { audience, ...defaults }: RoleDefaults & { readonly audience: string },
): AwsIdentity {
  const role = roleOf(serviceAccount, AWS_ROLE_ANNOTATION, defaults);
  const googleRole = roleOf(serviceAccount, GOOGLE_ROLE_ANNOTATION, defaults);
  const targetRole = roleOf(serviceAccount, TARGET_ROLE_ANNOTATION, defaults);
  const asked = annotation(serviceAccount, AUDIENCE_ANNOTATION);
  if (role !== undefined) {
    if (asked !== '' && asked !== audience) {
      throw invalid(
        serviceAccount,
        AUDIENCE_ANNOTATION,
        asked,
        `${audience}, the only audience for which the metadata server requests tokens, or remove it`,
      );
    }
    return { role, webIdentity: 'kubernetes', targetRole };
  }
  if (googleRole !== undefined) return { role: googleRole, webIdentity: 'google', targetRole };
  const { namespace, name } = serviceAccount;
  throw new Fault(
    'aws-role-missing',
    `ServiceAccount ${namespace}/${name} has no annotation ${AWS_ROLE_ANNOTATION}`,
    { remedy: `Annotate it: ${AWS_ROLE_ANNOTATION}=${ROLE_ARN_EXPECTED}.` },
  );
}

/** Whether it is a role's ARN, or its name alone. */
function isRole(value: string): boolean {
  const anywhere = { accountID: '000000000000', partition: 'aws' };
  return (parseRoleArn(value) ?? composeRoleArn(value, anywhere)) !== undefined;
}

function roleOf(serviceAccount: ServiceAccount, key: string, defaults: RoleDefaults): RoleArn | undefined {
  const value = annotation(serviceAccount, key);
  if (value === '') return undefined;
  const role = parseRoleArn(value) ?? composeRoleArn(value, defaults);
  if (role === undefined) throw invalid(serviceAccount, key, value, ROLE_ARN_EXPECTED);
  return role;
}

function invalid({ namespace, name }: ServiceAccount, key: string, value: string, expected: string): Fault {
  return new Fault(
    'aws-role-invalid',
    `the annotation ${key} of ServiceAccount ${namespace}/${name} is ${escaped(value, 100)}`,
    { remedy: `Set it to ${expected}.` },
  );
}

/** The value, trimmed of the white space that YAML's `|` and editors leave. */
function annotation({ annotations }: Pick<ServiceAccount, 'annotations'>, key: string): string {
  return (annotations[key] ?? '').trim();
}
