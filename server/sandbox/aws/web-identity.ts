import type { JWTPayload } from 'jose';
import type { Now } from '../../core/effects.ts';
import { type IssuerKeys, readClaims } from '../issuer-keys.ts';
import { AwsRefusal } from './error.ts';
import type { Iam, RoleArn } from './iam.ts';

const GOOGLE = 'accounts.google.com';
// Google's tokens have either
const GOOGLE_ISSUERS = [`https://${GOOGLE}`, GOOGLE];

/** A token that STS believes, as trust policies see it. */
interface WebIdentity {
  readonly subject: string;
  readonly audience: string;
  /** As `Provider` in the response: the provider's ARN, or `accounts.google.com`. */
  readonly provider: string;
  /** The condition keys that it sets, in lower case. */
  readonly context: ReadonlyMap<string, readonly string[]>;
}

/** Checks web identity tokens as STS does. */
export class WebIdentities {
  constructor(
    private readonly iam: Iam,
    private readonly issuers: IssuerKeys,
    private readonly now: Now,
  ) {}

  /** Throws STS's refusals: the provider belongs to the account of the role, not of the caller. */
  async verify(token: string, arn: RoleArn): Promise<WebIdentity> {
    const claims = readClaims(token);
    if (claims === undefined) {
      throw invalid(
        'The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)',
      );
    }
    const { iss, sub, aud, iat, exp } = requireClaims(claims);
    const isGoogle = GOOGLE_ISSUERS.includes(iss);
    const provider = isGoogle ? undefined : this.iam.provider(arn.accountID, iss);
    if (!isGoogle && provider === undefined) {
      throw invalid(`No OpenIDConnect provider found in your account for ${iss}`);
    }
    await this.#checkSignature(isGoogle ? `https://${GOOGLE}` : iss, token);
    this.#checkTimes(iat, exp);
    const audiences = [aud].flat();
    if (provider !== undefined && !audiences.some((audience) => provider.clientIDs.includes(audience))) {
      throw invalid('Incorrect token audience');
    }
    return isGoogle ? googleIdentity(claims, sub, audiences) : identity(arn, iss, sub, audiences);
  }

  async #checkSignature(issuer: string, token: string): Promise<void> {
    const problem = await this.issuers.check(issuer, token);
    if (problem === undefined) return;
    if (problem === 'unreachable') {
      throw new AwsRefusal(
        'IDPCommunicationError',
        'The identity provider could not be reached to verify the incoming identity token.',
      );
    }
    throw invalid(
      problem === 'invalid'
        ? 'The web identity token that was passed could not be validated by AWS.'
        : "Couldn't retrieve verification key from your identity provider,  please reference " +
            'AssumeRoleWithWebIdentity documentation for requirements',
    );
  }

  #checkTimes(iat: number, exp: number): void {
    const now = Math.floor(this.now() / 1000);
    if (exp <= now) {
      throw new AwsRefusal(
        'ExpiredTokenException',
        `Token expired: current date/time ${now} must be before the expiration date/time${exp}`,
      );
    }
    // a clock may be some minutes fast
    if (iat > now + 300)
      throw invalid('The web identity token that was passed could not be validated by AWS.');
  }
}

function requireClaims({ iss, sub, aud, iat, exp }: JWTPayload) {
  const missing = Object.entries({ iss, sub, aud, iat, exp }).find(
    ([, value]) => value === undefined || value === '' || (Array.isArray(value) && value.length === 0),
  );
  if (
    iss === undefined ||
    sub === undefined ||
    aud === undefined ||
    iat === undefined ||
    exp === undefined ||
    missing
  ) {
    throw invalid(`Missing a required claim: ${missing?.[0]}`);
  }
  return { iss, sub, aud, iat, exp };
}

function identity(arn: RoleArn, issuer: string, subject: string, audiences: readonly string[]): WebIdentity {
  const name = issuer.replace(/^https:\/\//, '');
  return {
    subject,
    audience: audiences.join(','),
    provider: `arn:${arn.partition}:iam::${arn.accountID}:oidc-provider/${name}`,
    context: contextOf(name, { sub: [subject], aud: audiences }),
  };
}

/**
 * `accounts.google.com:aud` is the claim `azp` if there is one, and `accounts.google.com:oaud` is `aud` then:
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html#condition-keys-wif
 */
function googleIdentity(claims: JWTPayload, subject: string, audiences: readonly string[]): WebIdentity {
  const { azp } = claims;
  const keys = typeof azp === 'string' ? { aud: [azp], oaud: audiences } : { aud: audiences };
  return {
    subject,
    audience: keys.aud.join(','),
    provider: GOOGLE,
    context: contextOf(GOOGLE, { sub: [subject], ...keys }),
  };
}

function contextOf(provider: string, keys: Readonly<Record<string, readonly string[]>>) {
  return new Map(Object.entries(keys).map(([key, values]) => [`${provider}:${key}`.toLowerCase(), values]));
}

function invalid(message: string): AwsRefusal {
  return new AwsRefusal('InvalidIdentityToken', message);
}
