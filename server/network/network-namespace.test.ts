import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from 'bun:test';
import type { Server } from 'bun';
import { parseIPAddress } from '../kubernetes/ip-address.ts';
import type { Log } from '../telemetry/log.ts';
import { type Exec, redirect, redirectsOf, systemExec } from './redirect.ts';
import { type Backend, redirectSteps } from './redirect-rules.ts';

// each starts programs, on a machine that may have other things to do
setDefaultTimeout(120_000);

// A real Pod network in small: a network namespace, a veth pair, the server at the other end.
const missing = [
  ...(process.platform === 'linux' ? [] : ['Linux']),
  ...(process.getuid?.() === 0 ? [] : ['root']),
  ...[
    'ip',
    'setpriv',
    'unshare',
    'nsenter',
    'curl',
    'iptables-nft',
    'ip6tables-nft',
    'iptables-legacy',
    'ip6tables-legacy',
  ].filter((program) => Bun.which(program) === null),
];
const TITLE = `redirect in a network namespace${missing.length === 0 ? '' : ` (not run: needs ${missing.join(', ')})`}`;

const namespace = `gms-test-${process.pid}`;
const link = `gms${process.pid}`.slice(0, 14);
const host = { IPv4: '10.213.7.1', IPv6: 'fd6d:7::1' };
const pod = { IPv4: '10.213.7.2', IPv6: 'fd6d:7::2' };
const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

async function run(...argv: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await systemExec(argv);
  if (exitCode !== 0) throw new Error(`${argv.join(' ')}: ${stderr}`);
  return stdout;
}

/** As the injected container: in the Pod's network, root with two capabilities and no way to more. */
const inPod: Exec = (argv) =>
  systemExec([
    ...['ip', 'netns', 'exec', namespace],
    ...['setpriv', '--bounding-set=-all,+net_admin,+net_raw', '--inh-caps=-all', '--no-new-privs'],
    ...argv,
  ]);

async function get(url: string): Promise<string> {
  const script = `fetch('${url}').then((r) => r.text()).then((t) => process.stdout.write(t))`;
  for (;;) {
    const { stdout, stderr } = await inPod([process.execPath, '-e', script]);
    // neither if it was ended, on a machine that is busy for long
    if (stdout || stderr) return stdout || stderr;
  }
}

