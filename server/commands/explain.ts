import { Argument, Option } from '@commander-js/extra-typings';
import { systemEffects } from '../core/effects.ts';
import { statusSocketOf } from '../explain/node-status.ts';
import { askPrivately } from '../http/private-socket.ts';
import { ApiServer } from '../kubernetes/api-server.ts';
import { RestClient } from '../kubernetes/client.ts';
import { loadCluster } from '../kubernetes/cluster.ts';
import { getPodDetails } from '../kubernetes/pod-details.ts';
import { parsePodName } from '../settings/parsers.ts';
import { serveCommandOf, serveSettings } from '../settings/serve-settings.ts';

/**
 * `explain`: why a Pod of this Node gets its tokens, or does not, or who all its Pods are, for a person who runs it by
 * `kubectl exec` in the server's Pod. Its settings are those of `serve`, from the environment there. Exit code 1 if a
 * step failed, or the running server cannot be asked about the Node.
 */
export function explainCommand() {
  const command = serveCommandOf('explain')
    .description(
      'Explain step by step why a Pod of this Node gets its tokens, or does not; without a Pod, list who the Pods are.',
    )
    .addArgument(
      new Argument('[namespace/pod]', 'the Pod to explain; by default all Pods of this Node').argParser(
        parsePodName,
      ),
    )
    .addOption(new Option('--json', 'print JSON').default(false));
  return command.action(async (pod, { json }) => {
    const settings = serveSettings(command);
    const cluster = loadCluster({ kubeconfig: settings.kubeconfig, environment: process.env });
    const server = new ApiServer(cluster, systemEffects);
    const kubernetes = new RestClient(server, systemEffects);
    const print = (explanation: { readonly ok: boolean }, text: string) => {
      process.stdout.write(json ? `${JSON.stringify(explanation, undefined, 2)}\n` : text);
      process.exitCode = explanation.ok ? 0 : 1;
    };
    // not loaded by serve, to save memory
    if (pod === undefined) {
      const { explainNode } = await import('../explain/explain-node.ts');
      const { nodeExplanationText } = await import('../explain/node-explanation.ts');
      const askServer = () => askPrivately(statusSocketOf(settings), systemEffects);
      const explanation = await explainNode(settings, { kubernetes, effects: systemEffects, askServer });
      print(explanation, nodeExplanationText(explanation));
      return;
    }
    const { explain } = await import('../explain/explain.ts');
    const { explanationText } = await import('../explain/explanation.ts');
    const explanation = await explain(pod, settings, {
      kubernetes,
      getPod: (namespace, name) => getPodDetails(server, namespace, name),
      effects: systemEffects,
    });
    print(explanation, explanationText(explanation));
  });
}
