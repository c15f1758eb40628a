import { expect, setDefaultTimeout, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../scripts/free-ports.ts';
import { serverProgram } from './program.ts';

// each starts programs, on a machine that may have other things to do
setDefaultTimeout(120_000);

// As process 1 of a container a program without a handler outlives every signal but SIGKILL, so each command must
// have one at once: here that shows as an exit code, not as an end by the signal itself.
const PROGRAM = await serverProgram();
const SLOW_MACHINE = 120_000;
const EXIT_CODES = { SIGTERM: 143, SIGINT: 130 } as const;

const PROVIDER = 'projects/1/locations/global/workloadIdentityPools/pool/providers/cluster';
const INIT_NETWORK = [
  ...['init-network', '--redirect=false', '--pod-ips=127.0.0.1', '--pod-uid=uid', '--timeout=1h'],
  ...['--host-ips=127.0.0.1', '--server-port=1'],
];
const TOKEN_FILE = [
  ...['token-file', '--token-file=/nowhere/token', '--host-ip=127.0.0.1', '--pod-uid=uid'],
  '--server-port=1',
];
const EXPLAIN = [
  ...['explain', 'default/app', '--node-name=node', '--project-id=project'],
  ...['--workload-identity-provider', PROVIDER],
];

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(
    `init-network that waits ends at once on ${signal}`,
    async () => {
      await using child = Bun.spawn([...PROGRAM, ...INIT_NETWORK], { env: {}, stdout: 'pipe' });
      await written(child.stdout, 'waiting for the metadata server');
      child.kill(signal);
      expect([await child.exited, child.signalCode]).toEqual([EXIT_CODES[signal], null]);
    },
    SLOW_MACHINE,
  );

  // the kubelet ends a native sidecar by SIGTERM, and a Job whose sidecar ends with an error looks failed
  test.each([
    ['the sidecar', [], 0],
    // an init container that ends with 0 has done its work
    ['the init container', ['--once'], EXIT_CODES[signal]],
  ] as const)(
    `token-file that waits, as %s, ends at once on ${signal}`,
    async (_, flags, exitCode) => {
      const command = [...PROGRAM, ...TOKEN_FILE, ...flags];
      await using child = Bun.spawn(command, { env: {}, stdout: 'pipe' });
      await written(child.stdout, 'waiting for a token');
      child.kill(signal);
      expect([await child.exited, child.signalCode]).toEqual([exitCode, null]);
    },
    SLOW_MACHINE,
  );

  test(
    `explain that waits for the API server ends at once on ${signal}`,
    async () => {
      const asked = Promise.withResolvers<void>();
      using server = Bun.serve({
        port: 0,
        hostname: '127.0.0.1',
        fetch: () => {
          asked.resolve();
          return new Promise<Response>(() => {});
        },
      });
      const kubeconfig = {
        apiVersion: 'v1',
        kind: 'Config',
        clusters: [{ name: 'silent', cluster: { server: `http://127.0.0.1:${server.port}` } }],
        contexts: [{ name: 'silent', context: { cluster: 'silent', user: 'nobody' } }],
        users: [{ name: 'nobody', user: { token: 'none' } }],
        'current-context': 'silent',
      };
      const folder = await mkdtemp(join(tmpdir(), 'gkems-signals-'));
      const file = join(folder, 'kubeconfig');
      await Bun.write(file, JSON.stringify(kubeconfig));
      await using child = Bun.spawn([...PROGRAM, ...EXPLAIN, '--kubeconfig', file], { env: {} });
      await asked.promise;
      child.kill(signal);
      expect([await child.exited, child.signalCode]).toEqual([EXIT_CODES[signal], null]);
      await rm(folder, { recursive: true, force: true });
    },
    SLOW_MACHINE,
  );

  test(
    `the sandbox that stays up ends with 0 on ${signal}`,
    async () => {
      const [serverPort, healthPort] = await freePorts(2);
      const args = ['sandbox', `--server-port=${serverPort}`, `--health-port=${healthPort}`];
      await using child = Bun.spawn([...PROGRAM, ...args], { env: {}, stdout: 'pipe' });
      await written(child.stdout, 'Ctrl-C ends it');
      // also one that was started at the same time gets no half of the requests
      for (const port of [serverPort, healthPort]) {
        const shared = { hostname: '::', port, reusePort: true, fetch: () => new Response() };
        expect(() => Bun.serve(shared)).toThrow('in use');
      }
      child.kill(signal);
      expect([await child.exited, child.signalCode]).toEqual([0, null]);
    },
    SLOW_MACHINE,
  );
}

/** Resolves when the program has written these words. */
async function written(output: ReadableStream<Uint8Array>, words: string): Promise<void> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of output) {
    text += decoder.decode(chunk, { stream: true });
    if (text.includes(words)) return;
  }
  throw new Error(`it ended without '${words}': ${text}`);
}
