import {
  calculateJwkThumbprint,
  createLocalJWKSet,
  errors,
  exportJWK,
  generateKeyPair,
  type JSONWebKeySet,
  jwtVerify,
  SignJWT,
} from 'jose';
import type { Now } from '../../core/effects.ts';
import type { IssuerKeys } from '../issuer-keys.ts';
import { checkClientAssertion } from './client-assertion.ts';
import type { Directory, Identity } from './directory.ts';
import { EntraRefusal } from './error.ts';

/** Whose access token it is, and for what. */
export interface EntraToken {
  readonly tenantID: string;
  readonly clientID: string;
  /** `aud`: the scope without `/.default`. */
  readonly resource: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
// MSAL for Go asks for them, too; they mean nothing to an application
const OPENID_SCOPES = ['openid', 'offline_access', 'profile'];
// services of Azure that every tenant has
const RESOURCES = [
  'https://database.windows.net',
  'https://graph.microsoft.com',
  'https://management.azure.com',
  'https://management.core.windows.net',
  'https://storage.azure.com',
  'https://vault.azure.net',
];

/** `POST /TENANT/oauth2/v2.0/token` with client credentials: an assertion in, an access token out. */
export class TokenEndpoint {
  /** What tokens can be for, each with a slash at its end or without. */
  readonly resources = new Set(RESOURCES);
  /** Of its access tokens. */
  readonly lifetimeSeconds = { application: 3599, 'managed identity': 86_399 };

  #key: Promise<SigningKey> | undefined;

  constructor(
    private readonly directory: Directory,
    private readonly issuers: IssuerKeys,
    private readonly now: Now,
  ) {}

  /** The public keys of its access tokens. */
  async jwks(): Promise<JSONWebKeySet> {
    return (await this.#signingKey()).jwks;
  }

  /** The body of the response. Throws an {@link EntraRefusal}. */
  async issue(tenantName: string, form: URLSearchParams) {
    const tenant = this.directory.tenant(tenantName);
    const grantType = required(form, 'grant_type');
    if (grantType !== 'client_credentials') {
      throw new EntraRefusal(
        70003,
        'unsupported_grant_type',
        `The app requested an unsupported grant type '${grantType}'.`,
      );
    }
    const clientID = required(form, 'client_id');
    const scope = required(form, 'scope');
    const identity = this.directory.identity(tenant, clientID);
    const assertion = form.get('client_assertion');
    if (assertion === null || form.get('client_assertion_type') !== ASSERTION_TYPE) {
      throw new EntraRefusal(
        7000218,
        'invalid_client',
        "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
      );
    }
    const resource = this.#resource(scope, tenant.name);
    await checkClientAssertion(identity, assertion, this.issuers, this.now);
    const lifetime = this.lifetimeSeconds[identity.kind];
    return {
      token_type: 'Bearer',
      expires_in: lifetime,
      ext_expires_in: lifetime,
      access_token: await this.#sign(identity, resource, lifetime),
    };
  }

  /** Undefined if it is not a token of this endpoint, or has expired. */
  async describe(accessToken: string): Promise<EntraToken | undefined> {
    try {
      const options = { currentDate: new Date(this.now()) };
      const keys = createLocalJWKSet(await this.jwks());
      const { payload } = await jwtVerify(accessToken, keys, options);
      const { tid, appid, aud, exp = 0 } = payload;
      return { tenantID: `${tid}`, clientID: `${appid}`, resource: `${aud}`, expiresAt: exp * 1000 };
    } catch (error) {
      if (error instanceof errors.JOSEError) return undefined;
      throw error;
    }
  }

  #resource(scope: string, tenantName: string): string {
    const scopes = scope.split(' ').filter((value) => value !== '' && !OPENID_SCOPES.includes(value));
    const [only = ''] = scopes;
    if (scopes.length > 1) {
      throw invalidScope(
        28000,
        `Provided value for the input parameter scope is not valid because it contains more than one resource. Scope ${scope} is not valid.`,
      );
    }
    if (!only.endsWith('/.default')) {
      throw invalidScope(
        1002012,
        `The provided value for scope ${scope} is not valid. Client credential flows must have a scope value with ` +
          '/.default suffixed to the resource identifier (application ID URI).',
      );
    }
    const resource = only.slice(0, -'/.default'.length);
    if (!/^(?:[a-z][a-z0-9+.-]*:\/\/\S+|[0-9a-f-]{36})$/i.test(resource)) {
      throw invalidScope(
        70011,
        `The provided request must include a 'scope' input parameter. The provided value for the input parameter ` +
          `'scope' is not valid. The scope ${scope} is not valid. The scope format is invalid. Scope must be in a ` +
          'valid URI form <https://example/scope> or a valid Guid <guid/scope>.',
      );
    }
    if (this.resources.has(resource.replace(/\/$/, ''))) return resource;
    throw new EntraRefusal(
      500011,
      'invalid_resource',
      `The resource principal named ${resource} was not found in the tenant named ${tenantName}. This can happen if ` +
        'the application has not been installed by the administrator of the tenant or consented to by any user in ' +
        'the tenant. You might have sent your authentication request to the wrong tenant.',
    );
  }

  async #sign({ tenantID, clientID, objectID }: Identity, resource: string, lifetime: number) {
    const { keyID, privateKey } = await this.#signingKey();
    const issuer = `https://sts.windows.net/${tenantID}/`;
    const issuedAt = Math.floor(this.now() / 1000);
    return new SignJWT({
      aud: resource,
      iss: issuer,
      iat: issuedAt,
      nbf: issuedAt,
      exp: issuedAt + lifetime,
      appid: clientID,
      // a client assertion, not a secret
      appidacr: '2',
      idp: issuer,
      idtyp: 'app',
      oid: objectID,
      sub: objectID,
      tid: tenantID,
      ver: '1.0',
    })
      .setProtectedHeader({ alg: 'RS256', kid: keyID, typ: 'JWT' })
      .sign(privateKey);
  }

  /** Made for the first token: most worlds never ask for one. */
  #signingKey(): Promise<SigningKey> {
    this.#key ??= newKey();
    return this.#key;
  }
}

interface SigningKey {
  readonly keyID: string;
  readonly privateKey: CryptoKey;
  readonly jwks: JSONWebKeySet;
}

async function newKey(): Promise<SigningKey> {
  const { publicKey, privateKey } = await generateKeyPair('RS256');
  const key = await exportJWK(publicKey);
  const keyID = await calculateJwkThumbprint(key);
  return { keyID, privateKey, jwks: { keys: [{ use: 'sig', kid: keyID, ...key }] } };
}

function required(form: URLSearchParams, name: string): string {
  const value = form.get(name);
  if (value !== null && value !== '') return value;
  throw new EntraRefusal(
    900144,
    'invalid_request',
    `The request body must contain the following parameter: '${name}'.`,
  );
}

function invalidScope(code: number, message: string): EntraRefusal {
  return new EntraRefusal(code, 'invalid_scope', message);
}
