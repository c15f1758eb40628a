import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JSONWebKeySet, SignJWT } from 'jose';
import type { Now } from '../../core/effects.ts';
import type { ObjectStore } from './object-store.ts';
import { type ServiceAccountObject, timestamp } from './objects.ts';
import { notFound, Refusal, status } from './status.ts';

/** `spec` of a TokenRequest, once parsed. */
interface TokenRequestSpec {
  readonly audiences: readonly string[];
  readonly expirationSeconds: number;
  readonly boundObjectRef: BoundObjectRef | undefined;
}

export interface BoundObjectRef {
  readonly kind: string;
  readonly apiVersion: string;
  readonly name: string;
  readonly uid: string | undefined;
}

interface Reference {
  readonly name: string;
  readonly uid?: string;
}

interface Binding {
  readonly pod?: Reference;
  readonly node?: Reference;
}

// validation.go of authentication.k8s.io: ten minutes, and 2^32 seconds
const MIN_EXPIRATION_SECONDS = 600;
const MAX_EXPIRATION_SECONDS = 2 ** 32;

/**
 * Signs ServiceAccount tokens after the checks of the API server's `serviceaccounts/token`
 * (pkg/registry/core/serviceaccount/storage/token.go), with the claims of pkg/serviceaccount/claims.go.
 */
export class TokenIssuer {
  /** `--service-account-max-token-expiration`: longer wishes are shortened to it. */
  maxExpirationSeconds = Number.POSITIVE_INFINITY;
  #jwks: JSONWebKeySet;
  readonly #keyID: string;
  readonly #keyPair: CryptoKeyPair;

  private constructor(
    readonly issuer: string,
    jwks: JSONWebKeySet,
    keyID: string,
    keyPair: CryptoKeyPair,
  ) {
    this.#jwks = jwks;
    this.#keyID = keyID;
    this.#keyPair = keyPair;
  }

  static async create(issuer: string): Promise<TokenIssuer> {
    const { keyPair, kid, jwk } = await newKey();
    return new TokenIssuer(issuer, { keys: [jwk] }, kid, keyPair);
  }

  get jwks(): JSONWebKeySet {
    return this.#jwks;
  }

  /** Publishes another key that signs nothing yet, as a rotation begins. Returns its `kid`. */
  async addKey(): Promise<string> {
    const { kid, jwk } = await newKey();
    this.#jwks = { keys: [...this.#jwks.keys, jwk] };
    return kid;
  }

