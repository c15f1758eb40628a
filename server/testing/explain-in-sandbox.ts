import { applyPatch } from 'rfc6902';
import type { InjectionMode } from '../admission/injection.ts';
import { googleInjection } from '../admission/injections/google.ts';
import { PodEditor } from '../admission/pod-editor.ts';
import { readPod } from '../admission/pod-manifest.ts';
import { explain } from '../explain/explain.ts';
import type { Explanation, StepName } from '../explain/explanation.ts';
import { ApiServer } from '../kubernetes/api-server.ts';
import { RestClient } from '../kubernetes/client.ts';
import { getPodDetails } from '../kubernetes/pod-details.ts';
import type { PodObject } from '../sandbox/kubernetes/objects.ts';
import { type SandboxWorld, sandboxSettings } from '../sandbox/sandbox-world.ts';
import type { ServeSettings } from '../settings/serve-settings.ts';
import { impatientEffects } from './impatient-effects.ts';
import { INJECTION_SETTINGS } from './injection-settings.ts';

/** What `explain` reports in a sandbox world whose server is as ready as `healthPort` says. */
export function explainIn(
  world: SandboxWorld,
  healthPort: number,
  pod: string,
  changed: Partial<ServeSettings> = {},
): Promise<Explanation> {
  const [namespace = '', name = ''] = pod.split('/');
  const effects = impatientEffects();
  const cluster = { server: world.kubernetes.url, authenticate: async () => ({ headers: {}, tls: {} }) };
  const server = new ApiServer(cluster, effects);
  const settings = sandboxSettings(world, {
    serverPort: 16_321,
    healthPort,
    aws: undefined,
    azure: undefined,
    ...changed,
  });
  return explain({ namespace, name }, settings, {
    kubernetes: new RestClient(server, effects),
    getPod: (...of) => getPodDetails(server, ...of),
    effects,
  });
}

/** The Pod as the webhook would have changed it, its `init-network` done. */
export function injected(pod: PodObject, mode: InjectionMode = 'Redirect'): PodObject {
  // JSON, as a review brings it
  const raw = readPod(JSON.parse(JSON.stringify(pod)));
  if (raw === undefined) throw new Error('not a Pod');
  const namespace = {
    name: pod.metadata.namespace ?? '',
    labels: { 'gke-metadata-server.matheuscscp.io/webhook': 'Mutate' },
    annotations: {},
  };
  const settings = {
    ...INJECTION_SETTINGS,
    mode,
    initNetworkResources: 'none' as const,
    environmentWait: false,
    injectHostNetwork: true,
  };
  const editor = new PodEditor(raw);
  googleInjection.inject(editor, { namespace, settings });
  applyPatch(raw, editor.patch());
  const done = mode === 'Redirect' ? [initNetworkStatus({ terminated: { exitCode: 0 } })] : [];
  // what the webhook leaves is a Pod still
  return {
    ...pod,
    ...raw,
    status: { ...pod.status, initContainerStatuses: done },
  } as unknown as PodObject;
}

/** The same Pod with `init-network` as the kubelet reports it. */
export function withInitNetwork(pod: PodObject, state: object, lastState: object = {}): PodObject {
  const initContainerStatuses = [initNetworkStatus(state, lastState)];
  const status = { ...pod.status, initContainerStatuses };
  return { ...pod, status };
}

function initNetworkStatus(state: object, lastState: object = {}) {
  return { name: 'init-network', state, lastState };
}

/** `STEP OUTCOME`, a step a line. */
export function outcomes({ steps }: Explanation): string[] {
  return steps.map(({ step, outcome }) => `${step} ${outcome}`);
}

export function stepOf({ steps }: Explanation, name: StepName) {
  const found = steps.find(({ step }) => step === name);
  if (found === undefined) throw new Error(`no step ${name}`);
  return found;
}
