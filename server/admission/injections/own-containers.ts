import type { ContainerEditor, PodEditor } from '../pod-editor.ts';

/** The commands of containers that injections add. */
const COMMANDS = ['init-network', 'token-file'];

/**
 * Init containers and containers of the Pod, without those that injections add, also if they were added by an earlier
 * review: these need no credentials.
 */
export function containersOfThePod(pod: PodEditor): readonly ContainerEditor[] {
  return pod.allContainers.filter(
    ({ args: [command] }) => command === undefined || !COMMANDS.includes(command),
  );
}
