import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JSONWebKeySet, SignJWT } from 'jose';
import type { Now } from '../../core/effects.ts';
import { apiError } from './error.ts';
import type {
  AccessToken,
  AccessTokens,
  Permission,
  Principal,
  ServiceAccount,
  ServiceAccounts,
} from './principals.ts';

export type Method = 'generateAccessToken' | 'generateIdToken';

/** The fields of both methods' bodies; each is checked on use. */
export interface GenerateBody {
  readonly scope?: unknown;
  readonly lifetime?: unknown;
  readonly delegates?: unknown;
  readonly audience?: unknown;
  readonly includeEmail?: unknown;
}

const DEFAULT_LIFETIME_SECONDS = 3600;
const ACCEPTED_SCOPES = [
  'https://www.googleapis.com/auth/cloud-platform',
  'https://www.googleapis.com/auth/iam',
];
const SCOPE = /^(?:https:\/\/[a-z0-9.-]+\/\S*|openid|email|profile)$/;
const DELEGATE = /^projects\/-\/serviceAccounts\/(?<email>[^/]+)$/;

/** Google's IAM Service Account Credentials API: tokens of Google service accounts for those who may have them. */
export class IamCredentials {
  /** 43,200 if an organization policy extends lifetimes. */
  maxLifetimeSeconds = 3600;
  /** Of ID tokens, which last an hour at Google; less to see them renewed. */
  idTokenSeconds = 3600;
  /** By project, who may have calls counted against its quota: `serviceusage.services.use`. */
  readonly quotaProjects = new Map<string, Set<string>>();
  readonly #tokens: AccessTokens;
  readonly #accounts: ServiceAccounts;
  readonly #now: Now;
  readonly #keyPair: CryptoKeyPair;
  readonly #keyID: string;

  private constructor(
    tokens: AccessTokens,
    accounts: ServiceAccounts,
    now: Now,
    keyPair: CryptoKeyPair,
    readonly jwks: JSONWebKeySet,
    keyID: string,
  ) {
    this.#tokens = tokens;
    this.#accounts = accounts;
    this.#now = now;
    this.#keyPair = keyPair;
    this.#keyID = keyID;
  }

  static async create(tokens: AccessTokens, accounts: ServiceAccounts, now: Now): Promise<IamCredentials> {
    const keyPair = await generateKeyPair('RS256');
    const key = await exportJWK(keyPair.publicKey);
    const keyID = await calculateJwkThumbprint(key);
    const jwks = { keys: [{ use: 'sig', alg: 'RS256', kid: keyID, ...key }] };
    return new IamCredentials(tokens, accounts, now, keyPair, jwks, keyID);
  }

  /** The token of an `Authorization` header. Throws a 401 if this Google did not issue it, or if it has expired. */
  authenticate(authorization: string | null): AccessToken {
    const { value } = /^Bearer (?<value>.+)$/i.exec(authorization ?? '')?.groups ?? {};
    const token = value === undefined ? undefined : this.#tokens.find(value);
    if (token === undefined) {
      throw apiError(
        401,
        'Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other ' +
          'valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.',
      );
    }
    return token;
  }

