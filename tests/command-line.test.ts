import { expect, setDefaultTimeout, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../scripts/free-ports.ts';
import { type Finished, run } from '../scripts/run.ts';
import { serverProgram } from './program.ts';

// each starts programs, on a machine that may have other things to do
setDefaultTimeout(120_000);

const PROGRAM = await serverProgram();
const PROVIDER = 'projects/123456789012/locations/global/workloadIdentityPools/pool/providers/cluster';
const REQUIRED: Readonly<Record<string, readonly string[]>> = {
  serve: ['--node-name=node', '--project-id=project', `--workload-identity-provider=${PROVIDER}`],
  webhook: ['--namespace=gms', '--init-network-image=image', '--host-ip=10.0.0.5'],
  'init-network': ['--host-ips=10.0.0.5', '--pod-ips=10.1.0.5', '--pod-uid=uid'],
  'token-file': ['--token-file=/run/token', '--host-ip=10.0.0.5', '--pod-uid=uid'],
  explain: ['ns/pod', '--node-name=node', '--project-id=project', `--workload-identity-provider=${PROVIDER}`],
  sandbox: [],
};

/** As a person types it, with nothing else in the environment. */
function program(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>> = {},
): Promise<Finished> {
  const { PATH } = process.env;
  return run([...PROGRAM, ...args], {
    env: { PATH, HOME: tmpdir(), ...environment },
    timeout: 60_000,
  });
}

const DEFAULT_NODE =
  'error: --default-node-service-account-name and --default-node-service-account-namespace go together';

test.each([
  ['serve', ['--health-port=16321'], 'error: --server-port and --health-port are both 16321'],
  ['serve', ['--default-node-service-account-name=a'], DEFAULT_NODE],
  ['serve', ['--kubeconfig=/nowhere'], '/nowhere'],
  ['explain', ['--health-port=16321'], 'error: --server-port and --health-port are both 16321'],
  ['webhook', ['--webhook-port=16322'], 'error: --webhook-port and --health-port are both 16322'],
  ['webhook', ['--default-node-service-account-namespace=a'], DEFAULT_NODE],
  ['webhook', ['--kubeconfig=/nowhere'], '/nowhere'],
  ['init-network', ['--timeout=0s'], 'Expected a duration from 1s to 3600s.'],
  ['token-file', ['--token-file=token'], 'Expected an absolute path of a file.'],
  ['sandbox', ['--server-port=16322'], 'error: --server-port and --health-port are both 16322'],
  ...Object.keys(REQUIRED).flatMap((command) => [
    [command, ['--log-level=loud'], 'Allowed choices are debug, info, warn, error.'] as const,
    [command, ['--bogus'], "error: unknown option '--bogus'"] as const,
    [command, ['one', 'more'], 'too many arguments'] as const,
  ]),
] as const)('%s %p: one line that says what is wrong, and exit code 2', async (command, args, text) => {
  const { exitCode, stdout, stderr } = await program([command, ...(REQUIRED[command] ?? []), ...args]);
  expect({ exitCode, stdout, stderr }).toEqual({
    exitCode: 2,
    stdout: '',
    stderr: expect.stringMatching(/^error: .+\n$/),
  });
  expect(stderr).toContain(text);
});

test.each(Object.keys(REQUIRED).filter((command) => command !== 'sandbox'))(
  '%s: a misspelt option is reported before those that are missing',
  async (command) => {
    const { exitCode, stderr } = await program([command, '--server-prot=1']);
    expect(stderr).toBe("error: unknown option '--server-prot=1' (Did you mean --server-port?)\n");
    expect(exitCode).toBe(2);
  },
);

test.each([
  [
    'serve',
    { SERVER_PORT: 'http' },
    "value 'http' from env 'SERVER_PORT' is invalid. Expected a port, 1 to 65535.",
  ],
  ['webhook', { INJECTION_MODE: 'Sidecar' }, "value 'Sidecar' from env 'INJECTION_MODE' is invalid."],
  ['serve', {}, 'cannot find a Kubernetes cluster'],
  ['webhook', { KUBECONFIG: '/nowhere' }, '/nowhere'],
])('%s with %p in its environment: the same', async (command, environment, text) => {
  const { exitCode, stderr } = await program([command, ...(REQUIRED[command] ?? [])], environment);
  expect(stderr).toMatch(/^error: .+\n$/);
  expect(stderr).toContain(text);
  expect(exitCode).toBe(2);
});

test('webhook without a certificate says so in one line', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'command-line-'));
  try {
    const kubeconfig = join(folder, 'kubeconfig');
    const named = { name: 'a' };
    await Bun.write(
      kubeconfig,
      JSON.stringify({
        clusters: [{ ...named, cluster: { server: 'https://127.0.0.1:1' } }],
        users: [{ ...named, user: {} }],
        contexts: [{ ...named, context: { cluster: 'a', user: 'a' } }],
        'current-context': 'a',
      }),
    );
    const flags = [
      `--kubeconfig=${kubeconfig}`,
      `--certificate-directory=${folder}/none`,
      '--log-level=error',
    ];
    const { exitCode, stdout, stderr } = await program(['webhook', ...(REQUIRED['webhook'] ?? []), ...flags]);
    expect(stderr).toMatch(new RegExp(`^error: .*${folder}/none.*\\n$`));
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('all that is missing is named at once, with the variables that can give it', async () => {
  const { exitCode, stderr } = await program(['webhook']);
  expect(stderr).toBe(
    'error: missing --namespace (NAMESPACE), --init-network-image (INIT_NETWORK_IMAGE), --host-ip (HOST_IP)\n',
  );
  expect(exitCode).toBe(2);
});

test('a sandbox does not share its port with what listens there already, even if that would share', async () => {
  using other = Bun.serve({ port: 0, reusePort: true, fetch: () => new Response() });
  const [healthPort] = await freePorts(1);
  const { exitCode, stderr } = await program([
    'sandbox',
    '--once',
    `--server-port=${other.port}`,
    `--health-port=${healthPort}`,
  ]);
  expect(stderr).toMatch(new RegExp(`^error: cannot listen on port ${other.port}: .+--server-port\\.\\n$`));
  expect(exitCode).toBe(2);
});

test.each([
  ['help', ['serve', '--help']],
  ['the tour of the sandbox', ['sandbox', '--once', '--log-level=error']],
  ['the log of the sandbox', ['sandbox', '--log-level=debug']],
])('%s ends with no error once nobody reads it', async (_, args) => {
  const folder = await mkdtemp(join(tmpdir(), 'command-line-'));
  try {
    const [server, health] = await freePorts(2);
    const ports = args.includes('sandbox') ? [`--server-port=${server}`, `--health-port=${health}`] : [];
    const { PATH } = process.env;
    const line = [...PROGRAM, ...args, ...ports].join(' ');
    const { exitCode, stdout, stderr } = await run(
      ['bash', '-c', `${line} | head -1; exit \${PIPESTATUS[0]}`],
      {
        env: { PATH, HOME: folder },
        timeout: 60_000,
      },
    );
    expect(stderr).toBe('');
    expect(stdout.split('\n')).toHaveLength(2);
    expect(exitCode).toBe(0);
  } finally {
    await rm(folder, { recursive: true });
  }
});
