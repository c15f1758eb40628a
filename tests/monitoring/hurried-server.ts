import { startServing } from '../../server/commands/serve.ts';
import { type Effects, systemEffects } from '../../server/core/effects.ts';
import { type SandboxWorld, sandboxSettings } from '../../server/sandbox/sandbox-world.ts';
import { waitUntil } from '../wait-until.ts';
import type { ScrapedServer } from './installation.ts';

const HALF_AN_HOUR = 1_800_000;

/** The server's own code, for which an hour is a moment: so often it looks at the cluster's keys. */
export async function startHurriedServer(world: SandboxWorld): Promise<ScrapedServer> {
  const sleep: Effects['sleep'] = (milliseconds, signal) =>
    systemEffects.sleep(milliseconds >= HALF_AN_HOUR ? 100 : milliseconds, signal);
  const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
  const cluster = { server: world.kubernetes.url, authenticate: async () => ({ headers: {}, tls: {} }) };
  const serving = await startServing(sandboxSettings(world), {
    cluster,
    effects: { ...systemEffects, sleep },
    log,
  });
  await waitUntil(
    'the server is ready',
    async () => (await fetch(`http://127.0.0.1:${serving.healthPort}/readyz`)).ok,
  );
  return {
    port: serving.serverPort,
    healthPort: serving.healthPort,
    [Symbol.asyncDispose]: () => serving[Symbol.asyncDispose](),
  };
}
