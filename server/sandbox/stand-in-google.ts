import type { JSONWebKeySet } from 'jose';
import { type Effects, systemEffects } from '../core/effects.ts';
import { apiError, GoogleRefusal, oauthError } from './google/error.ts';
import { type GenerateBody, IamCredentials, type Method } from './google/iam-credentials.ts';
import { type AccessToken, AccessTokens, ServiceAccounts } from './google/principals.ts';
import { type ProviderOptions, SecurityTokenService } from './google/security-token-service.ts';
import { type Call, Journal } from './journal.ts';
import { FaultSwitch, Listener, RESET } from './listener.ts';

/** A request to the stand-in Google, without token values. */
export interface GoogleCall extends Call {
  /** `other`: a path that the stand-in does not have. */
  readonly method: 'token' | Method | 'other';
  /** Of IAM calls: the account whose token is requested. */
  readonly account: string | undefined;
  /** Who asked, as named in IAM policies; undefined until authenticated. */
  principal: string | undefined;
  scopes: readonly string[] | undefined;
  /** Of an exchange: the provider; of an ID token: its audience. */
  audience: string | undefined;
  /** Of IAM calls: the project whose quota is charged, if they name one. */
  readonly quotaProject: string | undefined;
}

interface StandInGoogleOptions {
  readonly hostname?: string;
  /** By default one that the system picks on the first start. */
  readonly port?: number;
  readonly effects?: Pick<Effects, 'now' | 'sleep'>;
}

const GENERATE =
  /^\/v1\/projects\/-\/serviceAccounts\/(?<account>[^/:]+):(?<method>generateAccessToken|generateIdToken)$/;

type Handled = Response | typeof RESET;

/**
 * The parts of Google that a metadata server and its clients use: the token exchange (sts.googleapis.com), tokens of
 * service accounts (iamcredentials.googleapis.com), and introspect, tokeninfo and certs to inspect issued tokens.
 */
export class StandInGoogle {
  readonly journal = new Journal<GoogleCall>();
  readonly faults = { sts: new FaultSwitch(), iam: new FaultSwitch() };
  /** The service accounts and who may use them. */
  readonly serviceAccounts = new ServiceAccounts();
  readonly sts: SecurityTokenService;
  readonly #effects: Pick<Effects, 'now' | 'sleep'>;
  readonly #tokens: AccessTokens;
  readonly #listener: Listener;
  #iam: IamCredentials | undefined;

