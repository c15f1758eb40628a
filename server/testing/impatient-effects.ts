import { type Effects, systemEffects } from '../core/effects.ts';

/** The pauses between attempts pass at once; time limits stay far away. */
export function impatientEffects(): Effects {
  let passed = 0;
  return {
    ...systemEffects,
    now: () => systemEffects.now() + passed,
    sleep: async (milliseconds, signal) => {
      if (milliseconds >= 2000) return systemEffects.sleep(60_000, signal);
      passed += milliseconds;
    },
  };
}
