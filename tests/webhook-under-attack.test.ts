import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compileServer } from '../scripts/compile-server.ts';
import { MemoryGroup, whyNoMemoryGroup } from './memory-group.ts';
import { Attacker, BODIES, FLOODS, manyContainers, podReview } from './webhook-attacks.ts';
import { startWebhook, WebhookCertificate, type WebhookProcess } from './webhook-process.ts';

// each starts programs, on a machine that may have other things to do
setDefaultTimeout(120_000);

// The compiled program with the memory that the module gives it: `resources.limits` of the webhook.
const LIMIT = 256 * 1024 * 1024;
const LONGEST = 240_000;
const IGNORED = ['ignore', 'inherit', 'inherit'] as const;
const missing = (await whyNoMemoryGroup()) ?? (Bun.which('openssl') === null ? 'needs openssl' : undefined);

describe.skipIf(missing !== undefined)(
  `the webhook in ${LIMIT / 1024 / 1024} MiB${missing === undefined ? '' : ` (not run: ${missing})`}`,
  () => {
    let disposables: AsyncDisposableStack;
    let group: MemoryGroup;
    let webhook: WebhookProcess;

    beforeAll(async () => {
      await using stack = new AsyncDisposableStack();
      const folder = await mkdtemp(join(tmpdir(), 'gkems-attack-'));
      stack.defer(() => rm(folder, { recursive: true }));
      const program = join(folder, 'gke-metadata-server');
      await compileServer(program);
      const api = stack.use(namespaces());
      const certificate = stack.use(await WebhookCertificate.make());
      group = stack.use(await MemoryGroup.make(LIMIT));
      const command = group.running([program]);
      const world = { namespace: 'gke-metadata-server', kubeconfig: api.kubeconfig, command };
      webhook = stack.use(await startWebhook(world, certificate));
      disposables = stack.move();
    }, LONGEST);
    afterAll(() => disposables?.disposeAsync());

    /** Ordinary reviews go on while `attack` does, each answered with a patch; then the webhook lives still. */
    async function survives(attack: Promise<unknown>): Promise<void> {
      let isOver = false;
      const ordinary = Promise.all(
        [1, 2, 3, 4].map(async () => {
          do {
            expect(await ordinaryReview(webhook.port)).toEqual({ status: 200, isPatched: true });
            // as many as a busy cluster has, and no flood of their own
            await Bun.sleep(20);
          } while (!isOver);
        }),
      );
      await attack.finally(() => {
        isOver = true;
      });
      await ordinary;
      const health = await fetch(`http://127.0.0.1:${webhook.healthPort}/healthz`);
      expect([health.status, await group.kills()]).toEqual([200, 0]);
    }

    test.each(Object.keys(BODIES))(
      'answers a body of %s, and ordinary reviews meanwhile',
      async (name) => {
        const body = BODIES[name]?.() ?? '';
        const attackers = ['127.0.0.2', '127.0.0.3'].map((address) => new Attacker(webhook.port, address));
        const statuses: (number | undefined)[] = [];
        const attack = async (attacker: Attacker) => {
          for (let round = 0; round < 3; round++) statuses.push(await attacker.post(body));
        };
        await survives(Promise.all([...attackers, ...attackers].map(attack)));
        expect(statuses.filter((status) => ![200, 400, 403, 503].includes(status ?? 0))).toEqual([]);
      },
      LONGEST,
    );

    test(
      'answers 24 Pods of 18,500 containers at once from the address of the API server, and ordinary reviews meanwhile',
      async () => {
        const server = new Attacker(webhook.port, '127.0.0.1');
        const body = manyContainers(18_500, 150);
        const statuses = Promise.all(Array.from({ length: 24 }, () => server.post(body)));
        await survives(statuses);
        expect((await statuses).filter((status) => status !== 200 && status !== 503)).toEqual([]);
      },
      LONGEST,
    );

    test(
      'answers ordinary reviews during every flood of connections at once',
      async () => {
        const flood = [process.execPath, '--no-orphans', join(import.meta.dir, 'flood-webhook.ts')];
        const child = Bun.spawn([...flood, `${webhook.port}`, ...Object.keys(FLOODS)], {
          stdio: [...IGNORED],
        });
        await survives(child.exited);
        expect(child.exitCode).toBe(0);
      },
      LONGEST,
    );
  },
);

/** An API server whose only object is the Namespace that it is asked for. */
function namespaces() {
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch: () => Response.json({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default' } }),
  });
  const name = 'it';
  const kubeconfig = JSON.stringify({
    clusters: [{ name, cluster: { server: server.url.origin } }],
    users: [{ name, user: {} }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  });
  return { kubeconfig, [Symbol.asyncDispose]: () => server.stop(true) };
}

/** As an API server sends them: on kept connections, of the usual size. */
async function ordinaryReview(port: number) {
  const annotations = `,"managedFields":"${'x'.repeat(4000)}"`;
  const response = await fetch(`https://127.0.0.1:${port}/mutate/pods`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: podReview('{"containers":[{"name":"app"}]}', annotations),
    tls: { rejectUnauthorized: false },
  });
  const text = await response.text();
  return { status: response.status, isPatched: text.includes('"patchType":"JSONPatch"') };
}
