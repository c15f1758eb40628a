import {
  compactVerify,
  createLocalJWKSet,
  createRemoteJWKSet,
  decodeJwt,
  errors,
  type JSONWebKeySet,
  type JWTPayload,
  type JWTVerifyGetKey,
} from 'jose';
import type { Now } from '../../core/effects.ts';
import type { WorkloadIdentityProvider } from '../../google/workload-identity-provider.ts';
import { oauthError } from './error.ts';
import type { AccessTokens, Principal } from './principals.ts';

/** A workload identity pool provider as Google has it configured. */
export interface ProviderOptions {
  readonly provider: WorkloadIdentityProvider;
  /** `iss` of the cluster's tokens. */
  readonly issuer: string;
  /** The cluster's public keys: uploaded, or fetched from a URL. */
  readonly jwks: JSONWebKeySet | URL;
  /** By default the provider's own name, with `https:` or without. */
  readonly allowedAudiences?: readonly string[];
  /** Over the claims of the Kubernetes token; by default every token of the issuer is taken. */
  readonly attributeCondition?: (claims: JWTPayload) => boolean;
}

interface ExchangeResponse {
  readonly access_token: string;
  readonly issued_token_type: string;
  readonly token_type: 'Bearer';
  readonly expires_in?: number;
}

const GRANT_TYPE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:access_token';
const SUBJECT_TOKEN_TYPES = [
  'urn:ietf:params:oauth:token-type:jwt',
  'urn:ietf:params:oauth:token-type:id_token',
];
const MAX_LIFETIME_SECONDS = 3600;
// https://cloud.google.com/iam/docs/workload-identity-federation#mapping
const MAX_SUBJECT_BYTES = 127;
// https://cloud.google.com/iam/docs/workload-identity-federation-with-other-providers#requirements
const MAX_SUBJECT_TOKEN_SECONDS = 24 * 3600;
// gcloud asks for the first
const SCOPE = /^(?:openid|https:\/\/www\.googleapis\.com\/auth\/[a-z0-9._-]+)$/;

interface Provider extends ProviderOptions {
  readonly keys: JWTVerifyGetKey;
}

/** Google's Security Token Service: a cluster's token in, a federated access token out. */
export class SecurityTokenService {
  /** Google may leave `expires_in` out; so does this where set. */
  omitExpiresIn = false;
  readonly #tokens: AccessTokens;
  readonly #now: Now;
  readonly #providers = new Map<string, Provider>();

  constructor(tokens: AccessTokens, now: Now) {
    this.#tokens = tokens;
    this.#now = now;
  }

  addProvider(options: ProviderOptions): void {
    const { jwks } = options;
    const keys = jwks instanceof URL ? createRemoteJWKSet(jwks) : createLocalJWKSet(jwks);
    this.#providers.set(options.provider.audience, { ...options, keys });
  }

