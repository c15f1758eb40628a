import { timingSafeEqual } from 'node:crypto';
import { Sha256 } from '@smithy/core/checksum';
import { SignatureV4 } from '@smithy/signature-v4';
import type { Now } from '../../core/effects.ts';
import { AwsRefusal } from './error.ts';
import type { Session, Sessions } from './sessions.ts';

const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 Credential=(?<accessKeyID>[^/,\s]+)\/(?<date>\d{8})\/(?<region>[a-z0-9-]+)\/(?<service>[a-z0-9-]+)\/aws4_request, ?SignedHeaders=(?<headers>[a-z0-9;-]+), ?Signature=(?<signature>[0-9a-f]{64})$/;
const MAX_SKEW_MILLISECONDS = 15 * 60_000;

/**
 * The session whose credentials have signed the request, by Signature Version 4 in the `Authorization` header.
 * Throws STS's refusals.
 */
export async function authenticate(
  request: Request,
  body: string,
  sessions: Sessions,
  now: Now,
): Promise<Session> {
  const authorization = request.headers.get('authorization');
  if (authorization === null) {
    throw new AwsRefusal('MissingAuthenticationToken', 'Request is missing Authentication Token');
  }
  const { accessKeyID, date, region, service, headers, signature } =
    AUTHORIZATION.exec(authorization)?.groups ?? {};
  if (accessKeyID === undefined || region === undefined || headers === undefined || signature === undefined) {
    throw new AwsRefusal('IncompleteSignature', 'The request signature does not conform to AWS standards.');
  }
  const session = sessions.find(accessKeyID);
  if (session === undefined || request.headers.get('x-amz-security-token') !== session.sessionToken) {
    throw new AwsRefusal('InvalidClientTokenId', 'The security token included in the request is invalid.');
  }
  if (session.expiresAt <= now()) {
    throw new AwsRefusal('ExpiredToken', 'The security token included in the request is expired');
  }
  if (service !== 'sts') {
    throw new AwsRefusal('SignatureDoesNotMatch', "Credential should be scoped to correct service: 'sts'.");
  }
  const signedAt = parseDate(request.headers.get('x-amz-date'));
  if (signedAt === undefined || !signedAt.text.startsWith(`${date}T`)) {
    throw new AwsRefusal('IncompleteSignature', "Date must be in ISO-8601 'basic format'.");
  }
  if (Math.abs(signedAt.milliseconds - now()) > MAX_SKEW_MILLISECONDS) {
    throw new AwsRefusal(
      'SignatureDoesNotMatch',
      `Signature expired: ${signedAt.text} is too far from the current time.`,
    );
  }
  const expected = await sign(request, body, session, region, headers.split(';'), signedAt.milliseconds);
  if (!timingSafeEqual(Buffer.from(expected), Buffer.from(signature))) {
    throw new AwsRefusal(
      'SignatureDoesNotMatch',
      'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access ' +
        'Key and signing method. Consult the service documentation for details.',
    );
  }
  return session;
}

/** The signature of the same request with the credentials that were issued. */
async function sign(
  request: Request,
  body: string,
  { accessKeyID, secretAccessKey, sessionToken }: Session,
  region: string,
  signedHeaders: readonly string[],
  signedAt: number,
): Promise<string> {
  const { hostname, pathname, protocol, searchParams } = new URL(request.url);
  const signer = new SignatureV4({
    service: 'sts',
    region,
    sha256: Sha256,
    applyChecksum: false,
    credentials: { accessKeyId: accessKeyID, secretAccessKey, sessionToken },
  });
  const signed = await signer.sign(
    {
      method: request.method,
      protocol,
      hostname,
      path: pathname,
      query: Object.fromEntries(searchParams),
      headers: Object.fromEntries(signedHeaders.map((name) => [name, request.headers.get(name) ?? ''])),
      body,
    },
    { signingDate: new Date(signedAt), signableHeaders: new Set(signedHeaders) },
  );
  const { authorization = '' } = signed.headers;
  return authorization.slice(authorization.lastIndexOf('=') + 1);
}

/** `20260304T050607Z` */
function parseDate(text: string | null): { text: string; milliseconds: number } | undefined {
  if (text === null || !/^\d{8}T\d{6}Z$/.test(text)) return undefined;
  const iso = text.replace(/^(....)(..)(..)T(..)(..)(..)Z$/, '$1-$2-$3T$4:$5:$6Z');
  const milliseconds = Date.parse(iso);
  return Number.isNaN(milliseconds) ? undefined : { text, milliseconds };
}
