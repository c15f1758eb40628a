import { Elysia } from 'elysia';
import { INSTANCE_PATH } from './listener.ts';

interface HealthDependencies {
  readonly metrics: { exposition(): Promise<{ readonly contentType: string; readonly text: string }> };
  /** For {@link INSTANCE_PATH}; undefined if no other process can share the port. */
  readonly instance?: string;
  /** Why the program is not ready, in words; empty if it is. */
  missing(): readonly string[];
}

const TEXT = { 'Content-Type': 'text/plain; charset=utf-8' };

function text(status: number, lines: readonly string[]): Response {
  return new Response(`${lines.join('\n')}\n`, { status, headers: TEXT });
}

/** The health port: `/healthz` while the process is alive, `/readyz` if it is ready for requests, and `/metrics`. */
export function healthRoutes({ metrics, instance, missing }: HealthDependencies): Elysia {
  const app = new Elysia({ strictPath: true });
  // before the routes: a hook covers only those that follow it, and without it an error's message is sent
  app.onError(({ code }) =>
    code === 'NOT_FOUND' ? text(404, ['Not Found']) : text(500, ['Internal Server Error']),
  );
  if (instance !== undefined) app.get(INSTANCE_PATH, () => text(200, [instance]));
  app.get('/healthz', () => text(200, ['ok']));
  app.get('/readyz', () => {
    const reasons = missing();
    return reasons.length === 0 ? text(200, ['ok']) : text(503, reasons);
  });
  app.get('/metrics', async () => {
    const { contentType, text: body } = await metrics.exposition();
    return new Response(body, { headers: { 'Content-Type': contentType } });
  });
  return app;
}