  /** Throws a refusal in the form of RFC 6749. */
  async exchange(form: URLSearchParams): Promise<ExchangeResponse> {
    this.#checkForm(form);
    const provider = this.#provider(form.get('audience') ?? '');
    const scopes = parseScopes(form.get('scope'));
    const claims = await this.#verify(provider, form.get('subject_token') ?? '');
    const nowSeconds = Math.floor(this.#now() / 1000);
    const lifetime = Math.min(MAX_LIFETIME_SECONDS, claims.exp - nowSeconds);
    const token = this.#tokens.issue({
      principal: principalOf(provider.provider, claims.sub),
      scopes,
      expiresAt: (nowSeconds + lifetime) * 1000,
    });
    return {
      access_token: token,
      issued_token_type: ACCESS_TOKEN_TYPE,
      token_type: 'Bearer',
      ...(!this.omitExpiresIn && { expires_in: lifetime }),
    };
  }

  #checkForm(form: URLSearchParams): void {
    if (form.get('grant_type') !== GRANT_TYPE) {
      throw oauthError('unsupported_grant_type', `Invalid value for "grant_type": expected ${GRANT_TYPE}.`);
    }
    if (form.get('requested_token_type') !== ACCESS_TOKEN_TYPE) {
      throw invalid('requested_token_type');
    }
    if (!SUBJECT_TOKEN_TYPES.includes(form.get('subject_token_type') ?? '')) {
      throw invalid('subject_token_type');
    }
    if ((form.get('subject_token') ?? '') === '') throw invalid('subject_token');
  }

  #provider(audience: string): Provider {
    if (
      !/^\/\/iam\.googleapis\.com\/projects\/[0-9]+\/locations\/global\/workloadIdentityPools\//.test(
        audience,
      )
    ) {
      throw oauthError(
        'invalid_request',
        'Invalid value for "audience". This value should be the full resource name of the Identity Provider. ' +
          'See https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token for the list of possible formats.',
      );
    }
    const provider = this.#providers.get(audience);
    if (provider === undefined) {
      throw oauthError(
        'invalid_target',
        'The target service indicated by the "audience" parameters is invalid. This might either be because the ' +
          "pool or provider is disabled or deleted or because it doesn't exist.",
      );
    }
    return provider;
  }

  async #verify(provider: Provider, token: string): Promise<SubjectClaims> {
    const claims = await verifySignature(provider, token);
    if (claims.iss !== provider.issuer) {
      throw oauthError(
        'invalid_grant',
        `The issuer in ID Token ${claims.iss} does not match the expected ones: ${provider.issuer}.`,
      );
    }
    checkAudience(provider, claims);
    const { exp, iat, sub } = claims;
    if (typeof exp !== 'number' || typeof iat !== 'number' || typeof sub !== 'string' || sub === '') {
      throw oauthError('invalid_grant', 'The given ID Token lacks one of the claims exp, iat, sub.');
    }
    this.#checkTimes(iat, exp);
    if (Buffer.byteLength(sub) > MAX_SUBJECT_BYTES) {
      throw oauthError(
        'invalid_request',
        `The size of mapped attribute google.subject exceeds the ${MAX_SUBJECT_BYTES} bytes limit. Either modify your ` +
          'attribute mapping or the incoming assertion to produce a mapped attribute that is less than ' +
          `${MAX_SUBJECT_BYTES} bytes.`,
      );
    }
    if (provider.attributeCondition !== undefined && !provider.attributeCondition(claims)) {
      throw oauthError('unauthorized_client', 'The given credential is rejected by the attribute condition.');
    }
    return { exp, sub };
  }

  #checkTimes(iat: number, exp: number): void {
    const now = this.#now() / 1000;
    if (exp <= now || iat > now + 60) {
      throw oauthError('invalid_grant', `ID Token issued at ${iat} is stale to sign-in.`);
    }
    if (exp - iat > MAX_SUBJECT_TOKEN_SECONDS) {
      throw oauthError('invalid_grant', 'The lifetime of the given ID Token is longer than 24 hours.');
    }
  }
}

interface SubjectClaims {
  readonly exp: number;
  readonly sub: string;
}

async function verifySignature(provider: Provider, token: string): Promise<JWTPayload> {
  try {
    // the signature alone: the claims are checked one by one, each with Google's text
    await compactVerify(token, provider.keys, { algorithms: ['RS256', 'ES256'] });
    return decodeJwt(token);
  } catch (cause) {
    if (cause instanceof errors.JWKSTimeout || !(cause instanceof errors.JOSEError)) {
      throw oauthError('invalid_grant', "Error connecting to the given credential's issuer.");
    }
    throw oauthError('invalid_grant', 'Unable to verify the signature of the given ID Token.');
  }
}

function checkAudience(provider: Provider, claims: JWTPayload): void {
  const { audience } = provider.provider;
  const allowed = provider.allowedAudiences ?? [audience, `https:${audience}`];
  const audiences = [claims.aud ?? []].flat();
  if (audiences.some((value) => allowed.includes(value))) return;
  throw oauthError(
    'invalid_grant',
    `The audience in ID Token [${audiences.join(', ')}] does not match the expected audience.`,
  );
}

function parseScopes(scope: string | null): readonly string[] {
  const scopes = (scope ?? '').split(' ').filter((value) => value !== '');
  if (scopes.length === 0) throw invalid('scope');
  const bad = scopes.filter((value) => !SCOPE.test(value));
  if (bad.length > 0) {
    const good = scopes.filter((value) => SCOPE.test(value));
    throw oauthError(
      'invalid_scope',
      `Some requested scopes were invalid. {valid=[${good.join(', ')}], invalid=[${bad.join(', ')}]}`,
    );
  }
  return scopes;
}

function principalOf({ projectNumber, pool }: WorkloadIdentityProvider, subject: string): Principal {
  const path = `iam.googleapis.com/projects/${projectNumber}/locations/global/workloadIdentityPools/${pool}`;
  return {
    kind: 'federated',
    member: `principal://${path}/subject/${subject}`,
    memberOf: [`principalSet://${path}/*`],
  };
}

function invalid(parameter: string) {
  return oauthError('invalid_request', `Invalid value for "${parameter}".`);
}
