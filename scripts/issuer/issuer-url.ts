import { InvalidArgumentError } from '@commander-js/extra-typings';
import { KEY_SET_PATH } from '../../server/kubernetes/cluster-keys.ts';
import { type ClusterIssuer, DISCOVERY_PATH } from '../provider/cluster-issuer.ts';
import { Failure } from '../provider/failure.ts';

/**
 * An issuer as clouds accept one: an https URL with neither query nor fragment (OpenID Connect Discovery 1.0, section 3).
 * It stays as it is written, since the `iss` of tokens is compared with it byte by byte.
 */
export function parseIssuer(value: string): string {
  const url = URL.parse(value);
  if (url === null || url.protocol !== 'https:' || !/^https:\/\/[^\s?#@]+$/.test(value)) {
    throw new InvalidArgumentError('It must be an https URL with no user, query or fragment.');
  }
  return value;
}

/** Where a verifier looks for the discovery document: a trailing slash of the issuer does not count. */
export function discoveryURL(issuer: string): string {
  return `${issuer.replace(/\/+$/, '')}${DISCOVERY_PATH}`;
}

/** Where this script puts the keys. A verifier reads the discovery document. */
export function keySetURL(issuer: string): string {
  return `${issuer.replace(/\/+$/, '')}${KEY_SET_PATH}`;
}

/** Throws a {@link Failure} unless the cluster's tokens name this issuer: clouds would refuse them. */
export function requireSameIssuer(wanted: string, { issuer }: ClusterIssuer): void {
  if (issuer === wanted) return;
  const slash = issuer.replace(/\/+$/, '') === wanted.replace(/\/+$/, '');
  throw new Failure(
    `The cluster's tokens are issued by ${issuer}, not by ${wanted}${slash ? ', which differs in a trailing slash' : ''}.`,
    `Clouds compare the two, and would refuse every token. Either run this with --issuer=${issuer}, or change the API ` +
      'server. On every kube-apiserver set these flags, in this order; the last keeps tokens valid that Pods already ' +
      'have:\n' +
      `  --service-account-issuer=${wanted}\n` +
      `  --service-account-jwks-uri=${keySetURL(wanted)}\n` +
      `  --service-account-issuer=${issuer}`,
  );
}
