import type { ModuleValues } from '../../scripts/module/render.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { waitUntil } from '../wait-until.ts';
import { ClusterWorld, type ServerNode, type TokenRequestOptions } from './cluster-world.ts';
import { RegisteredWebhook } from './registered-webhook.ts';

/** Two Nodes with a server each, and a Pod of each ServiceAccount on each of them. */
export class TwoNodes implements AsyncDisposable {
  readonly #disposables = new AsyncDisposableStack();
  readonly uids = new Map<string, string>();

  private constructor(
    readonly world: ClusterWorld,
    readonly a: ServerNode,
    readonly b: ServerNode,
  ) {
    this.#disposables.use(world);
  }

  /** `values` beside those of all worlds. */
  static async start(cluster: Cluster, values: ModuleValues = {}): Promise<TwoNodes> {
    const world = await ClusterWorld.start(cluster, values);
    for (const name of ['reader', 'writer', 'node-a', 'node-b']) await world.addServiceAccount(name);
    const nodes = new TwoNodes(world, await world.addNode('a', 'node-a'), await world.addNode('b', 'node-b'));
    for (const [host, { nodeName }] of Object.entries({ a: nodes.a, b: nodes.b })) {
      for (const [index, serviceAccountName] of ['reader', 'writer'].entries()) {
        const name = `${serviceAccountName}-${host}`;
        const address = `127.0.${host === 'a' ? 1 : 2}.${index + 11}`;
        const pod = await world.addPod({ name, nodeName, serviceAccountName, address });
        nodes.uids.set(name, pod.metadata.uid);
      }
    }
    return nodes;
  }

  /** The ValidatingAdmissionPolicy; resolves when the API server enforces it. */
  async withPolicy(): Promise<void> {
    const kinds = ['ValidatingAdmissionPolicy', 'ValidatingAdmissionPolicyBinding'];
    await this.world.apply(...this.world.module.objects('token-requests', ...kinds));
    await waitUntil('the policy is in force', async () => {
      const { status } = await this.stolen({ serviceAccountName: 'reader' });
      return status === 403;
    });
  }

  /** The webhook, behind its Service; resolves when the API server asks it. The cluster must have cert-manager. */
  async withGuard(count = 1): Promise<RegisteredWebhook> {
    const guard = this.#disposables.use(await RegisteredWebhook.start(this.world, { count }));
    await guard.register('ValidatingWebhookConfiguration');
    await waitUntil('the webhook is asked', async () => {
      await this.stolen({ serviceAccountName: 'reader', boundTo: this.pod('reader-a') });
      return (await guard.reviews('token-requests')) > 0;
    });
    return guard;
  }

  /** By an attacker with the token of Node A's server. */
  stolen(request: TokenRequestOptions): ReturnType<ClusterWorld['requestToken']> {
    return this.world.requestToken({ ...request, as: this.a.token });
  }

  pod(name: string): { kind: string; name: string; uid: string } {
    return { kind: 'Pod', name, uid: this.uids.get(name) ?? '' };
  }

  node({ nodeName, uid }: ServerNode): { kind: string; name: string; uid: string } {
    return { kind: 'Node', name: nodeName, uid };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#disposables.disposeAsync();
  }
}
