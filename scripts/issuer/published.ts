import type { Fetch } from '../../server/core/effects.ts';
import { parseJSON, readBounded } from '../../server/credentials/upstream.ts';
import { keySetDifference, parseKeySet } from '../../server/kubernetes/cluster-keys.ts';
import { Field } from '../../server/kubernetes/field.ts';
import type { ClusterIssuer } from '../provider/cluster-issuer.ts';
import { discoveryURL } from './issuer-url.ts';

/** Clouds wait a few seconds at most. */
const LONGEST = 10_000;
const JSON_TYPES = ['application/json', 'application/jwk-set+json'];
/** Longer than anybody wants to wait in a rotation. */
const LONG_CACHED_SECONDS = 600;

interface Comparison {
  /** Each a reason for a cloud to refuse a token of the cluster. */
  readonly differences: readonly string[];
  /** Worth knowing, and harmless. */
  readonly notes: readonly string[];
}

interface Document {
  readonly field: Field;
  /** Seconds that it may be cached. */
  readonly maxAge: number;
}

/** Reads what is served at the cluster's issuer, as a cloud does, and compares it with the cluster. */
export async function comparePublished(fetch: Fetch, cluster: ClusterIssuer): Promise<Comparison> {
  const differences: string[] = [];
  const notes: string[] = [];
  const get = (url: string) => getDocument(fetch, url, differences);
  const discovery = await get(discoveryURL(cluster.issuer));
  if (discovery === undefined) return { differences, notes };
  differences.push(...discoveryDifferences(cluster, discovery.field));
  const jwksURI = discovery.field.at('jwks_uri').textIfAny();
  if (!jwksURI?.startsWith('https://')) {
    differences.push(`the discovery document's jwks_uri is not an https URL: upload the document again`);
    return { differences, notes };
  }
  const jwks = await get(jwksURI);
  if (jwks === undefined) return { differences, notes };
  const published = await parseKeySet(jwks.field).catch(() => undefined);
  if (published === undefined) {
    differences.push(`${jwksURI} is not a JWKS: upload the keys again`);
    return { differences, notes };
  }
  const { added, removed } = keySetDifference(published, cluster.keys);
  differences.push(
    ...added.map(
      (kid) =>
        `${jwksURI} lacks the cluster's key ${kid}: clouds refuse the tokens that it signs. Upload the keys`,
    ),
  );
  notes.push(
    ...removed.map(
      (kid) => `${jwksURI} has the key ${kid}, which the cluster does not have: remove it after a rotation`,
    ),
  );
  if (jwks.maxAge > LONG_CACHED_SECONDS) {
    notes.push(
      `${jwksURI} may be cached for ${jwks.maxAge} s: in a rotation, wait that long before the API server signs with a new key`,
    );
  }
  return { differences, notes };
}

function discoveryDifferences({ issuer, keys, algorithms }: ClusterIssuer, discovery: Field): string[] {
  const served = discovery.at('issuer').textIfAny();
  const lists: readonly (readonly [string, readonly string[]])[] = [
    ['response_types_supported', ['id_token']],
    ['subject_types_supported', ['public']],
    ['id_token_signing_alg_values_supported', keys.length > 0 ? algorithms : []],
    ['claims_supported', ['sub', 'iss']],
  ];
  return [
    ...(served === issuer
      ? []
      : [
          `the discovery document's issuer is ${served ?? 'missing'}, not ${issuer}: upload the document again`,
        ]),
    ...lists.flatMap(([name, wanted]) => {
      const missing = wanted.filter((value) => !textsOf(discovery.at(name)).includes(value));
      return missing.length === 0
        ? []
        : [`the discovery document's ${name} lacks ${missing.join(', ')}: upload the document again`];
    }),
  ];
}

/** The texts of a list; none if it is anything else. */
function textsOf(list: Field): string[] {
  try {
    return list.items().flatMap((item) => item.textIfAny() ?? []);
  } catch {
    return [];
  }
}

/** Undefined, after saying why, if there is nothing to compare. */
async function getDocument(fetch: Fetch, url: string, differences: string[]): Promise<Document | undefined> {
  let response: Response;
  let text: string;
  try {
    // a cloud need not follow a redirect
    response = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(LONGEST) });
    text = await readBounded(response);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    differences.push(
      `cannot read ${url}: ${why}. It must be reachable from the internet, with a certificate of a public CA`,
    );
    return undefined;
  }
  const { status, headers } = response;
  if (status >= 300 && status < 400) {
    differences.push(
      `${url} redirects to ${headers.get('location') ?? 'nowhere'}: serve the document at this URL itself`,
    );
    return undefined;
  }
  if (status !== 200) {
    const remedy = status === 404 ? 'Upload it' : 'Let everybody read it';
    differences.push(`cannot read ${url}: the response is ${status}. ${remedy}`);
    return undefined;
  }
  const type = (headers.get('content-type') ?? 'missing').split(';')[0]?.trim().toLowerCase() ?? '';
  if (!JSON_TYPES.includes(type)) {
    differences.push(`the Content-Type of ${url} is ${type}: set it to application/json when you upload it`);
  }
  const json = parseJSON(text);
  if (json === undefined) {
    differences.push(`${url} is not JSON: upload it again`);
    return undefined;
  }
  const [, maxAge = '0'] = /\bmax-age=(\d{1,9})/.exec(headers.get('cache-control') ?? '') ?? [];
  return { field: new Field(json, url), maxAge: Number(maxAge) };
}
