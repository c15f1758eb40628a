import { InvalidArgumentError } from '@commander-js/extra-typings';
import type { InitNetworkResources } from '../admission/injection.ts';
import {
  parseInitNetworkResources,
  RESOURCES_EXPECTED,
} from '../admission/injections/init-network-resources.ts';
import { Fault } from '../core/fault.ts';
import { WorkloadIdentityProvider } from '../google/workload-identity-provider.ts';
import { isObjectName } from '../kubernetes/api-path.ts';
import { type IPAddress, parseIPAddress as parsedIPAddress } from '../kubernetes/ip-address.ts';
import type { PodName } from '../kubernetes/objects.ts';

/** A TCP port, 1 to 65535. */
export function parsePort(value: string): number {
  const port = Number(value);
  if (!/^[0-9]+$/.test(value) || port < 1 || port > 65_535) {
    throw new InvalidArgumentError('Expected a port, 1 to 65535.');
  }
  return port;
}

/** A whole number from 1 to a million. */
export function parseCount(value: string): number {
  const count = Number(value);
  if (!/^[0-9]{1,7}$/.test(value) || count < 1 || count > 1_000_000) {
    throw new InvalidArgumentError('Expected a whole number, 1 to 1000000.');
  }
  return count;
}

/** `true` or `false`; an environment variable has no other way to say no. */
export function parseBoolean(value: string): boolean {
  if (value !== 'true' && value !== 'false') throw new InvalidArgumentError('Expected true or false.');
  return value === 'true';
}

const UNIT_SECONDS = new Map([
  ['h', 3600],
  ['m', 60],
  ['s', 1],
]);

/** A duration as Go spells it (`1h`, `90m`, `1h30m`, `3600s`), in whole seconds. */
function parseDurationSeconds(value: string): number {
  if (!/^(?:[0-9]+[hms])+$/.test(value)) {
    throw new InvalidArgumentError('Expected a duration such as 1h, 90m or 3600s.');
  }
  let seconds = 0;
  for (const [, amount, unit = ''] of value.matchAll(/([0-9]+)([hms])/g)) {
    seconds += Number(amount) * (UNIT_SECONDS.get(unit) ?? 0);
  }
  return seconds;
}

/** {@link parseDurationSeconds} within bounds, both included. */
export function parseDurationBetween(minimum: number, maximum: number): (value: string) => number {
  return (value) => {
    const seconds = parseDurationSeconds(value);
    if (seconds < minimum || seconds > maximum) {
      throw new InvalidArgumentError(`Expected a duration from ${minimum}s to ${maximum}s.`);
    }
    return seconds;
  };
}

/** An http or https base URL, without the trailing slash. */
export function parseBaseUrl(value: string): string {
  const url = URL.parse(value);
  if (
    url === null ||
    !['http:', 'https:'].includes(url.protocol) ||
    url.username !== '' ||
    url.search !== '' ||
    url.hash !== ''
  ) {
    throw new InvalidArgumentError('Expected an http or https URL, to which /v1/… is appended.');
  }
  return url.href.replace(/\/+$/, '');
}

/** One line of printable ASCII without spaces: names that end up in URLs, labels and metadata. */
export function parseName(value: string): string {
  if (!/^[!-~]{1,253}$/.test(value)) {
    throw new InvalidArgumentError('Expected a name: no spaces, at most 253 characters.');
  }
  return value;
}

/** As {@link parseName}, or empty. */
export function parseOptionalName(value: string): string {
  return value === '' ? value : parseName(value);
}

/** A Kubernetes object name, RFC 1123 subdomain. */
export function parseObjectName(value: string): string {
  if (!isObjectName(value)) {
    throw new InvalidArgumentError('Expected the name of a Kubernetes object.');
  }
  return value;
}

/** `NAMESPACE/POD`. */
export function parsePodName(value: string): PodName {
  const [namespace = '', name = '', ...more] = value.split('/');
  if (more.length > 0 || !isObjectName(namespace) || !isObjectName(name)) {
    throw new InvalidArgumentError('Expected NAMESPACE/POD.');
  }
  return { namespace, name };
}

/** `NAMESPACE/NAME` of a ConfigMap, or empty for none. */
export function parseOptionalConfigMap(value: string): string {
  const [namespace = '', name = '', ...more] = value.split('/');
  if (value !== '' && (more.length > 0 || !isObjectName(namespace) || !isObjectName(name))) {
    throw new InvalidArgumentError('Expected NAMESPACE/NAME of a ConfigMap.');
  }
  return value;
}

/** As {@link parseObjectName}, or empty for none. */
export function parseOptionalObjectName(value: string): string {
  return value === '' ? value : parseObjectName(value);
}

/** A DNS domain, lower case. */
export function parseDomain(value: string): string {
  if (value.length > 253 || !/^(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$/.test(value)) {
    throw new InvalidArgumentError('Expected a domain such as googleapis.com.');
  }
  return value;
}

/** One IP address. */
export function parseIPAddress(value: string): IPAddress {
  const address = parsedIPAddress(value);
  if (address === undefined) throw new InvalidArgumentError('Expected an IP address.');
  return address;
}

/** IP addresses separated by commas, at least one: as the downward API writes `status.hostIPs`. */
export function parseIPAddresses(value: string): IPAddress[] {
  return value.split(',').map(parseIPAddress);
}

/** Labels as `kubectl --selector` takes them: `KEY=VALUE,…`; empty for none. */
export function parseLabels(value: string): Record<string, string> {
  const labels = value === '' ? [] : value.split(',').map((label) => LABEL.exec(label)?.slice(1));
  if (labels.includes(undefined)) {
    throw new InvalidArgumentError('Expected labels: KEY=VALUE, separated by commas.');
  }
  return Object.fromEntries(labels.map(([key = '', labelValue = ''] = []) => [key, labelValue]));
}

// https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
const LABEL =
  /^((?:[a-z0-9][-a-z0-9.]{0,251}[a-z0-9]\/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)=([A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?|)$/;

/** {@link parseInitNetworkResources} with the error the command line shows. */
export function parseResources(value: string): InitNetworkResources {
  const resources = parseInitNetworkResources(value);
  if (resources === undefined) throw new InvalidArgumentError(`Expected ${RESOURCES_EXPECTED}.`);
  return resources;
}

/** Names of Namespaces separated by commas; empty for none. */
export function parseNamespaces(value: string): string[] {
  return value === '' ? [] : value.split(',').map(parseObjectName);
}

/** As {@link parseProvider}, or empty. */
export function parseOptionalProvider(value: string): WorkloadIdentityProvider | '' {
  return value === '' ? value : parseProvider(value);
}

/** {@link WorkloadIdentityProvider.parse} with the error the command line shows. */
export function parseProvider(value: string): WorkloadIdentityProvider {
  try {
    return WorkloadIdentityProvider.parse(value);
  } catch (error) {
    if (error instanceof Fault) throw new InvalidArgumentError(`${error.message}\n${error.remedy}`);
    throw error;
  }
}
