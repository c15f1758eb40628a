import { calculateJwkThumbprint } from 'jose';
import { Fault } from '../core/fault.ts';
import { fixedPath } from './api-path.ts';
import { ApiRefusal, type ApiServer, faultOf } from './api-server.ts';
import { Field } from './field.ts';

/** Where the API server publishes the public keys of its ServiceAccount tokens. */
export const KEY_SET_PATH = '/openid/v1/jwks';
/** A key is about half a kilobyte, and a cluster has one, or two while they are rotated. */
const LONGEST_KEY_SET_BYTES = 64 * 1024;
const LOOK = `Look at them: kubectl get --raw ${KEY_SET_PATH}`;
/** Of RSA and elliptic keys: what a thumbprint is made of. */
const MEMBERS = ['kty', 'n', 'e', 'crv', 'x', 'y'];

/** A public key as tokens name it (`kid`) and as it is (RFC 7638). Who verifies a token needs both to be right. */
export interface PublicKey {
  readonly kid: string;
  readonly thumbprint: string;
}

/** By `kid`, in the order of the sets. */
export interface KeySetDifference {
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

/** The keys of a JWK Set (RFC 7517). Throws `kubernetes-unavailable` where there are none. */
export async function parseKeySet(keySet: Field): Promise<readonly PublicKey[]> {
  const keys = await Promise.all(keySet.at('keys').items().map(parseKey));
  if (keys.length > 0) return keys;
  throw new Fault('kubernetes-unavailable', 'there are no public keys', { remedy: LOOK });
}

async function parseKey(key: Field): Promise<PublicKey> {
  const kid = key.at('kid').text();
  const members = MEMBERS.map((name) => [name, key.at(name).textOr('')]).filter(([, value]) => value !== '');
  try {
    return { kid, thumbprint: await calculateJwkThumbprint(Object.fromEntries(members)) };
  } catch (cause) {
    throw new Fault('kubernetes-unavailable', `the public key ${kid} cannot be read`, {
      remedy: LOOK,
      cause,
    });
  }
}

/** What `now` has that `before` had not, and the other way round. */
export function keySetDifference(before: readonly PublicKey[], now: readonly PublicKey[]): KeySetDifference {
  return { added: kidsMissingFrom(before, now), removed: kidsMissingFrom(now, before) };
}

function kidsMissingFrom(these: readonly PublicKey[], others: readonly PublicKey[]): string[] {
  const isHere = (other: PublicKey) =>
    these.some(({ kid, thumbprint }) => kid === other.kid && thumbprint === other.thumbprint);
  return others.filter((other) => !isHere(other)).map(({ kid }) => kid);
}

/**
 * The public keys of the cluster's ServiceAccount tokens. Every ServiceAccount may read them by a binding that
 * Kubernetes makes itself. Throws `kubernetes-forbidden` where that or the keys are missing, which lasts until somebody
 * changes it, and `kubernetes-unavailable`.
 */
export async function readClusterKeys(
  server: Pick<ApiServer, 'json'>,
  signal?: AbortSignal,
): Promise<readonly PublicKey[]> {
  const call = {
    verb: 'get',
    resource: KEY_SET_PATH,
    path: fixedPath(KEY_SET_PATH),
    // the API server answers 406 where only application/json is asked for
    accept: 'application/jwk-set+json',
    longestAnswerBytes: LONGEST_KEY_SET_BYTES,
  } as const;
  try {
    return await parseKeySet(new Field(await server.json(call, signal), 'JWKS'));
  } catch (error) {
    throw error instanceof ApiRefusal ? understood(error) : error;
  }
}

function understood(refusal: ApiRefusal): Fault {
  const { code, message } = refusal.status;
  if (code === 403) {
    return new Fault('kubernetes-forbidden', message, {
      remedy:
        'Bind the ClusterRole system:service-account-issuer-discovery to the group system:serviceaccounts, ' +
        "as Kubernetes does by default, or to this program's ServiceAccount.",
      cause: refusal,
    });
  }
  if (code === 404) {
    return new Fault('kubernetes-forbidden', `the API server has no ${KEY_SET_PATH}`, {
      remedy:
        'Google takes the tokens of https issuers only: see --service-account-issuer of kube-apiserver.',
      cause: refusal,
    });
  }
  return faultOf(refusal);
}
