import type { Caller } from '../caller/caller.ts';
import type { Effects } from '../core/effects.ts';
import { Fault } from '../core/fault.ts';
import type { KubernetesClient } from '../kubernetes/client.ts';
import type { KubernetesToken } from '../kubernetes/objects.ts';
import { expiryOf } from './credential.ts';
import type { ExchangeSteps } from './exchange-steps.ts';

/** The API server's shortest lifetime of a Kubernetes token. */
export const SHORTEST_KUBERNETES_TOKEN_SECONDS = 600;

/** The first step of every cloud's exchange: a token of the ServiceAccount for that cloud alone, bound to the Pod or Node. */
export class KubernetesTokens {
  constructor(
    private readonly kubernetes: Pick<KubernetesClient, 'createToken'>,
    private readonly effects: Pick<Effects, 'now'>,
    private readonly steps: ExchangeSteps,
  ) {}

  /**
   * A token for `audience`, retried until `deadline` (milliseconds since the epoch). Throws what
   * {@link KubernetesClient.createToken} throws.
   */
  async request(
    { serviceAccount, boundTo }: Caller,
    audience: string,
    expirationSeconds: number,
    deadline: number,
  ): Promise<KubernetesToken> {
    const request = {
      namespace: serviceAccount.namespace,
      serviceAccountName: serviceAccount.name,
      audience,
      expirationSeconds,
      boundObject: boundTo,
    };
    const askedAt = this.effects.now();
    const { token, expiresAt: claimed } = await this.steps.run('token-request', deadline, late, (signal) =>
      this.kubernetes.createToken(request, signal),
    );
    const expiresAt = expiryOf(claimed, askedAt, this.effects.now(), expirationSeconds * 1000);
    if (expiresAt !== undefined) return { token, expiresAt };
    throw new Fault(
      'kubernetes-unavailable',
      "the API server's token has expired already, or its expiry is not a time",
      {
        remedy: "Compare this Node's clock with the API server's.",
      },
    );
  }
}

function late(): Fault {
  return new Fault('kubernetes-unavailable', 'the API server did not answer a TokenRequest in time', {
    remedy: 'Retry. If this persists, check that the Node can reach the API server.',
  });
}
