import type { IPAddress } from '../kubernetes/ip-address.ts';

export type Family = 'IPv4' | 'IPv6';

/** Which of the kernel's two packet filters a program of the iptables family writes to. */
export type Backend = 'nft' | 'legacy';

/** What redirects one family: connections to these addresses, port 80, go to the Node's server. */
export interface Redirect {
  /** The metadata address, and that of container credentials if AWS is on. */
  readonly from: readonly string[];
  readonly family: Family;
  readonly target: IPAddress;
  readonly port: number;
}

type Argv = readonly string[];

/** `run` is due if `unless` fails, or does not print what `prints` says; so a second time nothing is changed. */
interface RedirectStep {
  readonly unless: Argv;
  readonly prints?: string;
  readonly run: readonly Argv[];
}

const CHAIN = 'GKE-METADATA-SERVER';
const JUMP = `-j ${CHAIN}`;
const PROGRAM: Readonly<Record<Family, string>> = { IPv4: 'iptables', IPv6: 'ip6tables' };
const PREFIX_LENGTH: Readonly<Record<Family, number>> = { IPv4: 32, IPv6: 128 };
/** What all addresses of a family that are redirected lie in: link-local, and unique local. */
const RANGE: Readonly<Record<Family, string>> = { IPv4: '169.254.0.0/16', IPv6: 'fc00::/7' };

/** Seconds to wait for whoever else is writing rules in this network namespace. */
const LOCK_SECONDS = '5';

/** An address as it stands before a port: IPv6 in brackets. */
export function urlHost(address: string): string {
  return address.includes(':') ? `[${address}]` : address;
}

/** Where a redirect leads, as `ADDRESS:PORT`. */
export function targetOf({ target, port }: Redirect): string {
  return `${urlHost(target)}:${port}`;
}

/**
 * The steps of a redirect, as programs with their arguments. The rule lies in a chain of
 * its own, so that one with an old target is replaced and a person sees whose it is; the
 * jump is the first rule of OUTPUT, ahead of a service mesh that takes every connection. If
 * another program has inserted a rule before it since, it is inserted again.
 */
export function redirectSteps(redirect: Redirect, backend: Backend): RedirectStep[] {
  const { family, from } = redirect;
  const nat = natProgram(family, backend);
  const destinations = from.map((address) => `${address}/${PREFIX_LENGTH[family]}`);
  const matchOf = (destination: string) => ['-d', destination, '-p', 'tcp', '--dport', '80'];
  const rules = destinations.map((destination) => [
    CHAIN,
    ...matchOf(destination),
    ...['-j', 'DNAT', '--to-destination', targetOf(redirect)],
  ]);
  // they are appended in this order after a flush, so the last one is there if all are
  const last = rules.at(-1) ?? [];
  const [only, ...more] = destinations;
  const jump = [...matchOf(only === undefined || more.length > 0 ? RANGE[family] : only), '-j', CHAIN];
  return [
    { unless: [...nat, '-S', CHAIN], run: [[...nat, '-N', CHAIN]] },
    {
      unless: [...nat, '-C', ...last],
      run: [[...nat, '-F', CHAIN], ...rules.map((rule) => [...nat, '-A', ...rule])],
    },
    {
      unless: [...nat, '-S', 'OUTPUT', '1'],
      prints: JUMP,
      run: [[...nat, '-I', 'OUTPUT', '1', ...jump]],
    },
  ];
}

/** The program that lists the rules for connections of this network namespace's own programs, in their order. */
export function listArgv(family: Family, backend: Backend): Argv {
  return [...natProgram(family, backend), '-S', 'OUTPUT'];
}

/** The rules in what {@link listArgv} prints: up to the first of ours, which came later, and after it. */
export function rulesOfOthers(listed: string): { readonly before: string[]; readonly after: string[] } {
  const rules = listed.split('\n').filter((line) => line.startsWith('-A '));
  const own = rules.findIndex((rule) => rule.includes(JUMP));
  const others = (some: readonly string[]) => some.filter((rule) => !rule.includes(JUMP));
  return own === -1
    ? { before: [], after: rules }
    : { before: rules.slice(0, own), after: others(rules.slice(own)) };
}

function natProgram(family: Family, backend: Backend): Argv {
  return [`${PROGRAM[family]}-${backend}`, '-w', LOCK_SECONDS, '-t', 'nat'];
}
