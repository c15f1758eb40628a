import { expect, test } from 'bun:test';
import { minimalValues } from '../../scripts/module/config-fields.ts';
import { ModuleRenderer } from '../../scripts/module/render.ts';
import { Cache } from '../../scripts/tools/cache.ts';

const renderer = await ModuleRenderer.prepare(new Cache());
const instance = { name: 'gke-metadata-server', namespace: 'gke-metadata-server' };

/** Whether Timoni takes an object of generation 2 for ready: it puts the object into the health check, as here. */
function isCurrent(kind: string, conditions: readonly object[]): Promise<unknown> {
  const object = JSON.stringify({ metadata: { generation: 2 }, status: { conditions } });
  const expression = `(timoni.healthChecks."cert-manager.io/${kind}" & {#object: ${object}}).current`;
  return renderer.export(expression, minimalValues, instance);
}

test.each(['Certificate', 'Issuer'])(
  'a changed %s is ready only once its condition is of the present generation',
  async (kind) => {
    const ready = { type: 'Ready', status: 'True', reason: 'Ready' };
    const outcomes = [
      [[], false],
      [[{ ...ready, observedGeneration: 1 }], false],
      [[{ ...ready, observedGeneration: 2 }], true],
      [[{ ...ready, status: 'False', observedGeneration: 2 }], false],
      [[{ type: 'Issuing', status: 'True', observedGeneration: 2 }], false],
      // of an external issuer's controller that leaves the generation out
      [[ready], true],
    ] as const;
    for (const [conditions, current] of outcomes) {
      expect([conditions, await isCurrent(kind, conditions)]).toEqual([conditions, current]);
    }
  },
  60_000,
);
