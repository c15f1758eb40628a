import { expect, test } from 'bun:test';
import { freePorts } from './free-ports.ts';

test('each is another one that can be listened on, below those that the system hands out', async () => {
  const ports = await freePorts(20);
  expect(new Set(ports).size).toBe(20);
  for (const port of ports) {
    expect(port).toBeLessThan(30_000);
    using server = Bun.serve({ port, fetch: () => new Response() });
    expect(server.port).toBe(port);
  }
});