  /** `:generateAccessToken`; `quotaProject` is the header `x-goog-user-project`. Lifetimes are in whole seconds, as is `expireTime`. */
  generateAccessToken(caller: AccessToken, email: string, body: GenerateBody, quotaProject?: string) {
    this.#checkQuotaProject(caller, quotaProject);
    this.#checkScope(caller, 'GenerateAccessToken');
    const scopes = parseScopes(body.scope);
    const lifetime = parseLifetime(body.lifetime);
    if (lifetime > this.maxLifetimeSeconds) {
      throw apiError(
        400,
        `The access token lifetime cannot exceed ${this.maxLifetimeSeconds} seconds, but ${lifetime} were asked for.`,
      );
    }
    const account = this.#authorize(caller, email, 'iam.serviceAccounts.getAccessToken', body.delegates);
    const expiresAt = (Math.floor(this.#now() / 1000) + lifetime) * 1000;
    return {
      accessToken: this.#tokens.issue({ principal: principalOf(account), scopes, expiresAt }),
      expireTime: new Date(expiresAt).toISOString().replace('.000Z', 'Z'),
    };
  }

  /** `:generateIdToken`, for {@link idTokenSeconds}. */
  async generateIdToken(caller: AccessToken, email: string, body: GenerateBody, quotaProject?: string) {
    this.#checkQuotaProject(caller, quotaProject);
    this.#checkScope(caller, 'GenerateIdToken');
    const { audience, includeEmail = false } = body;
    if (typeof audience !== 'string' || audience === '' || typeof includeEmail !== 'boolean') {
      throw invalidArgument();
    }
    const account = this.#authorize(caller, email, 'iam.serviceAccounts.getOpenIdToken', body.delegates);
    const issuedAt = Math.floor(this.#now() / 1000);
    const token = await new SignJWT({
      aud: audience,
      azp: account.uniqueID,
      ...(includeEmail && { email, email_verified: true }),
      exp: issuedAt + this.idTokenSeconds,
      iat: issuedAt,
      iss: 'https://accounts.google.com',
      sub: account.uniqueID,
    })
      .setProtectedHeader({ alg: 'RS256', kid: this.#keyID, typ: 'JWT' })
      .sign(this.#keyPair.privateKey);
    return { token };
  }

  /** https://cloud.google.com/docs/quotas/set-quota-project */
  #checkQuotaProject({ principal: { member, memberOf } }: AccessToken, project: string | undefined): void {
    if (project === undefined) return;
    const users = this.quotaProjects.get(project);
    if ([member, ...memberOf].some((name) => users?.has(name))) return;
    throw apiError(
      403,
      `Caller does not have required permission to use project ${project}. Grant the caller the ` +
        'roles/serviceusage.serviceUsageConsumer role, or a custom role with the serviceusage.services.use permission, by ' +
        `visiting https://console.developers.google.com/iam-admin/iam/project?project=${project} and then retry. ` +
        'Propagation of the new permission may take a few minutes.',
      {
        reason: 'USER_PROJECT_DENIED',
        domain: 'googleapis.com',
        metadata: { service: 'iamcredentials.googleapis.com', consumer: `projects/${project}` },
      },
    );
  }

  #checkScope(caller: AccessToken, method: string): void {
    if (caller.scopes.some((scope) => ACCEPTED_SCOPES.includes(scope))) return;
    throw apiError(403, 'Request had insufficient authentication scopes.', {
      reason: 'ACCESS_TOKEN_SCOPE_INSUFFICIENT',
      domain: 'googleapis.com',
      metadata: {
        method: `google.iam.credentials.v1.IAMCredentials.${method}`,
        service: 'iamcredentials.googleapis.com',
      },
    });
  }

  /** Every delegate must let its predecessor go on in its name, and the account the last one have its token. */
  #authorize(caller: AccessToken, email: string, permission: Permission, delegates: unknown): ServiceAccount {
    let principal = caller.principal;
    for (const delegate of parseDelegates(delegates)) {
      principal = principalOf(this.#permitted(principal, delegate, 'iam.serviceAccounts.implicitDelegation'));
    }
    return this.#permitted(principal, email, permission);
  }

  #permitted(principal: Principal, email: string, permission: Permission): ServiceAccount {
    const account = this.#accounts.get(email);
    if (account === undefined) throw apiError(404, 'Requested entity was not found.');
    if (!this.#accounts.permits(email, permission, [principal.member, ...principal.memberOf])) {
      throw apiError(403, `Permission '${permission}' denied on resource (or it may not exist).`, {
        reason: 'IAM_PERMISSION_DENIED',
        domain: 'iam.googleapis.com',
        metadata: { permission },
      });
    }
    return account;
  }
}

function principalOf({ email }: ServiceAccount): Principal {
  return { kind: 'service-account', member: `serviceAccount:${email}`, memberOf: [] };
}

function parseScopes(scope: unknown): readonly string[] {
  const scopes = strings(scope);
  if (scopes.length === 0 || !scopes.every((value) => SCOPE.test(value))) throw invalidArgument();
  return scopes;
}

/** `"3600s"`, as google.protobuf.Duration is written in JSON, in seconds. */
function parseLifetime(lifetime: unknown): number {
  if (lifetime === undefined) return DEFAULT_LIFETIME_SECONDS;
  if (typeof lifetime !== 'string') throw invalidArgument();
  const { seconds = '0' } = /^(?<seconds>[0-9]+)(?:\.[0-9]+)?s$/.exec(lifetime)?.groups ?? {};
  const value = Number(seconds);
  if (value <= 0) throw invalidArgument();
  return value;
}

function parseDelegates(delegates: unknown): readonly string[] {
  return strings(delegates ?? []).map((delegate) => {
    const { email } = DELEGATE.exec(delegate)?.groups ?? {};
    if (email === undefined) throw invalidArgument();
    return email;
  });
}

function strings(value: unknown): readonly string[] {
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'string')) throw invalidArgument();
  return value;
}

function invalidArgument() {
  return apiError(400, 'Request contains an invalid argument.');
}
