import type { Effects } from '../core/effects.ts';
import type { KubernetesClient } from '../kubernetes/client.ts';
import type { PodName } from '../kubernetes/objects.ts';
import type { PodDetails } from '../kubernetes/pod-details.ts';
import type { ServeSettings } from '../settings/serve-settings.ts';
import { awsAnnotated, awsCredentialsGiven } from './aws-steps.ts';
import { azureAnnotated, azureTokenGiven } from './azure-steps.ts';
import type { Explanation } from './explanation.ts';
import {
  accessTokenGiven,
  annotated,
  exchanged,
  idTokenGiven,
  RecordedTokens,
  tokenRequested,
} from './google-steps.ts';
import { ListedCallers } from './listed-callers.ts';
import { identified, knownByAddress, notFinished, onThisNode, podFound, serverReady } from './pod-steps.ts';
import { routeOf } from './route.ts';
import { Steps } from './steps.ts';

interface ExplainDependencies {
  readonly kubernetes: KubernetesClient;
  /** Undefined if there is none. Throws `kubernetes-unavailable` or `kubernetes-forbidden`. */
  readonly getPod: (namespace: string, name: string) => Promise<PodDetails | undefined>;
  readonly effects: Effects;
}

/**
 * Takes the steps that the server of this Node takes for a request of the Pod, as they come out now. The server's own
 * code takes and decides them, with callers and tokens that share nothing with the running server. Throws nothing
 * that it can tell of.
 */
export async function explain(
  { namespace, name }: PodName,
  settings: ServeSettings,
  { kubernetes, getPod, effects }: ExplainDependencies,
): Promise<Explanation> {
  const { nodeName } = settings;
  const steps = new Steps();
  const tokens = new RecordedTokens(settings, kubernetes, effects);
  await using listed = new ListedCallers(settings, kubernetes, effects);

  const pod = await steps.take('pod', [], async () =>
    podFound(await getPod(namespace, name), namespace, name),
  );
  const node = await steps.take('node', [pod], (found) => onThisNode(found, nodeName));
  const running = await steps.take('running', [pod], notFinished);
  await steps.take('route', [pod], (found) => routeOf(found, settings.serverPort));
  await steps.take('server', [], () => serverReady(settings.healthPort, effects));
  await steps.take('address', [pod, node, running], async (found) =>
    knownByAddress(found, await listed.callers()),
  );
  const caller = await steps.take('service-account', [pod, node, running], async (found) =>
    identified(found, nodeName, await listed.callers()),
  );
  const target = await steps.take('annotation', [caller], (found) =>
    annotated(found, settings.workloadIdentityProvider),
  );
  const asked = await steps.take('token-request', [target], async (to) =>
    tokenRequested(to, await tokens.ask(to.caller)),
  );
  const federated = await steps.take('sts', [asked], exchanged);
  await steps.take('access-token', [target, federated], accessTokenGiven);
  await steps.take('id-token', [target, federated], idTokenGiven);

  const { aws, azure } = settings;
  if (aws !== undefined) {
    const awsSettings = { ...settings, aws };
    const role = await steps.take('aws-role', [caller], (found) => awsAnnotated(found, awsSettings));
    await steps.take('aws-credentials', [role], (found) =>
      awsCredentialsGiven(found, awsSettings, kubernetes, effects, (of, audience) =>
        tokens.idToken(of, audience),
      ),
    );
  }
  if (azure !== undefined) {
    const azureSettings = { ...settings, azure };
    const identity = await steps.take('azure-identity', [caller], (found) =>
      azureAnnotated(found, azureSettings),
    );
    await steps.take('azure-token', [identity], (found) =>
      azureTokenGiven(found, azureSettings, kubernetes, effects),
    );
  }

  const { explained } = steps;
  const ok = explained.every(({ outcome }) => outcome !== 'failed');
  return { pod: `${namespace}/${name}`, node: nodeName, ok, steps: explained };
}
