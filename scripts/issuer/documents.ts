import { KEY_SET_PATH, type PublicKey, parseKeySet } from '../../server/kubernetes/cluster-keys.ts';
import { Field } from '../../server/kubernetes/field.ts';
import { type ClusterIssuer, DISCOVERY_PATH } from '../provider/cluster-issuer.ts';
import { Failure } from '../provider/failure.ts';
import { keySetURL } from './issuer-url.ts';

/** What is public of an RSA or an elliptic curve key (RFC 7517, RFC 7518). Nothing else is ever written. */
const PUBLIC_MEMBERS = ['use', 'kty', 'kid', 'alg', 'n', 'e', 'crv', 'x', 'y'];
/** Of a private RSA or elliptic curve key, and of a symmetric one. */
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];

/** What a verifier reads, by its path below the issuer. */
export type IssuerDocuments = Readonly<Record<typeof DISCOVERY_PATH | typeof KEY_SET_PATH, string>>;

/** A file with keys that stay published although the cluster does not have them. */
export interface KeptKeys {
  readonly file: string;
  readonly text: string;
}

interface PublishedKey extends PublicKey {
  readonly algorithm: string;
  readonly jwk: Readonly<Record<string, string>>;
}

/**
 * The discovery document and the keys of a cluster, and after them those of `kept` that the cluster does not have.
 * Throws a {@link Failure} if a key cannot be published.
 */
export async function makeDocuments(
  cluster: ClusterIssuer,
  kept: readonly KeptKeys[],
): Promise<{
  readonly documents: IssuerDocuments;
  readonly keys: readonly PublicKey[];
  readonly notes: readonly string[];
}> {
  const keys = new Map<string, PublishedKey>();
  const sources = [{ file: "the cluster's JWKS", text: cluster.jwks }, ...kept];
  for (const source of sources) {
    for (const key of await publishedKeys(source)) {
      const before = keys.get(key.kid);
      if (before !== undefined && before.thumbprint !== key.thumbprint) {
        throw new Failure(
          `${source.file} has another key with the ID ${key.kid} than the cluster or the file before it.`,
          'Check which of the two files has the keys of this cluster, and leave the other out.',
        );
      }
      if (before === undefined) keys.set(key.kid, key);
    }
  }
  const published = [...keys.values()];
  const algorithms = [...new Set(published.map(({ algorithm }) => algorithm))];
  return {
    documents: {
      [DISCOVERY_PATH]: json(configuration(cluster.issuer, algorithms)),
      [KEY_SET_PATH]: json({ keys: published.map(({ jwk }) => jwk) }),
    },
    keys: published,
    notes: notes(cluster.issuer, algorithms),
  };
}

/**
 * What the API server says of itself, at the public URLs, and `claims_supported`, which AWS requires
 * (docs.aws.amazon.com: IAM User Guide, Create an OpenID Connect identity provider in IAM).
 */
function configuration(issuer: string, algorithms: readonly string[]) {
  return {
    issuer,
    jwks_uri: keySetURL(issuer),
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: algorithms,
    claims_supported: ['sub', 'iss'],
  };
}

function json(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

async function publishedKeys({ file, text }: KeptKeys): Promise<readonly PublishedKey[]> {
  const keySet = parsed(file, text);
  const fields = listOf(file, keySet);
  if (fields.some((field) => PRIVATE_MEMBERS.some((name) => !field.at(name).isMissing()))) {
    throw new Failure(
      `${file} has a private key.`,
      'Never publish it. Give a file with public keys only, as `kubectl get --raw /openid/v1/jwks` prints them.',
    );
  }
  const keys = await parseKeySet(keySet).catch((error: unknown) => {
    throw notKeySet(file, error);
  });
  return keys.map((key, position) => {
    const field = fields[position] ?? new Field(undefined, file);
    const jwk = Object.fromEntries(
      PUBLIC_MEMBERS.map((name) => [name, field.at(name).textIfAny() ?? ''] as const).filter(
        ([, value]) => value !== '',
      ),
    );
    const { alg } = jwk;
    if (alg === undefined) throw notKeySet(file, new Error(`the key ${key.kid} has no alg`));
    return { ...key, algorithm: alg, jwk };
  });
}

function parsed(file: string, text: string): Field {
  try {
    return new Field(JSON.parse(text), 'JWKS');
  } catch {
    throw notKeySet(file, new Error('it is not JSON'));
  }
}

function listOf(file: string, keySet: Field): Field[] {
  try {
    return keySet.at('keys').items();
  } catch (error) {
    throw notKeySet(file, error);
  }
}

function notKeySet(file: string, cause: unknown): Failure {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new Failure(
    `${file} is not a JWKS: ${why}.`,
    'Give a file as `kubectl get --raw /openid/v1/jwks` prints it.',
  );
}

function notes(issuer: string, algorithms: readonly string[]): string[] {
  const others = algorithms.filter((algorithm) => algorithm !== 'RS256');
  return [
    ...(others.length > 0
      ? [`Microsoft Entra verifies RS256 only, and the cluster has a key for ${others.join(', ')}.`]
      : []),
    ...(new URL(issuer).port === '' ? [] : ['By its documentation AWS accepts no port in an issuer.']),
  ];
}
