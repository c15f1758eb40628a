import { AwsFault } from '../../aws/aws-fault.ts';
import { partsOf, type RoleArn } from '../../aws/aws-role.ts';
import type { RoleCredentials } from '../../aws/role-credentials.ts';
import type { AwsCredentials } from '../../aws/sts.ts';
import type { Caller } from '../../caller/caller.ts';
import type { Effects, Now } from '../../core/effects.ts';
import { Fault } from '../../core/fault.ts';
import type { Node } from '../../kubernetes/objects.ts';
import { failureResponse, isRetryable } from '../faults.ts';
import { type Again, type ReadyResponse, readyOf } from '../ready-responses.ts';
import type { MetadataResponse } from '../response.ts';
import { LONGEST_SESSION, SessionTokens } from './session-tokens.ts';

/** What EC2's metadata service answers with. */
export interface Ec2Dependencies {
  readonly credentials: Pick<RoleCredentials, 'of' | 'cached' | 'roleOf'>;
  /** Of session tokens: the same in every server of this Node, and unknown to Pods. */
  readonly sessionKey: Uint8Array;
  /** Whether requests without a session token are answered too: version 1. */
  readonly allowVersion1: boolean;
  /** Undefined: Pods are not told. */
  readonly region: string | undefined;
}

/** A request under `/latest`, whose path is decoded. */
interface Ec2Request {
  readonly method: string;
  readonly path: string;
  /** The value of `x-aws-ec2-metadata-token-ttl-seconds`; null without one. */
  readonly tokenSeconds: string | null;
  /** The value of `x-aws-ec2-metadata-token`; null without one. */
  readonly token: string | null;
}

/** What a request under `/latest` is answered. */
interface Ec2Outcome {
  readonly response: MetadataResponse;
  /** The route in metrics. */
  readonly template: string;
  /** The cause of a refusal. */
  readonly failure?: unknown;
  readonly again?: Again;
}

const TOKEN_HEADER = 'x-aws-ec2-metadata-token';
const TOKEN = '/latest/api/token';
export const EC2_CREDENTIALS_PATH = '/latest/meta-data/iam/security-credentials/';
/** Newer SDKs ask here first: the response names the account too. */
const EXTENDED = '/latest/meta-data/iam/security-credentials-extended/';
const INFO = '/latest/meta-data/iam/info';
const REGION = '/latest/meta-data/placement/region';
const ZONE = '/latest/meta-data/placement/availability-zone';
const DOCUMENT = '/latest/dynamic/instance-identity/document';
const OTHER = '/latest';

/** Whether EC2's metadata service has this path. */
export function isEc2Path(path: string): boolean {
  return path === OTHER || path.startsWith(`${OTHER}/`);
}

/**
 * EC2's instance metadata service, version 2, for the roles of Pods:
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
 */
export class Ec2Api {
  private readonly now: Now;
  readonly #sessions: SessionTokens;
  readonly #ready = new WeakMap<AwsCredentials, ReadyResponse>();
  readonly #readyExtended = new WeakMap<AwsCredentials, ReadyResponse>();

  constructor(
    private readonly dependencies: Ec2Dependencies,
    private readonly node: () => Node | undefined,
    { now }: Pick<Effects, 'now'>,
  ) {
    this.now = now;
    this.#sessions = new SessionTokens(dependencies.sessionKey, now);
  }

