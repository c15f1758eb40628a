import { expect, test } from 'bun:test';
import type { Caller } from '../caller/caller.ts';
import { nodeStatus } from './node-status.ts';

const callers = (count: number): Caller[] =>
  Array.from({ length: count }, (_, position) => ({
    serviceAccount: { namespace: 'default', name: 'app', uid: 'app', annotations: {} },
    boundTo: { kind: 'Pod', name: `app-${position}`, uid: `${position}` },
  }));

test('it is bounded, however many callers there are and however long a reason is', () => {
  const lastFailure = { code: 'entra-refused', reason: `${'x'.repeat(5000)}\nmore`, at: 0 } as const;
  const status = nodeStatus(callers(1001), {
    google: { status: () => ({ kept: [] }) },
    aws: undefined,
    azure: { status: () => ({ kept: [], lastFailure }) },
  });
  expect(status.callers.length).toBe(1000);
  const [first] = status.callers;
  expect(Object.keys(first?.clouds ?? {})).toEqual(['google', 'azure']);
  expect(first?.clouds.azure?.lastFailure?.reason.length).toBe(300);
});
