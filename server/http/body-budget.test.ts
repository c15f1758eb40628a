import { describe, expect, test } from 'bun:test';
import { BodyBudget, type BodyShare, LARGE_BODY } from './body-budget.ts';

const MIB = 1024 * 1024;

/** How many bodies of that size a peer gets room for, up to 1000. */
function taken(budget: BodyBudget, peer: string, size: number): BodyShare[] {
  const shares: BodyShare[] = [];
  for (let count = 0; count < 1000; count++) {
    const share = budget.open(peer);
    // in pieces, as they arrive
    for (let left = size; left > 0; left -= 65_536) {
      if (share.grow(Math.min(left, 65_536))) continue;
      share.close();
      return shares;
    }
    shares.push(share);
  }
  return shares;
}

describe('BodyBudget', () => {
  test('keeps room for bodies of usual size, however many large ones there are', () => {
    const budget = new BodyBudget();
    expect(taken(budget, 'api-server', 3 * MIB)).toHaveLength(4);
    expect(taken(budget, 'api-server', 20_000)).toHaveLength(209);
  });

  test('keeps room for a peer, whatever another takes', () => {
    const budget = new BodyBudget();
    taken(budget, 'pod', 3 * MIB);
    taken(budget, 'pod', LARGE_BODY);
    expect(taken(budget, 'api-server', 3 * MIB)).toHaveLength(4);
    expect(taken(budget, 'api-server', LARGE_BODY)).toHaveLength(32);
  });

  test('has an end for all peers together', () => {
    const budget = new BodyBudget();
    const peers = Array.from({ length: 20 }, (_, index) => `pod-${index}`);
    const bytes = (size: number) => size * peers.flatMap((peer) => taken(budget, peer, size)).length;
    expect(bytes(3 * MIB)).toBe(24 * MIB);
    expect(bytes(LARGE_BODY)).toBe(16 * MIB);
  });

  test('has all of it again when bodies are answered, also those that outgrew the small ones', () => {
    const budget = new BodyBudget();
    for (let round = 0; round < 3; round++) {
      const shares = [...taken(budget, 'a', 3 * MIB), ...taken(budget, 'a', 100_000)];
      expect(shares).toHaveLength(4 + 41);
      for (const share of shares) share.close();
      for (const share of shares) share.close();
    }
  });

  test('takes nothing for a body that is answered already', () => {
    const budget = new BodyBudget();
    const share = budget.open('a');
    share.close();
    expect(share.grow(1)).toBe(false);
  });
});
