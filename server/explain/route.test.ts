import { describe, expect, test } from 'bun:test';
import {
  formatTerminationMessage,
  type InitContainerDetails,
  type PodDetails,
} from '../kubernetes/pod-details.ts';
import { routeOf } from './route.ts';
import { StepFailure } from './steps.ts';

const PORT = 16_321;
const LABEL = 'gke-metadata-server.matheuscscp.io/webhook';

function podWith(changed: Partial<PodDetails>): PodDetails {
  return {
    namespace: 'ns',
    name: 'app',
    uid: 'uid',
    nodeName: 'node',
    serviceAccountName: 'default',
    hostNetwork: false,
    addresses: [],
    phase: 'Running',
    finished: false,
    labels: {},
    containers: [{ name: 'main', variables: ['PATH'] }],
    initContainers: [],
    ...changed,
  };
}

function initNetwork(
  changed: Partial<InitContainerDetails>,
  ...later: InitContainerDetails[]
): Partial<PodDetails> {
  const container = {
    name: 'init-network',
    args: ['init-network', '--server-port=16321'],
    mayChangeNetwork: true,
    variables: [],
    reason: '',
    failure: undefined,
  };
  return { initContainers: [{ ...container, state: 'succeeded', ...changed }, ...later] };
}

function failureOf(changed: Partial<PodDetails>): StepFailure {
  try {
    routeOf(podWith(changed), PORT);
  } catch (error) {
    if (error instanceof StepFailure) return error;
    throw error;
  }
  throw new Error('it has a route');
}

describe('a route', () => {
  test('is there once init-network has succeeded', () => {
    expect(routeOf(podWith(initNetwork({})), PORT).facts).toEqual({ mode: 'Redirect' });
  });

  test.each([
    [initNetwork({ state: 'waiting' }), 'has not run yet', 'kubectl describe pod --namespace ns app'],
    [initNetwork({ state: 'waiting', reason: 'ErrImagePull' }), 'has not run yet: ErrImagePull', 'describe'],
    [
      initNetwork({ state: 'running' }),
      'still waits',
      'kubectl logs --namespace ns app --container init-network',
    ],
    [initNetwork({ state: 'failed', failure: 'x\nlast words' }), 'fails: last words', 'kubectl logs'],
    [initNetwork({ state: 'failed', failure: '', reason: 'OOMKilled' }), 'fails: OOMKilled', 'kubectl logs'],
    [
      initNetwork({ state: 'failed', failure: '{"reason":"r","remedy":"do"}' }),
      'fails: r',
      'do\nkubectl logs',
    ],
    [
      initNetwork({ state: 'failed', failure: formatTerminationMessage({ reason: 'r', remedy: 'do' }) }),
      'fails: r',
      'do\nkubectl logs',
    ],
    [initNetwork({ state: 'failed', failure: 'a\u001b[2Jb' }), 'fails: a?[2Jb', 'kubectl logs'],
    [initNetwork({ state: 'failed', failure: 'null' }), 'fails: no words', 'kubectl logs'],
    // the run before failed, and this one is under way
    [initNetwork({ state: 'running', failure: '{"reason":"r"}' }), 'fails: r', 'kubectl logs'],
  ])('is not ready: %j', (changed, words, remedy) => {
    const failure = failureOf(changed);
    expect(failure.code).toBe('route-not-ready');
    expect(failure.message).toContain(words);
    expect(failure.remedy).toContain(remedy);
  });

  test('names the containers after init-network, which may have inserted rules before it', () => {
    const mesh = { variables: [], args: [], state: 'succeeded', reason: '', failure: undefined } as const;
    const later = [
      { ...mesh, name: 'mesh-init', mayChangeNetwork: true },
      { ...mesh, name: 'migrate', mayChangeNetwork: false },
    ];
    const { summary, remedy, facts } = routeOf(podWith(initNetwork({}, ...later)), PORT);
    expect(summary).toContain('mesh-init came after it');
    expect(remedy).toContain('exclude 169.254.169.254/32 from what mesh-init redirects');
    expect(facts).toEqual({ mode: 'Redirect', followedBy: 'mesh-init' });
  });

  test('is recognized by what a container runs, not by its name', () => {
    const failure = failureOf(initNetwork({ args: ['migrate'], mayChangeNetwork: false }));
    expect(failure.code).toBe('route-missing');
    expect(routeOf(podWith(initNetwork({ name: 'gke-metadata-server-init-network' })), PORT).facts).toEqual({
      mode: 'Redirect',
    });
  });

  test('in mode Environment is the variables, once init-network has ended', () => {
    const containers = [{ name: 'main', variables: ['GCE_METADATA_HOST'] }];
    const args = ['init-network', '--redirect=false', '--server-port=16321'];
    expect(routeOf(podWith({ containers, ...initNetwork({ args }) }), PORT).facts).toEqual({
      mode: 'Environment',
    });
    expect(failureOf({ containers, ...initNetwork({ args, state: 'running' }) }).code).toBe(
      'route-not-ready',
    );
  });

  test('by variables names the containers without them', () => {
    const containers = [
      { name: 'main', variables: ['GCE_METADATA_HOST'] },
      { name: 'proxy', variables: [] },
    ];
    expect(routeOf(podWith({ containers }), PORT).summary).toBe(
      'by environment variables in main, not in proxy',
    );
  });

  test.each([
    ['Mutate', 'though its label asks for it'],
    ['Skip', 'as its label'],
    ['other', 'neither the init container init-network nor one of'],
  ])('that is missing from a Pod labelled %s', (label, words) => {
    const failure = failureOf({ labels: { [LABEL]: label } });
    expect(failure.code).toBe('route-missing');
    expect(failure.message).toContain(words);
  });
});
