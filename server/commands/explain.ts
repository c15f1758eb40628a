import { Argument, Option } from '@commander-js/extra-typings';
import { systemEffects } from '../core/effects.ts';
import { ApiServer } from '../kubernetes/api-server.ts';
import { RestClient } from '../kubernetes/client.ts';
import { loadCluster } from '../kubernetes/cluster.ts';
import { getPodDetails } from '../kubernetes/pod-details.ts';
import { parsePodName } from '../settings/parsers.ts';
import { serveCommandOf, serveSettings } from '../settings/serve-settings.ts';

/**
 * `explain`: why a Pod of this Node gets its tokens, or does not, for a person who runs it by `kubectl exec` in the
 * server's Pod. Its settings are those of `serve`, from the environment there. Exit code 1 if a step failed.
 */
export function explainCommand() {
  const command = serveCommandOf('explain')
    .description('Explain step by step why a Pod of this Node gets Google tokens, or does not.')
    .addArgument(new Argument('<namespace/pod>', 'the Pod to explain').argParser(parsePodName))
    .addOption(new Option('--json', 'print JSON').default(false));
  return command.action(async (pod, { json }) => {
    const settings = serveSettings(command);
    const cluster = loadCluster({ kubeconfig: settings.kubeconfig, environment: process.env });
    // not loaded by serve, to save memory
    const { explain } = await import('../explain/explain.ts');
    const { explanationText } = await import('../explain/explanation.ts');
    const server = new ApiServer(cluster, systemEffects);
    const explanation = await explain(pod, settings, {
      kubernetes: new RestClient(server, systemEffects),
      getPod: (namespace, name) => getPodDetails(server, namespace, name),
      effects: systemEffects,
    });
    process.stdout.write(
      json ? `${JSON.stringify(explanation, undefined, 2)}\n` : explanationText(explanation),
    );
    process.exitCode = explanation.ok ? 0 : 1;
  });
}
