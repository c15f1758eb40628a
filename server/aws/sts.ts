import { decodeJwt } from 'jose/jwt/decode';
import type { Effects } from '../core/effects.ts';
import { printable } from '../core/printable.ts';
import { Secret } from '../core/secret.ts';
import { expiryOf } from '../credentials/credential.ts';
import {
  callUpstream,
  isTransientStatus,
  member,
  redacted,
  type UpstreamResponse,
} from '../credentials/upstream.ts';
import { AwsFault, type StsAction } from './aws-fault.ts';
import type { RoleArn } from './aws-role.ts';

/** Temporary credentials of a role. */
export interface AwsCredentials {
  readonly accessKeyID: string;
  readonly secretAccessKey: Secret;
  readonly sessionToken: Secret;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
  /** When they were asked for, milliseconds since the epoch. */
  readonly issuedAt: number;
  readonly role: RoleArn;
}

/** What credentials are asked for. */
export interface AssumedRole {
  readonly role: RoleArn;
  readonly sessionName: string;
  readonly durationSeconds: number;
}

export interface StsEndpoint {
  /** Base URL without a trailing slash. */
  readonly url: string;
  /** That requests are signed for. */
  readonly region: string;
}

const VERSION = '2011-06-15';
/** Codes that a retry may overcome, although their status is 400: botocore's _retry.json. */
const TRANSIENT = ['IDPCommunicationError', 'Throttling', 'ThrottlingException', 'RequestLimitExceeded'];
const LONGEST_CLAIM = 200;

/** AWS's Security Token Service: https://docs.aws.amazon.com/STS/latest/APIReference */
export class Sts {
  constructor(
    private readonly endpoint: StsEndpoint,
    private readonly effects: Pick<Effects, 'fetch' | 'now'>,
  ) {}

  /**
   * Credentials of a role that trusts the issuer of a token. Throws `aws-sts-unavailable` or `aws-sts-refused`, with the
   * claims that the trust policy is about.
   */
  async assumeRoleWithWebIdentity(
    assumed: AssumedRole,
    token: Secret,
    signal: AbortSignal,
  ): Promise<AwsCredentials> {
    const action = 'AssumeRoleWithWebIdentity';
    const form = formOf(action, assumed, { WebIdentityToken: token.reveal() });
    return this.#credentials(action, assumed, form, {}, token, claimsOf(token), signal);
  }

  /** Credentials of a role that trusts the one whose `credentials` sign the request. Throws as above. */
  async assumeRole(
    assumed: AssumedRole,
    credentials: AwsCredentials,
    signal: AbortSignal,
  ): Promise<AwsCredentials> {
    const action = 'AssumeRole';
    const form = formOf(action, assumed, {});
    const headers = await this.#signed(form, credentials);
    return this.#credentials(action, assumed, form, headers, credentials.secretAccessKey, undefined, signal);
  }

  async #credentials(
    action: StsAction,
    { role, durationSeconds }: AssumedRole,
    body: string,
    headers: Readonly<Record<string, string>>,
    secret: Secret,
    claims: string | undefined,
    signal: AbortSignal,
  ): Promise<AwsCredentials> {
    const issuedAt = this.effects.now();
    const facts = { action, role } as const;
    let response: UpstreamResponse;
    try {
      response = await callUpstream(
        this.effects,
        {
          url: `${this.endpoint.url}/`,
          headers: { 'content-type': FORM_TYPE, accept: 'text/xml', ...headers },
          body,
        },
        signal,
      );
    } catch (cause) {
      throw new AwsFault('aws-sts-unavailable', { ...facts, cause });
    }
    const xml = await parseXml(response.text);
    const { status, retryAfter } = response;
    if (status !== 200) {
      const error = member(member(xml, 'ErrorResponse'), 'Error');
      const code = textOf(member(error, 'Code'));
      const isTransient = isTransientStatus(status) || TRANSIENT.includes(code);
      throw new AwsFault(isTransient ? 'aws-sts-unavailable' : 'aws-sts-refused', {
        ...facts,
        status,
        error: /^[A-Za-z.]{1,64}$/.test(code) ? code : '',
        awsMessage: redacted(textOf(member(error, 'Message')), secret),
        ...(claims === undefined ? {} : { claims }),
        retryAfter,
      });
    }
    const result = member(member(xml, `${action}Response`), `${action}Result`);
    const given = member(result, 'Credentials');
    const [accessKeyID, secretAccessKey, sessionToken, expiration] = [
      'AccessKeyId',
      'SecretAccessKey',
      'SessionToken',
      'Expiration',
    ].map((name) => textOf(member(given, name)));
    const longest = durationSeconds * 1000;
    const expiresAt = expiryOf(Date.parse(expiration ?? ''), issuedAt, this.effects.now(), longest);
    if (!accessKeyID || !secretAccessKey || !sessionToken || expiresAt === undefined) {
      throw new AwsFault('aws-sts-unavailable', {
        ...facts,
        status,
        awsMessage: 'the response lacks a field of the credentials, or they have expired already',
      });
    }
    return {
      accessKeyID,
      secretAccessKey: new Secret(secretAccessKey),
      sessionToken: new Secret(sessionToken),
      expiresAt,
      issuedAt,
      role,
    };
  }

  /** The headers of Signature Version 4. Its library is loaded only if a role assumes another. */
  async #signed(body: string, credentials: AwsCredentials): Promise<Record<string, string>> {
    const [{ SignatureV4 }, { Sha256 }] = await Promise.all([
      import('@smithy/signature-v4'),
      import('@smithy/core/checksum'),
    ]);
    const { protocol, hostname, host, pathname } = new URL(`${this.endpoint.url}/`);
    const signer = new SignatureV4({
      service: 'sts',
      region: this.endpoint.region,
      sha256: Sha256,
      credentials: {
        accessKeyId: credentials.accessKeyID,
        secretAccessKey: credentials.secretAccessKey.reveal(),
        sessionToken: credentials.sessionToken.reveal(),
      },
    });
    const { headers } = await signer.sign(
      {
        method: 'POST',
        protocol,
        hostname,
        path: pathname,
        query: {},
        headers: { host, 'content-type': FORM_TYPE },
        body,
      },
      { signingDate: new Date(this.effects.now()) },
    );
    return headers;
  }
}

const FORM_TYPE = 'application/x-www-form-urlencoded';

function formOf(
  action: StsAction,
  { role, sessionName, durationSeconds }: AssumedRole,
  more: Readonly<Record<string, string>>,
): string {
  return new URLSearchParams({
    Action: action,
    Version: VERSION,
    RoleArn: role,
    RoleSessionName: sessionName,
    DurationSeconds: `${durationSeconds}`,
    ...more,
  }).toString();
}

/** Undefined if it is not XML. The parser is loaded only if AWS is in use. */
async function parseXml(text: string): Promise<unknown> {
  const { XMLParser } = await import('fast-xml-parser');
  try {
    return new XMLParser({
      parseTagValue: false,
      processEntities: { enabled: true, maxEntityCount: 10 },
    }).parse(text, true);
  } catch {
    return undefined;
  }
}

/** What a trust policy's conditions are compared with. */
function claimsOf(token: Secret): string {
  try {
    const { iss, sub, aud } = decodeJwt(token.reveal());
    const audience = Array.isArray(aud) ? aud.join(' ') : aud;
    return Object.entries({ iss, sub, aud: audience })
      .map(([name, value]) => `${name} ${printable(String(value), LONGEST_CLAIM)}`)
      .join(', ');
  } catch {
    return 'the token is not a JWT';
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
