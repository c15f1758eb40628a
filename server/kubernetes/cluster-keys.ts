import { calculateJwkThumbprint, type JSONWebKeySet } from 'jose';
import type { Effects } from '../core/effects.ts';
import { Fault } from '../core/fault.ts';
import { backoff } from '../core/waiting.ts';
import type { DomainEvents } from '../telemetry/events.ts';
import type { Log } from '../telemetry/log.ts';
import { fixedPath } from './api-path.ts';
import { ApiRefusal, type ApiServer, faultOf } from './api-server.ts';
import { Field } from './field.ts';

/** Where the API server publishes the public keys of its ServiceAccount tokens. */
export const KEY_SET_PATH = '/openid/v1/jwks';
/** A key is about half a kilobyte, and a cluster has one, or two while they are rotated. */
const LONGEST_KEY_SET_BYTES = 64 * 1024;
const CHECK = `Check them: kubectl get --raw ${KEY_SET_PATH}`;
/** The members of RSA and elliptic curve keys that a thumbprint covers (RFC 7638). */
const MEMBERS = ['kty', 'n', 'e', 'crv', 'x', 'y'];

/** A public key: its name in tokens (`kid`) and its thumbprint (RFC 7638). A verifier needs both to be right. */
export interface PublicKey {
  readonly kid: string;
  readonly thumbprint: string;
}

function membersOf(key: Field): { kty: string } & Record<string, string> {
  const members = MEMBERS.map((name) => [name, key.at(name).textOr('')] as const);
  return { kty: '', ...Object.fromEntries(members.filter(([, value]) => value !== '')) };
}

/** By `kid`, in the order of the sets. */
interface KeySetDifference {
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

/** The keys of a JWK Set (RFC 7517). Throws `kubernetes-unavailable` if it is empty. */
export async function parseKeySet(keySet: Field): Promise<readonly PublicKey[]> {
  const keys = await Promise.all(keySet.at('keys').items().map(parseKey));
  if (keys.length > 0) return keys;
  throw new Fault('kubernetes-unavailable', 'the JWKS of the cluster is empty', { remedy: CHECK });
}

async function parseKey(key: Field): Promise<PublicKey> {
  const kid = key.at('kid').text();
  try {
    return { kid, thumbprint: await calculateJwkThumbprint(membersOf(key)) };
  } catch (cause) {
    throw new Fault('kubernetes-unavailable', `cannot parse the public key ${kid}`, {
      remedy: CHECK,
      cause,
    });
  }
}

/** Keys that are only in `now`, and keys that are only in `before`. */
export function keySetDifference(before: readonly PublicKey[], now: readonly PublicKey[]): KeySetDifference {
  return { added: kidsMissingFrom(before, now), removed: kidsMissingFrom(now, before) };
}

function kidsMissingFrom(these: readonly PublicKey[], others: readonly PublicKey[]): string[] {
  const isHere = (other: PublicKey) =>
    these.some(({ kid, thumbprint }) => kid === other.kid && thumbprint === other.thumbprint);
  return others.filter((other) => !isHere(other)).map(({ kid }) => kid);
}

/**
 * The public keys of the cluster's ServiceAccount tokens. By default Kubernetes lets every ServiceAccount read them.
 * Throws `kubernetes-forbidden` if that binding or the keys are missing, which retries do not fix, and
 * `kubernetes-unavailable`.
 */
export async function readClusterKeys(
  server: Pick<ApiServer, 'json'>,
  signal?: AbortSignal,
): Promise<readonly PublicKey[]> {
  return parseKeySet(await readKeySet(server, signal));
}

/** The same keys as they verify signatures: a JWK Set (RFC 7517). Throws as {@link readClusterKeys}. */
export async function readVerificationKeys(server: Pick<ApiServer, 'json'>): Promise<JSONWebKeySet> {
  const keySet = await readKeySet(server);
  await parseKeySet(keySet);
  const keys = keySet.at('keys').items();
  return { keys: keys.map((key) => ({ ...membersOf(key), kid: key.at('kid').text() })) };
}

async function readKeySet(server: Pick<ApiServer, 'json'>, signal?: AbortSignal): Promise<Field> {
  const call = {
    verb: 'get',
    resource: KEY_SET_PATH,
    path: fixedPath(KEY_SET_PATH),
    // the API server responds with 406 if only application/json is accepted
    accept: 'application/jwk-set+json',
    longestResponseBytes: LONGEST_KEY_SET_BYTES,
  } as const;
  try {
    return new Field(await server.json(call, signal), 'JWKS');
  } catch (error) {
    throw error instanceof ApiRefusal ? keySetFault(error) : error;
  }
}

function keySetFault(refusal: ApiRefusal): Fault {
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
        'Google accepts only tokens of https issuers. Check --service-account-issuer of kube-apiserver.',
      cause: refusal,
    });
  }
  return faultOf(refusal);
}

