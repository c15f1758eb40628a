import { expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compileServer, recordUsedFunctions, USED_FUNCTIONS } from './compile-server.ts';

// what is compiled here runs here; it is released for Linux
test.skipIf(process.platform !== 'linux')(
  'the functions that lie side by side are the ones in use',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'compile-server-test-'));
    try {
      const program = join(folder, 'program');
      await compileServer(program);
      const known = new Set((await Bun.file(USED_FUNCTIONS).text()).split('\n'));
      const used = (await recordUsedFunctions(program)).trimEnd().split('\n');
      const unknown = used.filter((entry) => !known.has(entry));
      expect(used.length).toBeGreaterThan(1000);
      // an old record still does its work; ./scripts/build --record-used-functions makes a new one
      expect(unknown.length / used.length).toBeLessThan(0.2);
    } finally {
      await rm(folder, { recursive: true });
    }
  },
  60_000,
);
