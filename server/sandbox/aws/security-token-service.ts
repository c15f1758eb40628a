import type { Now } from '../../core/effects.ts';
import type { IssuerKeys } from '../issuer-keys.ts';
import { AwsRefusal } from './error.ts';
import { type Iam, type Role, RoleArn } from './iam.ts';
import type { Session, Sessions } from './sessions.ts';
import { isTrusted, type TrustRequest } from './trust-policy.ts';
import { type Constraint, length, number, pattern, validate } from './validation.ts';
import { WebIdentities } from './web-identity.ts';

const DEFAULT_DURATION_SECONDS = 3600;
// longer ones are refused to who has temporary credentials already
const CHAINED_DURATION_SECONDS = 3600;

/** AWS's Security Token Service: https://docs.aws.amazon.com/STS/latest/APIReference. */
export class SecurityTokenService {
  readonly #webIdentities: WebIdentities;

  constructor(
    private readonly iam: Iam,
    private readonly sessions: Sessions,
    issuers: IssuerKeys,
    now: Now,
  ) {
    this.#webIdentities = new WebIdentities(iam, issuers, now);
  }

  /** The fields of `AssumeRoleWithWebIdentityResult`, in STS's order. Throws an {@link AwsRefusal}. */
  async assumeRoleWithWebIdentity(form: URLSearchParams) {
    validate([
      ...sessionConstraints(form),
      {
        field: 'webIdentityToken',
        value: form.get('WebIdentityToken'),
        checks: [length(4, 20_000)],
        isRequired: true,
        isSensitive: true,
      },
    ]);
    const { arn, sessionName, duration } = readSession(form);
    const identity = await this.#webIdentities.verify(form.get('WebIdentityToken') ?? '', arn);
    const role = this.#trusted(
      arn,
      {
        action: 'sts:AssumeRoleWithWebIdentity',
        principalType: 'Federated',
        principals: [identity.provider],
        context: new Map([...identity.context, ['sts:rolesessionname', [sessionName]]]),
      },
      'Not authorized to perform sts:AssumeRoleWithWebIdentity',
    );
    checkMaxDuration(duration, role);
    const session = this.sessions.issue(role, sessionName, duration);
    return {
      SubjectFromWebIdentityToken: identity.subject,
      Audience: identity.audience,
      AssumedRoleUser: assumedRoleUser(session),
      Credentials: credentials(session),
      Provider: identity.provider,
    };
  }

  /** The fields of `AssumeRoleResult`, for the holder of a session: role chaining. */
  assumeRole(caller: Session, form: URLSearchParams) {
    validate(sessionConstraints(form));
    const { arn, sessionName, duration } = readSession(form);
    const { arn: callerArn } = caller.role;
    const principal = callerArn.session(caller.name);
    const role = this.#trusted(
      arn,
      {
        action: 'sts:AssumeRole',
        principalType: 'AWS',
        // nobody here has policies of their own: what a role's trust policy names is enough
        principals: [
          principal,
          callerArn.value,
          `arn:${callerArn.partition}:iam::${callerArn.accountID}:root`,
          callerArn.accountID,
        ],
        context: new Map([['sts:rolesessionname', [sessionName]]]),
      },
      `User: ${principal} is not authorized to perform: sts:AssumeRole on resource: ${arn.value}`,
    );
    if (duration > CHAINED_DURATION_SECONDS) {
      throw new AwsRefusal(
        'ValidationError',
        'The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.',
      );
    }
    const session = this.sessions.issue(role, sessionName, duration);
    return { AssumedRoleUser: assumedRoleUser(session), Credentials: credentials(session) };
  }

  getCallerIdentity({ role, name }: Session) {
    return { Arn: role.arn.session(name), UserId: `${role.id}:${name}`, Account: role.arn.accountID };
  }

  /** A role that does not exist is refused in the same words as one that does not trust the caller. */
  #trusted(arn: RoleArn, request: TrustRequest, refusal: string): Role {
    const role = this.iam.role(arn);
    if (role !== undefined && isTrusted(role.trustPolicy, request)) return role;
    throw new AwsRefusal('AccessDenied', refusal);
  }
}

function sessionConstraints(form: URLSearchParams): readonly Constraint[] {
  return [
    { field: 'roleArn', value: form.get('RoleArn'), checks: [length(20, 2048)], isRequired: true },
    {
      field: 'roleSessionName',
      value: form.get('RoleSessionName'),
      checks: [length(2, 64), pattern(/^[\w+=,.@-]*$/, '[\\w+=,.@-]*')],
      isRequired: true,
    },
    { field: 'durationSeconds', value: form.get('DurationSeconds'), checks: [number(900, 43_200)] },
  ];
}

/** Of a form that has passed its constraints. */
function readSession(form: URLSearchParams) {
  const arn = RoleArn.parse(form.get('RoleArn') ?? '');
  if (arn === undefined) throw new AwsRefusal('ValidationError', 'Request ARN is invalid');
  checkSessionPolicy(form.get('Policy'));
  return {
    arn,
    sessionName: form.get('RoleSessionName') ?? '',
    duration: Number(form.get('DurationSeconds') ?? DEFAULT_DURATION_SECONDS),
  };
}

/** A session policy narrows what the session may do elsewhere; STS itself only reads it. */
function checkSessionPolicy(policy: string | null): void {
  if (policy === null) return;
  try {
    JSON.parse(policy);
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw new AwsRefusal('MalformedPolicyDocument', 'This policy contains invalid Json');
  }
}

function checkMaxDuration(duration: number, { maxSessionDuration }: Role): void {
  if (duration <= maxSessionDuration) return;
  throw new AwsRefusal(
    'ValidationError',
    'The requested DurationSeconds exceeds the MaxSessionDuration set for this role.',
  );
}

function assumedRoleUser({ role, name }: Session) {
  return { AssumedRoleId: `${role.id}:${name}`, Arn: role.arn.session(name) };
}

function credentials({ accessKeyID, secretAccessKey, sessionToken, expiresAt }: Session) {
  return {
    AccessKeyId: accessKeyID,
    SecretAccessKey: secretAccessKey,
    SessionToken: sessionToken,
    Expiration: new Date(expiresAt).toISOString().replace('.000Z', 'Z'),
  };
}