interface KeyRotationOptions {
  readonly read: (signal: AbortSignal) => Promise<readonly PublicKey[]>;
  readonly effects: Pick<Effects, 'sleep' | 'random'>;
  readonly events: Pick<DomainEvents, 'clusterKeysCompared'>;
  readonly log: Log;
}

const HOUR = 3_600_000;
const FIRST_RETRY = 10_000;

/**
 * Compares the cluster's public keys with those at startup, about every hour: a provider with uploaded keys needs a new
 * key before the API server signs with it. Nothing depends on the comparison, so it never throws.
 */
export class KeyRotation {
  readonly #options: KeyRotationOptions;
  #atStart: readonly PublicKey[] | undefined;
  #logged = '[]';
  #failures = 0;
  /** The codes of failures logged since the last success. */
  readonly #reported = new Set<string>();

  constructor(options: KeyRotationOptions) {
    this.#options = options;
  }

  /** Until `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { sleep } = this.#options.effects;
    while (!signal.aborted) {
      const wait = await this.#look(signal);
      await sleep(wait, signal).catch(() => {}); // aborted
    }
  }

  /** Milliseconds until the next look. */
  async #look(signal: AbortSignal): Promise<number> {
    const { read, effects } = this.#options;
    try {
      this.#compare(await read(signal));
      this.#failures = 0;
      this.#reported.clear();
    } catch (error) {
      if (signal.aborted) return 0;
      this.#report(error);
      this.#failures += 1;
      if (!(error instanceof Fault && error.code === 'kubernetes-forbidden')) {
        return backoff(this.#failures, FIRST_RETRY, HOUR, effects.random);
      }
    }
    return HOUR * (0.5 + effects.random());
  }

  #compare(keys: readonly PublicKey[]): void {
    const { events, log } = this.#options;
    this.#atStart ??= keys;
    const { added, removed } = keySetDifference(this.#atStart, keys);
    const kids = [...added, ...removed];
    events.clusterKeysCompared(kids.length > 0);
    const change = JSON.stringify(kids.length === 0 ? kids : [added, removed]);
    if (change === this.#logged) return;
    this.#logged = change;
    if (kids.length === 0) log.info({}, "the cluster's public keys are those of startup again");
    else log.warn({ added, removed, remedy: remedy(added) }, "the cluster's public keys have changed");
  }

  #report(error: unknown): void {
    const { code, remedy, message } =
      error instanceof Fault ? error : { code: 'unknown', remedy: '', message: String(error) };
    if (this.#reported.has(code)) return;
    this.#reported.add(code);
    this.#options.log.warn(
      { reason: message, remedy },
      "cannot read the cluster's JWKS; key changes will not be reported",
    );
  }
}

function remedy(added: readonly string[]): string {
  const check = "Compare them with the provider's: scripts/create-or-update-provider --check.";
  return added.length > 0
    ? `${check} Google rejects tokens signed by an added key until the provider has it: run the script without --check.`
    : `${check} Run the script without --check once no token signed by a removed key is in use: until then Google accepts them.`;
}
