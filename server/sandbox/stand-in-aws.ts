import { type Effects, systemEffects } from '../core/effects.ts';
import { AwsRefusal, errorResponse, resultResponse } from './aws/error.ts';
import { Iam } from './aws/iam.ts';
import { authenticate } from './aws/request-signature.ts';
import { SecurityTokenService } from './aws/security-token-service.ts';
import { type Session, Sessions } from './aws/sessions.ts';
import { IssuerKeys } from './issuer-keys.ts';
import { type Call, Journal } from './journal.ts';
import { FaultSwitch, Listener, RESET, type TlsIdentity } from './listener.ts';

/** A request to the stand-in STS, without tokens and credentials. */
interface AwsCall extends Call {
  /** As the caller writes it; undefined if it names none. */
  readonly action: string | undefined;
  readonly roleArn: string | undefined;
  readonly sessionName: string | undefined;
  readonly durationSeconds: number | undefined;
  /** Who the caller is, or has become: `arn:aws:sts::…:assumed-role/…`; undefined until authenticated. */
  principal: string | undefined;
  /** The code of the error, if it is one. */
  code: string | undefined;
}

interface StandInAwsOptions {
  readonly hostname?: string;
  /** By default one that the system picks on the first start. */
  readonly port?: number;
  /** By default it speaks plain http. */
  readonly tls?: TlsIdentity | undefined;
  readonly effects?: Pick<Effects, 'now' | 'sleep'>;
}

const VERSION = '2011-06-15';

type Action = (request: Request, body: string, form: URLSearchParams, call: AwsCall) => Promise<object>;

/** AWS's Security Token Service, with the roles and OIDC providers that it decides by. One endpoint for all regions. */
export class StandInAws {
  readonly journal = new Journal<AwsCall>();
  readonly faults = { sts: new FaultSwitch() };
  readonly iam = new Iam();
  /** The keys that STS finds at the issuers of tokens, Google's included. */
  readonly issuers = new IssuerKeys();
  /** The temporary credentials that it has issued. */
  readonly sessions: Sessions;
  readonly #effects: Pick<Effects, 'now' | 'sleep'>;
  readonly #sts: SecurityTokenService;
  readonly #listener: Listener;
  readonly #actions: ReadonlyMap<string, Action>;

  constructor(options: StandInAwsOptions = {}) {
    this.#effects = options.effects ?? systemEffects;
    const { now } = this.#effects;
    this.sessions = new Sessions(now);
    this.#sts = new SecurityTokenService(this.iam, this.sessions, this.issuers, now);
    this.#listener = new Listener({
      hostname: options.hostname ?? '127.0.0.1',
      port: options.port ?? 0,
      tls: options.tls,
      handle: (request) => this.#handle(request),
    });
    this.#actions = new Map<string, Action>([
      [
        'AssumeRoleWithWebIdentity',
        async (_request, _body, form, call) => {
          const result = await this.#sts.assumeRoleWithWebIdentity(form);
          call.principal = result.AssumedRoleUser.Arn;
          return result;
        },
      ],
      [
        'AssumeRole',
        async (request, body, form, call) =>
          this.#sts.assumeRole(await this.#caller(request, body, call), form),
      ],
      [
        'GetCallerIdentity',
        async (request, body, _form, call) =>
          this.#sts.getCallerIdentity(await this.#caller(request, body, call)),
      ],
    ]);
  }

  /** May follow {@link stop}, with the same address, roles and credentials. Resolves with itself. */
  async start(): Promise<this> {
    await this.#listener.start();
    return this;
  }

  async stop(): Promise<void> {
    await this.#listener.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.faults.sts.heal();
    await this.stop();
  }

  /** What `AWS_ENDPOINT_URL_STS` is set to, without a trailing slash. */
  get url(): string {
    return this.#listener.url;
  }

  /** Whose credentials have this access key ID; undefined if it is unknown or they have expired. */
  describe(accessKeyID: string): { readonly arn: string; readonly expiresAt: number } | undefined {
    const session = this.sessions.find(accessKeyID);
    if (session === undefined || session.expiresAt <= this.#effects.now()) return undefined;
    return { arn: session.role.arn.session(session.name), expiresAt: session.expiresAt };
  }

  async #handle(request: Request): Promise<Response | typeof RESET> {
    const body = await request.text();
    const form = new URLSearchParams(request.method === 'GET' ? new URL(request.url).search : body);
    const call = this.journal.record({
      at: this.#effects.now(),
      action: form.get('Action') ?? undefined,
      roleArn: form.get('RoleArn') ?? undefined,
      sessionName: form.get('RoleSessionName') ?? undefined,
      durationSeconds: Number(form.get('DurationSeconds')) || undefined,
      principal: undefined,
      code: undefined,
      status: undefined,
    });
    const requestID = crypto.randomUUID();
    const refuse = (error: unknown) => {
      if (!(error instanceof AwsRefusal)) throw error;
      call.code = error.code;
      return errorResponse(error, requestID);
    };
    const intercepted = await this.faults.sts.intercept(request, this.#effects.sleep, (status) =>
      refuse(outage(status)),
    );
    if (intercepted === RESET) return RESET;
    const response =
      intercepted ??
      (await this.#perform(request, body, form, call).then(
        (result) => resultResponse(call.action ?? '', result, requestID),
        refuse,
      ));
    this.journal.answered(call, response.status);
    return response;
  }

  async #perform(request: Request, body: string, form: URLSearchParams, call: AwsCall): Promise<object> {
    const name = form.get('Action');
    if (name === null) {
      throw new AwsRefusal('MissingAction', 'The request must contain the parameter Action');
    }
    const version = form.get('Version') ?? 'NO_VERSION_SPECIFIED';
    const action = this.#actions.get(name);
    if (action === undefined || version !== VERSION || new URL(request.url).pathname !== '/') {
      throw new AwsRefusal('InvalidAction', `Could not find operation ${name} for version ${version}`);
    }
    return action(request, body, form, call);
  }

  async #caller(request: Request, body: string, call: AwsCall): Promise<Session> {
    const session = await authenticate(request, body, this.sessions, this.#effects.now);
    call.principal = session.role.arn.session(session.name);
    return session;
  }
}

/** 400 and 429 are Throttling, which is a 400 of STS. */
function outage(status: number): AwsRefusal {
  if (status < 500) return new AwsRefusal('Throttling', 'Rate exceeded');
  return status === 500
    ? new AwsRefusal('InternalFailure', 'The stand-in is set to fail.')
    : new AwsRefusal('ServiceUnavailable', 'The stand-in is set to fail.');
}
