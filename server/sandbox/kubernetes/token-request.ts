import { Refusal, status } from './status.ts';
import type { BoundObjectRef, TokenRequestSpec } from './token-issuer.ts';

// defaults.go of authentication.k8s.io
const DEFAULT_EXPIRATION_SECONDS = 3600;

/** The fields read of any object in the body; each is checked where it is used. */
interface Fields {
  readonly spec?: unknown;
  readonly audiences?: unknown;
  readonly expirationSeconds?: unknown;
  readonly boundObjectRef?: unknown;
  readonly kind?: unknown;
  readonly apiVersion?: unknown;
  readonly name?: unknown;
  readonly uid?: unknown;
}

/** The spec in the body of a POST to `serviceaccounts/NAME/token`. Throws the API server's 400. */
export function parseTokenRequest(body: string): TokenRequestSpec {
  const spec = record(record(parse(body)).spec ?? {});
  const { audiences = [], expirationSeconds = DEFAULT_EXPIRATION_SECONDS, boundObjectRef } = spec;
  if (!Array.isArray(audiences) || !audiences.every((audience) => typeof audience === 'string')) {
    throw unreadable('spec.audiences is no list of strings');
  }
  if (typeof expirationSeconds !== 'number' || !Number.isInteger(expirationSeconds)) {
    throw unreadable('spec.expirationSeconds is no whole number');
  }
  return {
    audiences,
    expirationSeconds,
    boundObjectRef: boundObjectRef === undefined ? undefined : parseBoundObjectRef(record(boundObjectRef)),
  };
}

function parseBoundObjectRef(ref: Fields): BoundObjectRef {
  const { kind = '', apiVersion = '', name = '', uid } = ref;
  if (typeof kind !== 'string' || typeof apiVersion !== 'string' || typeof name !== 'string') {
    throw unreadable('spec.boundObjectRef has a field that is no string');
  }
  if (uid !== undefined && typeof uid !== 'string') throw unreadable('spec.boundObjectRef.uid is no string');
  // the API server takes an empty uid as none
  return { kind, apiVersion, name, uid: uid === '' ? undefined : uid };
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    throw unreadable('the body is no JSON');
  }
}

function record(value: unknown): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw unreadable('an object was expected');
  }
  // whatever it holds is still unknown
  return value as Fields;
}

function unreadable(reason: string): Refusal {
  return new Refusal(status(400, `TokenRequest in version "v1" cannot be handled: ${reason}`));
}
