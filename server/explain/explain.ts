import type { Effects } from '../core/effects.ts';
import { Exchanges } from '../google/exchanges.ts';
import type { KubernetesClient } from '../kubernetes/client.ts';
import type { PodName } from '../kubernetes/objects.ts';
import type { PodDetails } from '../kubernetes/pod-details.ts';
import type { ServeSettings } from '../settings/serve-settings.ts';
import type { Explanation } from './explanation.ts';
import { accessTokenGiven, annotated, exchanged, idTokenGiven, tokenRequested } from './google-steps.ts';
import { identified, knownByAddress, notFinished, onThisNode, podFound, serverReady } from './pod-steps.ts';
import { routeOf } from './route.ts';
import { Steps } from './steps.ts';

export interface ExplainDependencies {
  readonly kubernetes: KubernetesClient;
  /** Undefined where there is none. Throws `kubernetes-unavailable` or `kubernetes-forbidden`. */
  readonly getPod: (namespace: string, name: string) => Promise<PodDetails | undefined>;
  readonly effects: Effects;
}

/**
 * Takes the steps that the server of this Node takes for a request of the Pod, as they come out now: nothing is
 * taken from the server's cache or put there. Each token ends with its step. Throws nothing that it can tell of.
 */
export async function explain(
  { namespace, name }: PodName,
  settings: ServeSettings,
  { kubernetes, getPod, effects }: ExplainDependencies,
): Promise<Explanation> {
  const { nodeName, workloadIdentityProvider } = settings;
  const exchanges = new Exchanges(settings, kubernetes, effects, { exchanged() {} });
  const steps = new Steps();

  const pod = await steps.take('pod', [], async () =>
    podFound(await getPod(namespace, name), namespace, name),
  );
  const node = await steps.take('node', [pod], (found) => onThisNode(found, nodeName));
  const running = await steps.take('running', [pod], notFinished);
  await steps.take('route', [pod], (found) => routeOf(found, settings.serverPort));
  await steps.take('server', [], () => serverReady(settings.healthPort, effects));
  await steps.take('address', [pod, node, running], (found) => knownByAddress(found, nodeName, kubernetes));
  const caller = await steps.take('service-account', [pod, node, running], (found) =>
    identified(found, settings, kubernetes),
  );
  const target = await steps.take('annotation', [caller], (found) =>
    annotated(found, workloadIdentityProvider),
  );
  const subject = await steps.take('token-request', [target], (found) => tokenRequested(found, exchanges));
  const federated = await steps.take('sts', [target, subject], (to, token) =>
    exchanged(to, token, exchanges),
  );
  const access = await steps.take('access-token', [target, federated], (to, token) =>
    accessTokenGiven(to, token, exchanges),
  );
  await steps.take('id-token', [target, federated], (to, token) =>
    idTokenGiven(to, token, access.found?.value, exchanges),
  );

  const { explained } = steps;
  const ok = explained.every(({ outcome }) => outcome !== 'failed');
  return { pod: `${namespace}/${name}`, node: nodeName, ok, steps: explained };
}