  constructor(options: StandInGoogleOptions = {}) {
    this.#effects = options.effects ?? systemEffects;
    this.#tokens = new AccessTokens(this.#effects.now);
    this.sts = new SecurityTokenService(this.#tokens, this.#effects.now);
    this.#listener = new Listener({
      hostname: options.hostname ?? '127.0.0.1',
      port: options.port ?? 0,
      handle: (request) => this.#handle(request),
    });
  }

  /** May follow {@link stop}, with the same address, keys and tokens. Resolves with itself. */
  async start(): Promise<this> {
    this.#iam ??= await IamCredentials.create(this.#tokens, this.serviceAccounts, this.#effects.now);
    await this.#listener.start();
    return this;
  }

  async stop(): Promise<void> {
    await this.#listener.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const fault of Object.values(this.faults)) fault.heal();
    await this.stop();
  }

  /** The base URL of both services, without a trailing slash. */
  get url(): string {
    return this.#listener.url;
  }

  /** The public keys of its ID tokens, as served at `/oauth2/v3/certs`. */
  get jwks(): JSONWebKeySet {
    return this.iam.jwks;
  }

  get iam(): IamCredentials {
    if (this.#iam === undefined) throw new Error('The stand-in has no key before its first start()');
    return this.#iam;
  }

  /** Trusts a cluster, by its issuer and keys. */
  addProvider(options: ProviderOptions): void {
    this.sts.addProvider(options);
  }

  /** What `tokeninfo` reports about an access token; undefined if it is unknown or has expired. */
  describe(accessToken: string): AccessToken | undefined {
    return this.#tokens.find(accessToken);
  }

  async #handle(request: Request): Promise<Handled> {
    const url = new URL(request.url);
    if (request.method === 'POST' && url.pathname === '/v1/token') return this.#exchange(request);
    // the only character of an email that is ever encoded
    const { account, method } = GENERATE.exec(url.pathname.replace('%40', '@'))?.groups ?? {};
    if (request.method === 'POST' && account !== undefined && method !== undefined) {
      return this.#generate(request, account, method === 'generateIdToken' ? method : 'generateAccessToken');
    }
    if (url.pathname === '/oauth2/v3/certs') return Response.json(this.jwks);
    if (request.method === 'POST' && url.pathname === '/v1/introspect') return this.#introspect(request);
    if (url.pathname === '/oauth2/v3/tokeninfo') return this.#tokenInfo(request, url);
    this.journal.answered(this.#record('other', undefined, {}), 404);
    return apiError(404, 'Requested entity was not found.').response;
  }

  async #exchange(request: Request): Promise<Handled> {
    const form = new URLSearchParams(await request.text());
    const call = this.#record('token', undefined, {
      audience: form.get('audience') ?? undefined,
      scopes: form.get('scope')?.split(' '),
    });
    return this.#answer(request, call, this.faults.sts, stsFailure, async () => {
      const type = request.headers.get('content-type') ?? '';
      if (!type.startsWith('application/x-www-form-urlencoded')) {
        throw oauthError('invalid_request', 'The body is expected to be application/x-www-form-urlencoded.');
      }
      const answer = await this.sts.exchange(form);
      call.principal = this.describe(answer.access_token)?.principal.member;
      return answer;
    });
  }

  async #generate(request: Request, account: string, method: Method): Promise<Handled> {
    const body = await request.text();
    const quotaProject = request.headers.get('x-goog-user-project') ?? undefined;
    const call = this.#record(method, account, { quotaProject });
    return this.#answer(request, call, this.faults.iam, iamFailure, async () => {
      const caller = this.iam.authenticate(request.headers.get('authorization'));
      call.principal = caller.principal.member;
      const fields = parseBody(body);
      if (method === 'generateIdToken') {
        call.audience = typeof fields.audience === 'string' ? fields.audience : undefined;
        return this.iam.generateIdToken(caller, account, fields, quotaProject);
      }
      call.scopes = Array.isArray(fields.scope) ? fields.scope.map(String) : undefined;
      return this.iam.generateAccessToken(caller, account, fields, quotaProject);
    });
  }

  #record(
    method: GoogleCall['method'],
    account: string | undefined,
    known: {
      audience?: string | undefined;
      scopes?: readonly string[] | undefined;
      quotaProject?: string | undefined;
    },
  ): GoogleCall {
    return this.journal.record({
      at: this.#effects.now(),
      method,
      account,
      principal: undefined,
      scopes: known.scopes,
      audience: known.audience,
      quotaProject: known.quotaProject,
      status: undefined,
    });
  }

  async #answer(
    request: Request,
    call: GoogleCall,
    fault: FaultSwitch,
    failure: (status: number) => Response,
    serve: () => Promise<object>,
  ): Promise<Handled> {
    const intercepted = await fault.intercept(request, this.#effects.sleep, failure);
    if (intercepted === RESET) return RESET;
    const response = intercepted ?? (await serve().then((body) => Response.json(body), refused));
    this.journal.answered(call, response.status);
    return response;
  }

  /** https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/introspect, which gcloud asks for the principal. */
  async #introspect(request: Request): Promise<Response> {
    const form = new URLSearchParams(await request.text());
    const token = this.describe(form.get('token') ?? '');
    if (token === undefined) return Response.json({ active: false });
    return Response.json({
      active: true,
      iss: 'https://sts.googleapis.com/',
      username: token.principal.member,
      scope: token.scopes.join(' '),
      exp: token.expiresAt / 1000,
    });
  }

  /** https://www.googleapis.com/oauth2/v3/tokeninfo: numbers are strings there. */
  async #tokenInfo(request: Request, url: URL): Promise<Response> {
    const parameters =
      request.method === 'POST' ? new URLSearchParams(await request.text()) : url.searchParams;
    const token = this.describe(parameters.get('access_token') ?? '');
    if (token === undefined) return oauthError('invalid_token', 'Invalid Value').response;
    const { kind, member } = token.principal;
    const email = kind === 'service-account' ? member.slice('serviceAccount:'.length) : undefined;
    const uniqueID = email === undefined ? undefined : this.serviceAccounts.get(email)?.uniqueID;
    return Response.json({
      ...(uniqueID === undefined ? { sub: member } : { azp: uniqueID, aud: uniqueID, sub: uniqueID }),
      scope: token.scopes.join(' '),
      exp: `${token.expiresAt / 1000}`,
      expires_in: `${Math.floor((token.expiresAt - this.#effects.now()) / 1000)}`,
      ...(email !== undefined && { email, email_verified: 'true' }),
      access_type: 'online',
    });
  }
}

function stsFailure(status: number): Response {
  return oauthError('temporarily_unavailable', 'The stand-in is set to fail.', status).response;
}

function iamFailure(status: number): Response {
  return apiError(status, 'The stand-in is set to fail.').response;
}

function parseBody(body: string): GenerateBody {
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed === 'object' && parsed !== null) return parsed;
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
  }
  throw apiError(400, 'Invalid JSON payload received. Unexpected token.');
}

function refused(error: unknown): Response {
  if (error instanceof GoogleRefusal) return error.response;
  throw error;
}