describe.skipIf(missing.length > 0)(TITLE, () => {
  let server: Server<undefined>;

  beforeAll(() => {
    server = Bun.serve({
      port: 0,
      hostname: '::',
      fetch: (request, self) => new Response(`you are ${self.requestIP(request)?.address}`),
    });
  });
  afterAll(() => server?.stop(true));

  // new each time: of two packet filters the kernel asks first the one that came last to this network
  beforeEach(async () => {
    await run('ip', 'netns', 'add', namespace);
    await run('ip', 'link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace);
    await run('ip', 'address', 'add', `${host.IPv4}/24`, 'dev', link);
    await run('ip', '-6', 'address', 'add', `${host.IPv6}/64`, 'dev', link, 'nodad');
    await run('ip', 'link', 'set', link, 'up');
    const ip = ['ip', '-n', namespace];
    await run(...ip, 'link', 'set', 'lo', 'up');
    await run(...ip, 'address', 'add', `${pod.IPv4}/24`, 'dev', 'eth0');
    await run(...ip, '-6', 'address', 'add', `${pod.IPv6}/64`, 'dev', 'eth0', 'nodad');
    await run(...ip, 'link', 'set', 'eth0', 'up');
    await run(...ip, 'route', 'add', 'default', 'via', host.IPv4);
    await run(...ip, '-6', 'route', 'add', 'default', 'via', host.IPv6);
  });
  afterEach(async () => {
    // goes with the namespace, but not at once
    await systemExec(['ip', 'link', 'delete', link]);
    await systemExec(['ip', 'netns', 'delete', namespace]);
  });

  async function nat(backend: Backend): Promise<string[]> {
    const saved = await Promise.all([
      inPod([`iptables-${backend}-save`, '-t', 'nat']),
      inPod([`ip6tables-${backend}-save`, '-t', 'nat']),
    ]);
    return saved.flatMap(({ stdout }) => stdout.split('\n')).filter((line) => line.startsWith('-A'));
  }

  const redirects = (port: number, containerCredentials = false) =>
    redirectsOf(
      [pod.IPv4, pod.IPv6].map(parseIPAddress).filter((address) => address !== undefined),
      [host.IPv4, host.IPv6].map(parseIPAddress).filter((address) => address !== undefined),
      port,
      { containerCredentials },
    );

  for (const backend of ['nft', 'legacy'] as const) {
    // as on a kernel that knows only this one
    const exec: Exec = async (argv) =>
      argv[0]?.endsWith(`-${backend}`) ? inPod(argv) : { exitCode: 3, stdout: '', stderr: 'not supported' };

    test(`${backend} alone: both metadata addresses reach the Node, which sees the Pod's own address`, async () => {
      const port = server.port ?? 0;
      await redirect(redirects(port), { exec, log: silent });
      expect(await get('http://169.254.169.254/')).toBe(`you are ::ffff:${pod.IPv4}`);
      expect(await get('http://[fd20:ce::254]/')).toBe(`you are ${pod.IPv6}`);
      const rules = await nat(backend);
      expect(rules.filter((rule) => rule.includes('DNAT'))).toHaveLength(2);

      await redirect(redirects(port), { exec, log: silent });
      expect(await nat(backend)).toEqual(rules);
    });
  }

  test('nft and legacy together have the effect of each alone, and a second run changes nothing', async () => {
    const rules = async () => [...(await nat('nft')), ...(await nat('legacy'))];
    await redirect(redirects(server.port ?? 0), { exec: inPod, log: silent });
    const written = await rules();
    expect(written.filter((rule) => rule.includes('DNAT'))).toHaveLength(4);
    await redirect(redirects(server.port ?? 0), { exec: inPod, log: silent });
    expect(await rules()).toEqual(written);
    expect(await get('http://169.254.169.254/')).toBe(`you are ::ffff:${pod.IPv4}`);
    expect(await get('http://[fd20:ce::254]/')).toBe(`you are ${pod.IPv6}`);
  });

  test("the addresses of AWS's container credentials too, and no other of their ranges", async () => {
    const port = server.port ?? 0;
    await redirect(redirects(port, true), { exec: inPod, log: silent });
    const rules = async () => [...(await nat('nft')), ...(await nat('legacy'))];
    const written = await rules();
    for (const address of ['169.254.169.254', '169.254.170.23']) {
      expect(await get(`http://${address}/`)).toBe(`you are ::ffff:${pod.IPv4}`);
    }
    for (const address of ['fd20:ce::254', 'fd00:ec2::23']) {
      expect(await get(`http://[${address}]/`)).toBe(`you are ${pod.IPv6}`);
    }
    const dnat = written.filter((rule) => rule.includes('DNAT'));
    expect(dnat).toHaveLength(8);
    expect(dnat.every((rule) => / -d \S+\/(32|128) /.test(rule))).toBe(true);
    await redirect(redirects(port, true), { exec: inPod, log: silent });
    expect(await rules()).toEqual(written);
  });

  test('a rule with an old target is replaced, and a mesh that takes everything comes after', async () => {
    await inPod([
      'iptables-nft',
      '-t',
      'nat',
      '-A',
      'OUTPUT',
      '-p',
      'tcp',
      '-j',
      'REDIRECT',
      '--to-ports',
      '1',
    ]);
    const [ipv4] = redirects(1);
    if (ipv4 === undefined) throw new Error('no IPv4 redirect');
    await redirect([ipv4], { exec: inPod, log: silent });
    await redirect([{ ...ipv4, port: server.port ?? 0 }], { exec: inPod, log: silent });
    expect((await nat('nft')).filter((rule) => rule.includes('DNAT'))).toHaveLength(1);
    expect(await get('http://169.254.169.254/')).toBe(`you are ::ffff:${pod.IPv4}`);
  });

  // as the rules end that istio-iptables and Linkerd's proxy-init append
  const takesAll = ['OUTPUT', '-p', 'tcp', '!', '-d', '127.0.0.1/32', '-j', 'REDIRECT', '--to-ports', '1'];
  test.each([
    ['nft', 'before'],
    ['nft', 'after'],
    ['legacy', 'before'],
    ['legacy', 'after'],
  ] as const)(
    'a mesh that takes everything by %s, %s the redirect, does not cut it off',
    async (backend, when) => {
      const mesh = async () => {
        expect(await inPod([`iptables-${backend}`, '-t', 'nat', '-A', ...takesAll])).toMatchObject({
          exitCode: 0,
        });
        expect(await get(`http://${host.IPv4}:${server.port}/`)).not.toContain('you are');
      };
      if (when === 'before') await mesh();
      await redirect(redirects(server.port ?? 0).slice(0, 1), { exec: inPod, log: silent });
      if (when === 'after') await mesh();
      expect(await get('http://169.254.169.254/')).toBe(`you are ::ffff:${pod.IPv4}`);
    },
  );

  test('a rule that another program inserts before the redirect is named, and comes after it the next time', async () => {
    const [ipv4] = redirects(server.port ?? 0);
    if (ipv4 === undefined) throw new Error('no IPv4 redirect');
    await redirect([ipv4], { exec: inPod, log: silent });
    const rule = ['OUTPUT', '1', '-d', '169.254.0.0/16', '-p', 'tcp', '-j', 'REDIRECT', '--to-ports', '1'];
    await inPod(['iptables-legacy', '-t', 'nat', '-I', ...rule]);
    expect(await get('http://169.254.169.254/')).not.toContain('you are');
    const told: object[] = [];
    await redirect([ipv4], { exec: inPod, log: { ...silent, info: (fields) => told.push(fields) } });
    expect(told.at(-1)).toMatchObject({ rules: [expect.stringContaining('-j REDIRECT --to-ports 1')] });
    expect(await get('http://169.254.169.254/')).toBe(`you are ::ffff:${pod.IPv4}`);
  });

  test('in a user namespace too, as of a Pod with `hostUsers: false`, whose root is nobody on the Node', async () => {
    await using owner = Bun.spawn(
      // mapped to root all the same: the files of iptables are this machine's, not of an image of its own
      ['unshare', '--user', '--map-root-user', '--net', '--', 'sh', '-c', 'echo ready; exec sleep 3600'],
      { stdin: 'ignore', stdout: 'pipe', stderr: 'inherit' },
    );
    await owner.stdout.getReader().read();
    const net = ['nsenter', `--target=${owner.pid}`, '--net'];
    await run('ip', '-n', namespace, 'link', 'set', 'eth0', 'netns', `${owner.pid}`);
    for (const address of [`${pod.IPv4}/24`, `${pod.IPv6}/64`]) {
      const noDetection = address.includes(':') ? ['nodad'] : [];
      await run(...net, 'ip', 'address', 'add', address, 'dev', 'eth0', ...noDetection);
    }
    await run(...net, 'ip', 'link', 'set', 'eth0', 'up');
    for (const via of [host.IPv4, host.IPv6]) await run(...net, 'ip', 'route', 'add', 'default', 'via', via);
    const drop = ['setpriv', '--bounding-set=-all,+net_admin,+net_raw', '--inh-caps=-all', '--no-new-privs'];
    const exec: Exec = (argv) => systemExec([...net, '--user', ...drop, ...argv]);

    await redirect(redirects(server.port ?? 0), { exec, log: silent });
    const get = async (url: string) => (await exec(['curl', '--silent', '--max-time', '60', url])).stdout;
    expect(await get('http://169.254.169.254/')).toBe(`you are ::ffff:${pod.IPv4}`);
    expect(await get('http://[fd20:ce::254]/')).toBe(`you are ${pod.IPv6}`);
    for (const backend of ['nft', 'legacy']) {
      const { stdout } = await exec([`iptables-${backend}`, '-t', 'nat', '-S', 'GKE-METADATA-SERVER']);
      expect(stdout).toContain('-j DNAT');
    }
  });

  test('every step is a program that this iptables understands', async () => {
    for (const one of redirects(16_321)) {
      for (const { unless, prints = '', run: due } of redirectSteps(one, 'nft')) {
        const isDone = async () => {
          const { exitCode, stdout } = await inPod(unless);
          return exitCode === 0 && stdout.includes(prints);
        };
        expect(await isDone()).toBe(false);
        for (const argv of due) expect(await inPod(argv)).toMatchObject({ exitCode: 0, stderr: '' });
        expect(await isDone()).toBe(true);
      }
    }
  });
});
