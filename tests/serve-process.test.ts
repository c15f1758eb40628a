import { expect, setDefaultTimeout, test } from 'bun:test';
import { freePorts } from '../scripts/free-ports.ts';
import { ask } from '../server/sandbox/ask.ts';
import { startSandboxWorld } from '../server/sandbox/sandbox-world.ts';
import { serverProgram } from './program.ts';
import { startServe } from './serve-process.ts';

// each starts programs, on a machine that may have other things to do
setDefaultTimeout(120_000);

const ACCOUNT = '/computeMetadata/v1/instance/service-accounts/default';
const PROGRAM = await serverProgram();
const SLOW_MACHINE = 120_000;

/** Runs the command line until it ends. */
async function run(...args: string[]) {
  const child = Bun.spawn([...PROGRAM, ...args], { env: {}, stdout: 'pipe', stderr: 'pipe' });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { exitCode: await child.exited, stdout, stderr };
}

test.each(['SIGTERM', 'SIGINT'] as const)(
  'serve ends with exit code 0 on %s, and no token is in the log of its requests',
  async (signal) => {
    await using world = await startSandboxWorld();
    await using serve = await startServe(world, '--log-level', 'debug');
    const token = await ask('127.0.0.11', serve.port, `${ACCOUNT}/token`);
    const identity = await ask('127.0.0.11', serve.port, `${ACCOUNT}/identity?audience=x`);
    const denied = await ask('127.0.0.13', serve.port, `${ACCOUNT}/token`);
    expect([token.status, identity.status, denied.status]).toEqual([200, 200, 403]);

    const { exitCode, log } = await serve.end(signal);
    expect(exitCode).toBe(0);
    expect(log.match(/"message":"answered"/g)).toHaveLength(3);
    for (const secret of [JSON.parse(token.body).access_token, identity.body, 'ya29.', 'eyJ']) {
      expect(log).not.toContain(secret);
    }
  },
  SLOW_MACHINE,
);

test(
  'the port is open to both families',
  async () => {
    await using world = await startSandboxWorld();
    await using serve = await startServe(world);
    for (const host of ['127.0.0.1', '[::1]']) {
      const response = await fetch(`http://${host}:${serve.port}${ACCOUNT}/email`, {
        headers: { 'Metadata-Flavor': 'Google' },
      });
      // loopback of either family is the Node
      expect(await response.text()).toBe('node@sandbox-project.iam.gserviceaccount.com');
    }
  },
  SLOW_MACHINE,
);

test('a wrong provider ends serve at once, with the form that was expected', async () => {
  const flags = ['--node-name=n', '--project-id=p', '--workload-identity-provider=my-pool'];
  const { exitCode, stderr } = await run('serve', ...flags);
  expect(exitCode).toBe(2);
  expect(stderr).toContain('projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER');
});

test('a kubeconfig that cannot be read ends serve with what to do, and no stack', async () => {
  const provider = 'projects/1/locations/global/workloadIdentityPools/pool/providers/kind';
  const flags = ['--node-name=n', '--project-id=p', `--workload-identity-provider=${provider}`];
  const { exitCode, stderr } = await run('serve', ...flags, '--kubeconfig=/does/not/exist');
  expect(exitCode).toBe(2);
  expect(stderr).toStartWith('error: cannot load the kubeconfig /does/not/exist');
  expect(stderr).not.toContain('    at ');
});

test('help goes to standard output with exit code 0, bad use to standard error with 2', async () => {
  const help = await run('serve', '--help');
  expect(help).toMatchObject({ exitCode: 0, stderr: '' });
  expect(help.stdout).toContain('--workload-identity-provider');
  const unknown = await run('server');
  expect(unknown).toMatchObject({ exitCode: 2, stdout: '' });
  expect(unknown.stderr).toContain("unknown command 'server'");
});

test(
  'sandbox --once shows who asked, the steps and what came back, never a token, and ends',
  async () => {
    const [serverPort, healthPort] = await freePorts(2);
    const ports = ['--server-port', `${serverPort}`, '--health-port', `${healthPort}`];
    const { exitCode, stdout } = await run('sandbox', '--once', '--log-level', 'error', ...ports);
    expect(exitCode).toBe(0);
    for (const line of [
      'TokenRequest for default/annotated, bound to Pod annotated',
      'TokenRequest for kube-system/node, bound to Node sandbox-node',
      'an access token of serviceAccount:reader@sandbox-project.iam.gserviceaccount.com',
      'an access token of principal://…/subject/system:serviceaccount:default:direct',
      'an ID token by https://accounts.google.com of reader@sandbox-project.iam.gserviceaccount.com',
      '403 Unable to generate access token',
      'the first time',
    ]) {
      expect(stdout).toContain(line);
    }
    expect(stdout).not.toMatch(/ya29|eyJ/);
  },
  SLOW_MACHINE,
);
