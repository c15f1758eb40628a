import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type SandboxWorld, startSandboxWorld } from '../server/sandbox/sandbox-world.ts';
import { serverProgram } from './program.ts';
import { type ServeProcess, startServe } from './serve-process.ts';

// each starts programs, on a machine that may have other things to do
setDefaultTimeout(120_000);

const PROGRAM = await serverProgram();
const SLOW_MACHINE = 120_000;

let world: SandboxWorld;
let serve: ServeProcess;
let folder: string;

beforeAll(async () => {
  world = await startSandboxWorld();
  serve = await startServe(world);
  folder = await mkdtemp(join(tmpdir(), 'gkems-explain-'));
  await Bun.write(join(folder, 'kubeconfig'), world.kubeconfig);
}, SLOW_MACHINE);

afterAll(async () => {
  await serve[Symbol.asyncDispose]();
  await world[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

/** As by `kubectl exec`: what `serve` is set to is in the environment. */
async function explain(...args: string[]) {
  const child = Bun.spawn([...PROGRAM, 'explain', ...args], {
    env: {
      KUBECONFIG: join(folder, 'kubeconfig'),
      NODE_NAME: world.nodeName,
      PROJECT_ID: world.projectID,
      WORKLOAD_IDENTITY_PROVIDER: world.provider.name,
      GOOGLE_STS_ENDPOINT: world.google.url,
      GOOGLE_IAM_CREDENTIALS_ENDPOINT: world.google.url,
      SERVER_PORT: `${serve.port}`,
      HEALTH_PORT: `${serve.healthPort}`,
    },
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { exitCode: await child.exited, stdout, stderr };
}

test(
  'explain ends with 0 if every step is ok, a line each, by the environment of serve alone',
  async () => {
    const { exitCode, stdout, stderr } = await explain('kube-system/node');
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).toMatch(/^ok {11}server {10}ready$/m);
    expect(stdout).toMatch(
      /^ok {11}ID token {8}of node@sandbox-project\.iam\.gserviceaccount\.com, in one step$/m,
    );
    expect(stdout).toEndWith('Every step is ok.\n');
    expect(stdout).not.toMatch(/ya29|eyJ/);
  },
  SLOW_MACHINE,
);

test(
  'explain ends with 1 if a step failed, and says below it what to do',
  async () => {
    const { exitCode, stdout } = await explain('default/denied');
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(
      /^failed {7}access token {4}Google answered 403 .*\n {29}→ Grant roles.*\n {31}gcloud iam /m,
    );
    expect(stdout).toEndWith('Failed: route, access token, ID token.\n');
    expect(stdout).not.toMatch(/ya29|eyJ/);
  },
  SLOW_MACHINE,
);

test(
  'explain --json is one object with every step',
  async () => {
    const { exitCode, stdout } = await explain('default/direct', '--json');
    expect(exitCode).toBe(1);
    const { pod, node, ok, steps } = JSON.parse(stdout);
    expect({ pod, node, ok }).toEqual({ pod: 'default/direct', node: 'sandbox-node', ok: false });
    expect(steps.map(({ step }: { step: string }) => step).join(' ')).toBe(
      'pod node running route server address service-account annotation token-request sts access-token id-token',
    );
    expect(stdout).not.toMatch(/ya29|eyJ/);
  },
  SLOW_MACHINE,
);

test(
  'explain without a Pod lists the Pods of the Node, with what the running server says',
  async () => {
    const { exitCode, stdout, stderr } = await explain();
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).toStartWith('Node sandbox-node, 4 Pods\n\nPod default/annotated, ServiceAccount ');
    const listed = await explain('--json');
    const { node, ok, pods } = JSON.parse(listed.stdout);
    expect({ node, ok, pods: pods.length }).toEqual({ node: 'sandbox-node', ok: true, pods: 4 });
  },
  SLOW_MACHINE,
);

test.each([[['web']], [['a/b/c']], [['default/']], [['A/b']]])('explain %p is bad use', async (args) => {
  const { exitCode, stdout, stderr } = await explain(...args);
  expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
  expect(stderr).toContain('namespace/pod');
});
