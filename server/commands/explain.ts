import { Command } from 'commander';
import { systemEffects } from '../core/effects.ts';
import { ApiServer } from '../kubernetes/api-server.ts';
import { RestClient } from '../kubernetes/client.ts';
import { loadCluster } from '../kubernetes/cluster.ts';
import { getPodDetails } from '../kubernetes/pod-details.ts';
import { explainArgument, explainOptions, type PodName } from '../settings/explain-options.ts';
import { serveOptions, serveSettings } from '../settings/serve-options.ts';

/**
 * `explain`: why a Pod of this Node gets its tokens, or does not, for a person who runs it by `kubectl exec` in the
 * server's Pod. Its settings are those of `serve`, which the environment there has. Exit code 1 where a step failed.
 */
export function explainCommand(): Command {
  const command = new Command('explain')
    .description("Tell why a Pod of this Node gets Google's tokens, or does not, step by step.")
    .addArgument(explainArgument());
  for (const option of [...explainOptions(), ...serveOptions()]) command.addOption(option);
  // commander hands in what the argument's parser has made
  return command.action(async (pod: PodName, { json }: { json: boolean }) => {
    const settings = serveSettings(command);
    const cluster = loadCluster({ kubeconfig: settings.kubeconfig, environment: process.env });
    // serve never needs them, and what it has not loaded takes no memory
    const { explain } = await import('../explain/explain.ts');
    const { explanationText } = await import('../explain/explanation-text.ts');
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