  /** For a path that {@link isEc2Path}. Never throws. */
  async respond(request: Ec2Request, identify: () => Promise<Caller>): Promise<Ec2Outcome> {
    const template = templateOf(request.path);
    try {
      return { ...(await this.#respond(request, template, identify)), template };
    } catch (failure) {
      return { response: ec2FailureResponse(failure), template, failure };
    }
  }

  async #respond(
    { method, path, tokenSeconds, token }: Ec2Request,
    template: string,
    identify: () => Promise<Caller>,
  ): Promise<Pick<Ec2Outcome, 'response' | 'again'>> {
    if (template === TOKEN) {
      if (method !== 'PUT') return { response: METHOD_NOT_ALLOWED };
      const seconds = /^\d{1,5}$/.test(tokenSeconds ?? '') ? Number(tokenSeconds) : 0;
      if (seconds < 1 || seconds > LONGEST_SESSION) return { response: BAD_REQUEST };
      const { boundTo } = await identify();
      const issued = text(this.#sessions.issue(boundTo.uid, seconds));
      return { response: { ...issued, headers: { 'X-Aws-Ec2-Metadata-Token-Ttl-Seconds': `${seconds}` } } };
    }
    if (method !== 'GET' && method !== 'HEAD') return { response: METHOD_NOT_ALLOWED };
    const caller = await identify();
    const isAllowed = this.#admission(caller);
    if (!isAllowed(token)) return { response: UNAUTHORIZED };
    const response = await this.#value(caller, path, template);
    const isCredentials = template === EC2_CREDENTIALS_PATH || template === EXTENDED;
    const isOnce = !isCredentials || path.length <= template.length || response.status !== 200;
    if (isOnce || method !== 'GET') return { response };
    return {
      response,
      again: (header) => {
        const cached = this.dependencies.credentials.cached(caller);
        if (cached === undefined || !isAllowed(header(TOKEN_HEADER))) return undefined;
        return this.#readyOf(cached, template === EXTENDED);
      },
    };
  }

  /** Whether a session token, or its absence, is good for a caller. The last one that was is known by its text. */
  #admission(caller: Caller): (token: string | null) => boolean {
    const { allowVersion1 } = this.dependencies;
    let last: { readonly token: string; readonly expiresAt: number } | undefined;
    return (token) => {
      if (token === null) return allowVersion1;
      if (last?.token === token) return this.now() < last.expiresAt;
      const expiresAt = this.#sessions.expiryOf(token, caller.boundTo.uid);
      if (expiresAt !== undefined) last = { token, expiresAt };
      return expiresAt !== undefined;
    };
  }

  async #value(caller: Caller, path: string, template: string): Promise<MetadataResponse> {
    const { credentials, region } = this.dependencies;
    switch (template) {
      case EC2_CREDENTIALS_PATH:
      case EXTENDED: {
        const { name } = partsOf(credentials.roleOf(caller));
        const asked = path.slice(template.length);
        if (asked === '') return text(name);
        if (asked !== name) return NOT_FOUND;
        return this.#credentials(caller, template === EXTENDED);
      }
      case INFO:
        return json(instanceProfile(credentials.roleOf(caller)));
      case REGION:
        return region === undefined ? NOT_FOUND : text(region);
      case ZONE: {
        const zone = this.#zone();
        return zone === undefined ? NOT_FOUND : text(zone);
      }
      case DOCUMENT:
        return region === undefined ? NOT_FOUND : json({ ...this.#document(caller, region) });
      default:
        return NOT_FOUND;
    }
  }

  /** Refused for good, the role has an error in place of credentials, as on an instance whose profile is wrong. */
  async #credentials(caller: Caller, isExtended: boolean): Promise<MetadataResponse> {
    let found: AwsCredentials;
    try {
      found = await this.dependencies.credentials.of(caller);
    } catch (error) {
      if (!(error instanceof AwsFault) || error.transient) throw error;
      return json({ Code: 'AssumeRoleUnauthorizedAccess', Message: error.message });
    }
    return { status: 200, contentType: 'application/json', body: this.#readyOf(found, isExtended).body };
  }

  #readyOf(found: AwsCredentials, isExtended: boolean): ReadyResponse {
    const kept = isExtended ? this.#readyExtended : this.#ready;
    const known = kept.get(found);
    if (known !== undefined) return known;
    const made = readyOf(json(render(found, isExtended)));
    kept.set(found, made);
    return made;
  }

  /** Of the Node's labels, if it is one of the region. */
  #zone(): string | undefined {
    const { region } = this.dependencies;
    const zone = this.node()?.labels['topology.kubernetes.io/zone'];
    return region !== undefined && zone?.startsWith(region) === true ? zone : undefined;
  }

  /** As far as SDKs read it: the region. */
  #document(caller: Caller, region: string): object {
    const zone = this.#zone();
    const { accountID } = partsOf(this.dependencies.credentials.roleOf(caller));
    return {
      version: '2017-09-30',
      accountId: accountID,
      region,
      ...(zone !== undefined && { availabilityZone: zone }),
    };
  }
}

/** The paths of the two lists of credentials end with the name of a role. */
function templateOf(path: string): string {
  for (const list of [EC2_CREDENTIALS_PATH, EXTENDED]) {
    if (path.startsWith(list) || `${path}/` === list) return list;
  }
  // botocore asks for the zone with a slash at its end
  const value = path.replace(/\/$/, '');
  return [TOKEN, INFO, REGION, ZONE, DOCUMENT].find((known) => known === value) ?? OTHER;
}

function render(found: AwsCredentials, isExtended: boolean): object {
  return {
    Code: 'Success',
    LastUpdated: time(found.issuedAt),
    Type: 'AWS-HMAC',
    AccessKeyId: found.accessKeyID,
    SecretAccessKey: found.secretAccessKey.reveal(),
    Token: found.sessionToken.reveal(),
    Expiration: time(found.expiresAt),
    ...(isExtended ? { AccountId: partsOf(found.role).accountID } : {}),
  };
}

function instanceProfile(role: RoleArn): object {
  const { partition, accountID, name } = partsOf(role);
  return {
    Code: 'Success',
    InstanceProfileArn: `arn:${partition}:iam::${accountID}:instance-profile/${name}`,
    InstanceProfileId: name,
  };
}

/** Seconds, as on EC2: some SDKs parse no fractions. */
function time(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19)}Z`;
}

const NOT_FOUND = status(404, 'Not Found');
const BAD_REQUEST = status(400, 'Bad Request');
const UNAUTHORIZED = status(401, 'Unauthorized');
const METHOD_NOT_ALLOWED = status(405, 'Method Not Allowed');

function status(code: number, body: string): MetadataResponse {
  return { status: code, contentType: 'text/plain; charset=utf-8', body: `${body}\n` };
}

function text(body: string): MetadataResponse {
  return { status: 200, contentType: 'text/plain; charset=utf-8', body };
}

function json(value: object): MetadataResponse {
  return { status: 200, contentType: 'application/json', body: JSON.stringify(value) };
}

/**
 * A failure that a retry may overcome is 503 with Retry-After. A Pod without a role has none: 404, on which SDKs go on to
 * their next credential at once.
 */
function ec2FailureResponse(error: unknown): MetadataResponse {
  if (error instanceof AwsFault) {
    return { ...status(503, 'AWS STS does not respond; try again.'), headers: { 'Retry-After': '5' } };
  }
  if (error instanceof Fault && (error.code === 'aws-role-missing' || error.code === 'aws-role-invalid')) {
    return status(404, error.message);
  }
  if (error instanceof Fault && !isRetryable(error))
    return status(404, failureResponse(error, undefined).body.trim());
  const { status: code, body, headers } = failureResponse(error, undefined);
  return { ...status(code, body.trim()), ...(headers === undefined ? {} : { headers }) };
}
