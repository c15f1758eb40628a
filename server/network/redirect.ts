import { isIPv6 } from 'node:net';
import { CONTAINER_CREDENTIALS_ADDRESS, METADATA_ADDRESS } from '../core/metadata-address.ts';
import type { IPAddress } from '../kubernetes/ip-address.ts';
import type { Log } from '../telemetry/log.ts';
import { InitNetworkError } from './init-network-error.ts';
import {
  type Backend,
  type Family,
  listArgv,
  type Redirect,
  redirectSteps,
  rulesOfOthers,
} from './redirect-rules.ts';

export interface ExecResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program by its arguments, never through a shell; a program that is missing ends with 127. */
export type Exec = (argv: readonly string[]) => Promise<ExecResult>;

const NOT_FOUND = 127;
const TIME_LIMIT_MILLISECONDS = 10_000;
const BACKENDS: readonly Backend[] = ['nft', 'legacy'];
const MOST_LOGGED = 10;
const LONGEST_LOGGED = 200;

interface RedirectDependencies {
  readonly exec: Exec;
  readonly log: Log;
}

function familyOf(address: IPAddress): Family {
  return isIPv6(address) ? 'IPv6' : 'IPv4';
}

/**
 * What to redirect in a Pod: each family that both it and its Node have, IPv4 first; the address of AWS's container
 * credentials too if asked for.
 */
export function redirectsOf(
  podAddresses: readonly IPAddress[],
  hostAddresses: readonly IPAddress[],
  port: number,
  { containerCredentials = false }: { readonly containerCredentials?: boolean } = {},
): Redirect[] {
  const redirects: Redirect[] = [];
  for (const family of ['IPv4', 'IPv6'] as const) {
    const target = hostAddresses.find((address) => familyOf(address) === family);
    const usable = podAddresses.some((address) => familyOf(address) === family);
    const from = [
      METADATA_ADDRESS[family],
      ...(containerCredentials ? [CONTAINER_CREDENTIALS_ADDRESS[family]] : []),
    ];
    if (target !== undefined && usable) redirects.push({ family, from, target, port });
  }
  return redirects;
}

/**
 * Redirects each family that can be redirected, and returns the first: the one to ask the server over.
 * Idempotent. Throws `redirect-failed` if none can be.
 */
export async function redirect(
  redirects: readonly Redirect[],
  { exec, log }: RedirectDependencies,
): Promise<Redirect> {
  if (redirects.length === 0) {
    throw new InitNetworkError(
      'redirect-failed',
      'the Pod and its Node have no address family in common',
      "Compare the Pod's status.podIPs with its status.hostIPs: both need an IPv4 or both an IPv6 address.",
    );
  }
  const redirected: Redirect[] = [];
  const failures: string[] = [];
  for (const one of redirects) {
    const failed = await redirectFamily(one, { exec, log });
    if (failed === undefined) redirected.push(one);
    else failures.push(...failed);
  }
  const [first] = redirected;
  if (first !== undefined) return first;
  throw new InitNetworkError(
    'redirect-failed',
    `no redirect could be set up: ${failures.join('; ')}`,
    "The container needs the capabilities NET_ADMIN and NET_RAW as user 0, and the Node's kernel nf_tables or " +
      'ip_tables with NAT. If the Pod may have neither, use the mode Environment.',
  );
}

/**
 * Undefined if redirected, else the error of each backend. The rules go into both, as far as the kernel supports them: a
 * mesh may write to either, before or after, and the kernel evaluates the table that was created last first. A
 * connection is rewritten once, by whichever comes first.
 */
async function redirectFamily(
  redirect: Redirect,
  { exec, log }: RedirectDependencies,
): Promise<string[] | undefined> {
  const failures: string[] = [];
  for (const backend of BACKENDS) {
    const failure = await apply(redirect, backend, exec);
    if (failure === undefined) {
      log.info({ ...redirect, backend }, 'metadata address redirected');
      await logOtherRules(redirect, backend, { exec, log });
    } else {
      log.debug({ ...redirect, backend, failure }, 'redirect failed');
      failures.push(failure);
    }
  }
  return failures.length < BACKENDS.length ? undefined : failures;
}

/** Logs the rules of other programs: they explain why a Pod cannot reach the server. */
async function logOtherRules(
  { family }: Redirect,
  backend: Backend,
  { exec, log }: RedirectDependencies,
): Promise<void> {
  const { stdout } = await exec(listArgv(family, backend));
  const { before, after } = rulesOfOthers(stdout);
  const logged = (rules: readonly string[]) =>
    rules.slice(0, MOST_LOGGED).map((rule) => rule.slice(0, LONGEST_LOGGED));
  if (before.length > 0)
    log.warn({ family, backend, rules: logged(before) }, 'rules come before the redirect');
  if (after.length > 0) log.info({ family, backend, rules: logged(after) }, 'rules come after the redirect');
}

async function apply(redirect: Redirect, backend: Backend, exec: Exec): Promise<string | undefined> {
  for (const { unless, prints = '', run } of redirectSteps(redirect, backend)) {
    const { exitCode, stdout } = await exec(unless);
    if (exitCode === 0 && stdout.includes(prints)) continue;
    for (const argv of run) {
      const { exitCode, stderr } = await exec(argv);
      if (exitCode !== 0) return `'${argv.join(' ')}' ended with ${exitCode}: ${stderr.trim()}`;
    }
  }
  return undefined;
}

/** The real programs of this machine. */
export const systemExec: Exec = async (argv) => {
  const [program = ''] = argv;
  if (Bun.which(program) === null) {
    return { exitCode: NOT_FOUND, stdout: '', stderr: `${program} is not installed` };
  }
  const { PATH } = process.env;
  const child = Bun.spawn([...argv], {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: TIME_LIMIT_MILLISECONDS,
    env: {
      PATH,
      // legacy iptables locks a file in /run, which a read-only root filesystem lacks; every container has /dev/shm
      XTABLES_LOCKFILE: '/dev/shm/xtables.lock',
    },
  });
  const [stdout, stderr, exitCode] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  return { exitCode, stdout, stderr };
};
