import type { AwsFaultCode } from '../core/fault.ts';
import { UpstreamFault } from '../credentials/failure.ts';

/** What the response of STS, or its absence, means. */
type StsFaultCode = Extract<AwsFaultCode, `aws-sts-${string}`>;

/** What STS was asked for. */
export type StsAction = 'AssumeRoleWithWebIdentity' | 'AssumeRole';

interface AwsFaultFacts {
  readonly action: StsAction;
  readonly role: string;
  /** Undefined if there was no response. */
  readonly status?: number | undefined;
  /** STS's own error code, such as `AccessDenied`. */
  readonly error?: string;
  /** The first line of STS's own message. */
  readonly awsMessage?: string;
  /** What the token says of itself: `iss`, `sub` and `aud`, never the token. */
  readonly claims?: string;
  readonly retryAfter?: number | undefined;
  readonly cause?: unknown;
}

/** What to do about STS's codes: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html */
const REMEDIES: ReadonlyMap<string, string> = new Map([
  [
    'InvalidIdentityToken',
    "Create an IAM OIDC provider for the cluster's issuer in the role's account, with the audience of the token, and check " +
      "that AWS can read the issuer's discovery document and keys.",
  ],
  [
    'AccessDenied',
    "Check that the role exists, and that its trust policy allows the token's sub and aud. A new role works after some seconds.",
  ],
  ['IDPRejectedClaim', "Compare the token's claims with the conditions of the identity provider."],
  ['RegionDisabledException', 'Enable STS in the region, or set --aws-region to another.'],
  ['ExpiredTokenException', "Compare this Node's clock with the API server's."],
  ['ValidationError', "Read STS's message: the role's ARN or the duration is not acceptable."],
]);

const OTHERWISE: Readonly<Record<StsFaultCode, string>> = {
  'aws-sts-unavailable': 'Retry. If this persists, check that the Node can reach the endpoint of AWS STS.',
  'aws-sts-refused': "Read STS's message, and compare the role's trust policy with the token's claims.",
};

/** AWS STS refused, or did not respond. Holds STS's own message, redacted; never a token or a raw body. */
export class AwsFault extends UpstreamFault {
  /** STS's own error code; empty if there is none. */
  readonly error: string;

  constructor(code: StsFaultCode, facts: AwsFaultFacts) {
    const { action, role, status, error = '', awsMessage = '', claims, retryAfter, cause } = facts;
    const responded = status === undefined ? 'no response from AWS STS' : `AWS STS responded ${status}`;
    const words = [error, awsMessage].filter((word) => word !== '').join(': ');
    const of = claims === undefined ? '' : ` (${claims})`;
    super(code, `${responded} to ${action} of ${role}${words && `: ${words}`}${of}`, {
      remedy: (code === 'aws-sts-refused' ? REMEDIES.get(error) : undefined) ?? OTHERWISE[code],
      transient: code === 'aws-sts-unavailable',
      status,
      retryAfter,
      cause,
    });
    this.name = 'AwsFault';
    this.error = error;
  }
}
