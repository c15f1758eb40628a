import { expect, test } from 'bun:test';
import { unhealthy } from './objects.ts';

const object = (kind: string, status?: object, spec?: object) =>
  unhealthy({ apiVersion: 'v1', kind, metadata: { name: 'any', generation: 2 }, spec, status });

test('a custom resource is healthy when its controller says so of its current generation', () => {
  const ready = { type: 'Ready', status: 'True' };
  expect(object('Certificate')).toBe('is not Ready yet');
  expect(object('Certificate', { conditions: [{ ...ready, status: 'False', message: 'no issuer' }] })).toBe(
    'is not Ready: no issuer',
  );
  expect(object('Certificate', { conditions: [{ ...ready, observedGeneration: 1 }] })).toBe(
    'is Ready as it was before',
  );
  expect(object('Certificate', { conditions: [{ ...ready, observedGeneration: 2 }] })).toBeUndefined();
  expect(object('Issuer', { conditions: [ready] })).toBeUndefined();
});

test('a Deployment is healthy when all of its Pods are current and available, and no other is left', () => {
  const spec = { replicas: 2 };
  const done = { observedGeneration: 2, replicas: 2, updatedReplicas: 2, availableReplicas: 2 };
  expect(object('Deployment', done, spec)).toBeUndefined();
  expect(object('Deployment', { ...done, observedGeneration: 1 }, spec)).toBe('has not been observed');
  expect(object('Deployment', { ...done, replicas: 3 }, spec)).toContain('has 3 replicas');
  expect(object('Deployment', { ...done, availableReplicas: 1 }, spec)).toContain('1 available, wants 2');
  expect(object('Deployment', undefined, spec)).toBe('has not been observed');
});

test('a DaemonSet is healthy when each of its Nodes has a current Pod that is available', () => {
  const done = {
    observedGeneration: 2,
    desiredNumberScheduled: 1,
    updatedNumberScheduled: 1,
    numberAvailable: 1,
  };
  expect(object('DaemonSet', done)).toBeUndefined();
  expect(object('DaemonSet', { ...done, updatedNumberScheduled: 0 })).toBe(
    'has 0 current Pods, 1 available, wants 1',
  );
  expect(object('DaemonSet', { observedGeneration: 1 })).toBe('has not been observed');
});

test('what nobody has to make work is healthy at once', () => {
  expect(object('ConfigMap')).toBeUndefined();
});
