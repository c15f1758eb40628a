import { afterAll, beforeAll, expect, test } from 'bun:test';
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Finished, run } from './run.ts';

const PLUGIN = join(import.meta.dir, 'kubectl-gke_metadata');
const NODE = 'worker-1';

/** A kubectl that says what it was asked for, and answers from variables. */
const STAND_IN = `#!/bin/sh
printf '%s\\n' "$*" >> "$CALLS"
case "$*" in
*'get pod '*) [ -z "\${GET_FAILS:-}" ] || { echo 'Error from server (NotFound): pods "app" not found' >&2; exit 1; }
  printf %s "$NODE_NAME" ;;
*'get pods '*) [ -z "\${LIST_FAILS:-}" ] || { echo 'Error from server (Forbidden)' >&2; exit 1; }
  printf '%b' "$SERVERS" ;;
*exec*) echo explained; exit "\${EXIT:-0}" ;;
esac
`;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plugin-test-'));
  await mkdir(join(folder, 'bin'));
  await Bun.write(join(folder, 'bin/kubectl'), STAND_IN);
  await chmod(join(folder, 'bin/kubectl'), 0o755);
});
afterAll(() => rm(folder, { recursive: true }));

const ONE = 'gke-metadata-server server-abcde gke-metadata-server True\\n';

async function plugin(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<Finished & { readonly calls: readonly string[] }> {
  const calls = join(folder, 'calls');
  await rm(calls, { force: true });
  const PATH = `${join(folder, 'bin')}:/usr/bin:/bin`;
  const env = { PATH, CALLS: calls, NODE_NAME: NODE, SERVERS: ONE, ...environment };
  const finished = await run([PLUGIN, ...args], { env });
  const asked = Bun.file(calls);
  return { ...finished, calls: (await asked.exists()) ? (await asked.text()).trimEnd().split('\n') : [] };
}

const explained = (server: string, flags: string) =>
  `exec --namespace gke-metadata-server ${server} --container server -- gke-metadata-server explain${flags}`;

test('a Pod is explained by the server of its Node', async () => {
  const { exitCode, stdout, stderr, calls } = await plugin(['explain', 'default/app']);
  expect([exitCode, stdout, stderr]).toEqual([0, 'explained\n', '']);
  expect(calls[0]).toBe('get pod --namespace default --output jsonpath={.spec.nodeName} -- app');
  expect(calls[1]).toStartWith(
    'get pods --all-namespaces --selector app.kubernetes.io/component=server ' +
      `--field-selector spec.nodeName=${NODE},status.phase=Running `,
  );
  expect(calls[2]).toBe(explained('server-abcde', ' default/app'));
});

test('a Node is explained by its server', async () => {
  const { calls } = await plugin(['explain', `--node=${NODE}`, '--json', '--context', 'a b']);
  expect(calls.length).toBe(2);
  expect(calls[1]).toBe(`--context=a b ${explained('server-abcde', ' --json')}`);
});

test('the exit code is that of explain', async () => {
  expect((await plugin(['explain', 'default/app'], { EXIT: '1' })).exitCode).toBe(1);
});

test('of two servers of one instance, one that is ready is asked', async () => {
  const second = ONE.replace('abcde True', 'x')
    .replace('server-abcde', 'server-new')
    .replace('True', 'False');
  for (const SERVERS of [`${ONE}${second}`, `${second}${ONE}`]) {
    const { calls } = await plugin(['explain', 'default/app'], { SERVERS });
    expect(calls[2]).toBe(explained('server-abcde', ' default/app'));
  }
});

test('if no server is ready, the one there is is asked', async () => {
  const { calls } = await plugin(['explain', 'default/app'], { SERVERS: ONE.replace('True', 'False') });
  expect(calls[2]).toBe(explained('server-abcde', ' default/app'));
});

test('the Namespace of the server can be given', async () => {
  const { calls } = await plugin(['explain', 'default/app', '-n', 'elsewhere']);
  expect(calls[1]).toStartWith('get pods --namespace=elsewhere --selector ');
});

test.each([
  ['explain', 'default/app', { GET_FAILS: '1' }, 'error: cannot get Pod default/app. Check its name: '],
  ['explain', 'default/app', { NODE_NAME: '' }, 'error: Pod default/app is not scheduled to a Node yet. '],
  ['explain', 'default/app', { LIST_FAILS: '1' }, 'error: cannot list the Pods of the metadata server. '],
  ['explain', 'default/app', { SERVERS: '' }, `error: no metadata server is running on Node ${NODE}. `],
  [
    'explain',
    'default/app',
    { SERVERS: `${ONE}other server-x other True\\n` },
    `error: several metadata servers are running on Node ${NODE}: ` +
      'gke-metadata-server/gke-metadata-server other/other. Choose one: --namespace NAMESPACE',
  ],
] as const)('%s %s with %p fails, and says why', async (command, pod, environment, words) => {
  const { exitCode, stdout, stderr, calls } = await plugin([command, pod], environment);
  expect([exitCode, stdout]).toEqual([1, '']);
  expect(stderr).toContain(words);
  expect(calls.join('\n')).not.toContain('exec');
});

test('a missing kubectl is named', async () => {
  const { exitCode, stderr } = await plugin(['explain', 'default/app'], { PATH: join(folder, 'none') });
  expect([exitCode, stderr]).toEqual([
    1,
    'error: cannot find kubectl. Install it, or add its directory to PATH\n',
  ]);
});

test.each([
  [[], 'expected a command: explain'],
  [['describe'], "unknown command 'describe'"],
  [['explain'], 'expected NAMESPACE/POD or --node NODE'],
  [['explain', 'app'], "expected NAMESPACE/POD, not 'app'"],
  [['explain', 'a/b/c'], "expected NAMESPACE/POD, not 'a/b/c'"],
  [['explain', 'a/'], "expected NAMESPACE/POD, not 'a/'"],
  [['explain', 'a/b', 'c/d'], "unexpected argument 'c/d'"],
  [['explain', 'a/b', '--node', 'c'], 'expected either NAMESPACE/POD or --node NODE'],
  [['explain', '--node'], '--node needs a value'],
  [['explain', '--node='], '--node needs a value'],
  [['explain', '--bogus'], "unknown option '--bogus'"],
] as const)('%p is bad use', async (args, words) => {
  expect(await plugin(args)).toEqual({
    exitCode: 2,
    stdout: '',
    stderr: `error: ${words}. See: kubectl gke-metadata --help\n`,
    calls: [],
  });
});

test('it has a help', async () => {
  const { exitCode, stdout } = await plugin(['--help']);
  expect([exitCode, stdout]).toEqual([
    0,
    expect.stringContaining('kubectl gke-metadata explain NAMESPACE/POD'),
  ]);
});
