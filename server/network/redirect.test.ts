import { describe, expect, test } from 'bun:test';
import type { IPAddress } from '../kubernetes/ip-address.ts';
import type { Log } from '../telemetry/log.ts';
import { type Exec, type ExecResult, redirect, redirectsOf } from './redirect.ts';

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };
const ips = (...addresses: string[]) => addresses as IPAddress[];
const DUAL = redirectsOf(ips('10.1.0.7', 'fd01::7'), ips('10.0.0.5', 'fd00::5'), 16_321);

/** Programs that behave as `answer` says (exit code, or a whole result), and what was run. */
function programs(answer: (line: string) => number | Partial<ExecResult>) {
  const ran: string[] = [];
  const exec: Exec = async (argv) => {
    const line = argv.join(' ');
    ran.push(line);
    const result = answer(line);
    return {
      exitCode: 0,
      stdout: '',
      stderr: '',
      ...(typeof result === 'number' ? { exitCode: result } : result),
    };
  };
  return { exec, ran, changes: () => ran.filter((line) => / -[NFAI] /.test(line)) };
}

/** A fresh network namespace: nothing exists, every change succeeds. */
const fresh = (line: string) => (/ -[SC] /.test(line) ? 1 : 0);

describe('redirectsOf', () => {
  test('takes the families that the Pod and its Node share', () => {
    expect<unknown>(DUAL).toEqual([
      { family: 'IPv4', from: ['169.254.169.254'], target: '10.0.0.5', port: 16_321 },
      { family: 'IPv6', from: ['fd20:ce::254'], target: 'fd00::5', port: 16_321 },
    ]);
    expect(redirectsOf(ips('10.1.0.7'), ips('fd00::5', '10.0.0.5'), 1).map((one) => one.family)).toEqual([
      'IPv4',
    ]);
    expect(redirectsOf(ips('fd01::7'), ips('10.0.0.5'), 1)).toEqual([]);
  });

  test("takes the addresses of AWS's container credentials if asked for", () => {
    const [pod, host] = [ips('10.1.0.7', 'fd01::7'), ips('10.0.0.5', 'fd00::5')];
    expect(redirectsOf(pod, host, 1, { containerCredentials: true }).map(({ from }) => from)).toEqual([
      ['169.254.169.254', '169.254.170.23'],
      ['fd20:ce::254', 'fd00:ec2::23'],
    ]);
  });
});

describe('redirect', () => {
  test('writes into both packet filters, as a mesh may use either', async () => {
    const { exec, changes } = programs(fresh);
    expect(await redirect(DUAL, { exec, log: silent })).toMatchObject({ family: 'IPv4' });
    expect([...new Set(changes().map((line) => line.split(' ')[0]))]).toEqual([
      'iptables-nft',
      'iptables-legacy',
      'ip6tables-nft',
      'ip6tables-legacy',
    ]);
  });

  test.each(['nft', 'legacy'])('accepts a kernel that does not support %s', async (backend) => {
    const { exec, changes } = programs((line) => (line.startsWith(`iptables-${backend} `) ? 3 : fresh(line)));
    const warnings: string[] = [];
    const log = { ...silent, warn: (_: unknown, message: string) => warnings.push(message) };
    expect(await redirect(DUAL.slice(0, 1), { exec, log })).toMatchObject({ family: 'IPv4' });
    expect(changes().filter((line) => !line.startsWith(`iptables-${backend} `))).not.toBeEmpty();
    expect(warnings).toEqual([]);
  });

  test('changes nothing where everything is there', async () => {
    const { exec, changes } = programs(() => ({
      stdout: '-A OUTPUT -d 169.254.169.254/32 -p tcp -m tcp --dport 80 -j GKE-METADATA-SERVER\n',
    }));
    await redirect(DUAL, { exec, log: silent });
    expect(changes()).toEqual([]);
  });

  test('goes on without IPv6 where only IPv6 fails', async () => {
    const { exec } = programs((line) => (line.startsWith('ip6tables') ? 3 : fresh(line)));
    expect(await redirect(DUAL, { exec, log: silent })).toMatchObject({ family: 'IPv4' });
  });

  test('goes on with IPv6 where only IPv4 fails', async () => {
    const { exec } = programs((line) => (line.startsWith('iptables') ? 3 : fresh(line)));
    expect(await redirect(DUAL, { exec, log: silent })).toMatchObject({ family: 'IPv6' });
  });

  test('says what both backends said and what to do, where nothing can be redirected', async () => {
    const { exec } = programs((line) =>
      line.includes('-save') ? 0 : { exitCode: 4, stderr: `denied by ${line.split(' ')[0]}\n` },
    );
    const failed = redirect(DUAL.slice(0, 1), { exec, log: silent });
    await expect(failed).rejects.toMatchObject({
      code: 'redirect-failed',
      message: expect.stringMatching(/denied by iptables-nft.*denied by iptables-legacy/),
      remedy: expect.stringContaining('NET_ADMIN'),
    });
  });

  test('says so where Pod and Node share no family', async () => {
    const { exec, ran } = programs(fresh);
    const failed = redirect([], { exec, log: silent });
    await expect(failed).rejects.toMatchObject({
      code: 'redirect-failed',
      remedy: expect.stringContaining('status.hostIPs'),
    });
    expect(ran).toEqual([]);
  });
});