  /** The whole TokenRequest as it is answered. Throws a {@link Refusal} with the API server's Status. */
  async issue(store: ObjectStore, namespace: string, name: string, spec: TokenRequestSpec, now: Now) {
    const account = store.get('ServiceAccount', namespace, name);
    if (account === undefined) throw new Refusal(notFound('serviceaccounts', name));
    checkExpiration(spec.expirationSeconds);
    const audiences = spec.audiences.length > 0 ? spec.audiences : [this.issuer];
    const binding = spec.boundObjectRef && bind(store, account, spec.boundObjectRef);
    const expirationSeconds = Math.min(spec.expirationSeconds, this.maxExpirationSeconds);
    const issuedAt = Math.floor(now() / 1000);
    const expiresAt = issuedAt + expirationSeconds;
    const token = await new SignJWT({
      aud: [...audiences],
      exp: expiresAt,
      iat: issuedAt,
      iss: this.issuer,
      jti: crypto.randomUUID(),
      'kubernetes.io': {
        namespace,
        ...binding,
        serviceaccount: { name, uid: account.metadata.uid },
      },
      nbf: issuedAt,
      sub: `system:serviceaccount:${namespace}:${name}`,
    })
      .setProtectedHeader({ alg: 'RS256', kid: this.#keyID })
      .sign(this.#keyPair.privateKey);
    return {
      kind: 'TokenRequest',
      apiVersion: 'authentication.k8s.io/v1',
      metadata: { name, namespace, creationTimestamp: timestamp(new Date(issuedAt * 1000)) },
      spec: { ...spec, audiences, expirationSeconds },
      status: { token, expirationTimestamp: timestamp(new Date(expiresAt * 1000)) },
    };
  }
}

async function newKey() {
  const keyPair = await generateKeyPair('RS256');
  const key = await exportJWK(keyPair.publicKey);
  const kid = await calculateJwkThumbprint(key);
  return { keyPair, kid, jwk: { use: 'sig', alg: 'RS256', kid, ...key } };
}

function checkExpiration(seconds: number): void {
  const limit =
    seconds < MIN_EXPIRATION_SECONDS
      ? 'less than 10 minutes'
      : seconds > MAX_EXPIRATION_SECONDS
        ? 'larger than 2^32 seconds'
        : undefined;
  if (limit === undefined) return;
  const field = 'spec.expirationSeconds';
  const message = `Invalid value: ${seconds}: may not specify a duration ${limit}`;
  throw new Refusal(
    status(422, `TokenRequest.authentication.k8s.io "" is invalid: ${field}: ${message}`, {
      group: 'authentication.k8s.io',
      kind: 'TokenRequest',
      causes: [{ reason: 'FieldValueInvalid', message, field }],
    }),
  );
}

function bind(store: ObjectStore, account: ServiceAccountObject, ref: BoundObjectRef): Binding {
  if (ref.apiVersion === 'v1' && ref.kind === 'Pod') return bindToPod(store, account, ref);
  if (ref.apiVersion === 'v1' && ref.kind === 'Node') {
    const node = store.get('Node', undefined, ref.name);
    if (node === undefined) throw new Refusal(notFound('nodes', ref.name));
    checkUID(ref, node.metadata.uid);
    return { node: { name: ref.name, uid: node.metadata.uid } };
  }
  throw new Refusal(status(400, `cannot bind token to object of type ${ref.apiVersion}, Kind=${ref.kind}`));
}

function bindToPod(store: ObjectStore, account: ServiceAccountObject, ref: BoundObjectRef): Binding {
  const { namespace, name } = account.metadata;
  const pod = store.get('Pod', namespace, ref.name);
  if (pod === undefined) throw new Refusal(notFound('pods', ref.name));
  if (pod.spec.serviceAccountName !== name) {
    throw new Refusal(
      status(
        400,
        `cannot bind token for serviceaccount "${name}" to pod running with different serviceaccount name.`,
      ),
    );
  }
  checkUID(ref, pod.metadata.uid);
  const { nodeName } = pod.spec;
  const node = nodeName === undefined ? undefined : store.get('Node', undefined, nodeName);
  return {
    // a Node that is gone is still named, without a UID
    ...(nodeName !== undefined && {
      node: { name: nodeName, ...(node !== undefined && { uid: node.metadata.uid }) },
    }),
    pod: { name: ref.name, uid: pod.metadata.uid },
  };
}

function checkUID(ref: BoundObjectRef, uid: string): void {
  if (ref.uid === undefined || ref.uid === uid) return;
  throw new Refusal(
    status(
      409,
      `Operation cannot be fulfilled on ${ref.kind} "${ref.name}": the UID in the bound object reference ` +
        `(${ref.uid}) does not match the UID in record. The object might have been deleted and then recreated`,
      { name: ref.name, kind: ref.kind },
    ),
  );
}

// defaults.go of authentication.k8s.io
const DEFAULT_EXPIRATION_SECONDS = 3600;

/** The fields read from any object in the body; each is checked on use. */
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
    throw unreadable('spec.audiences is not a list of strings');
  }
  if (typeof expirationSeconds !== 'number' || !Number.isInteger(expirationSeconds)) {
    throw unreadable('spec.expirationSeconds is not an integer');
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
    throw unreadable('spec.boundObjectRef has a field that is not a string');
  }
  if (uid !== undefined && typeof uid !== 'string')
    throw unreadable('spec.boundObjectRef.uid is not a string');
  // the API server treats an empty uid as absent
  return { kind, apiVersion, name, uid: uid === '' ? undefined : uid };
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    throw unreadable('the body is not JSON');
  }
}

function record(value: unknown): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw unreadable('an object was expected');
  }
  // its fields are still unknown
  return value as Fields;
}

function unreadable(reason: string): Refusal {
  return new Refusal(status(400, `TokenRequest in version "v1" cannot be handled: ${reason}`));
}
