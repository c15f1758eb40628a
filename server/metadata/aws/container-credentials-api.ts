import { AwsFault } from '../../aws/aws-fault.ts';
import { partsOf } from '../../aws/aws-role.ts';
import type { RoleCredentials } from '../../aws/role-credentials.ts';
import type { AwsCredentials } from '../../aws/sts.ts';
import type { Caller } from '../../caller/caller.ts';
import { Fault } from '../../core/fault.ts';
import { type PodToken, type PodTokens, TokenRejected } from '../../kubernetes/pod-tokens.ts';
import { failureResponse } from '../faults.ts';
import { type Again, type ReadyResponse, readyOf } from '../ready-responses.ts';
import type { MetadataResponse } from '../response.ts';

export interface ContainerCredentialsDependencies {
  readonly credentials: Pick<RoleCredentials, 'of' | 'cached'>;
  /** Verifies the tokens that the webhook mounts for EKS Pod Identity. */
  readonly podTokens: Pick<PodTokens, 'verify' | 'known'>;
}

/** What a request is answered. */
interface ContainerCredentialsOutcome {
  readonly response: MetadataResponse;
  /** The route in metrics. */
  readonly template: string;
  /** The cause of a refusal. */
  readonly failure?: unknown;
  readonly again?: Again;
}

/** Where the agent of EKS Pod Identity answers. */
export const CONTAINER_CREDENTIALS_PATH = '/v1/credentials';

/** The token and the address of a request name two different Pods, or ServiceAccounts. */
class Disagreement extends Error {}

/**
 * Container credentials as the agent of EKS Pod Identity gives them, https://github.com/aws/eks-pod-identity-agent: the
 * client sends the token of its Pod, as it is in the file. The token says who asks, the address which Pod, and the two
 * must agree: so a token that was stolen is good for nothing in another Pod.
 */
export class ContainerCredentialsApi {
  readonly #ready = new WeakMap<AwsCredentials, ReadyResponse>();

  constructor(private readonly dependencies: ContainerCredentialsDependencies) {}

  /** `authorization` is the value of that header; null without one. Never throws. */
  async respond(
    method: string,
    authorization: string | null,
    identify: () => Promise<Caller>,
  ): Promise<ContainerCredentialsOutcome> {
    const template = CONTAINER_CREDENTIALS_PATH;
    if (method !== 'GET' && method !== 'HEAD') return { response: text(405, 'Method Not Allowed'), template };
    try {
      const caller = await this.#callerOf(authorization ?? '', identify);
      const { body } = this.#readyOf(await this.dependencies.credentials.of(caller));
      return {
        response: { status: 200, contentType: CONTENT_TYPE, body },
        template,
        again: this.#again(caller),
      };
    } catch (failure) {
      const isForeseen = failure instanceof TokenRejected || failure instanceof Disagreement;
      return { response: responseTo(failure), template, ...(isForeseen ? {} : { failure }) };
    }
  }

  async #callerOf(authorization: string, identify: () => Promise<Caller>): Promise<Caller> {
    if (authorization === '') throw new TokenRejected('unparsable', '');
    const [token, caller] = await Promise.all([
      this.dependencies.podTokens.verify(authorization),
      identify(),
    ]);
    if (!isOf(token, caller)) throw new Disagreement();
    return caller;
  }

  #again(caller: Caller): Again {
    const { credentials, podTokens } = this.dependencies;
    return (header) => {
      const token = podTokens.known(header('authorization') ?? '');
      if (token === undefined || !isOf(token, caller)) return undefined;
      const cached = credentials.cached(caller);
      return cached && this.#readyOf(cached);
    };
  }

  #readyOf(credentials: AwsCredentials): ReadyResponse {
    const known = this.#ready.get(credentials);
    if (known !== undefined) return known;
    const body = JSON.stringify({
      AccessKeyId: credentials.accessKeyID,
      SecretAccessKey: credentials.secretAccessKey.reveal(),
      Token: credentials.sessionToken.reveal(),
      AccountId: partsOf(credentials.role).accountID,
      Expiration: new Date(credentials.expiresAt).toISOString(),
    });
    const made = readyOf({ contentType: CONTENT_TYPE, body });
    this.#ready.set(credentials, made);
    return made;
  }
}

const CONTENT_TYPE = 'application/json';

/** Whether the token is that of the Pod that asks. */
function isOf(token: PodToken, { serviceAccount, boundTo }: Caller): boolean {
  return (
    boundTo.kind === 'Pod' &&
    boundTo.uid === token.podUID &&
    serviceAccount.namespace === token.namespace &&
    serviceAccount.name === token.serviceAccountName
  );
}

/** In the agent's words, as text: SDKs show it. */
function responseTo(error: unknown): MetadataResponse {
  if (error instanceof TokenRejected) {
    if (error.message === '') return text(400, 'Service account token cannot be empty');
    const what = error.reason === 'unparsable' ? 'cannot be parsed' : 'failed basic claim validations';
    return text(400, `Service account token ${what}: ${error.message}`);
  }
  if (error instanceof Disagreement) {
    return text(403, 'Access Denied. The service account token is not that of the Pod with this source IP');
  }
  if (error instanceof AwsFault) {
    if (!error.transient)
      return text(403, `(${error.error || 'AccessDenied'}): ${error.message}, fault: client`);
    return { ...text(503, 'AWS STS does not respond; try again'), headers: { 'Retry-After': '5' } };
  }
  if (error instanceof Fault && (error.code === 'aws-role-missing' || error.code === 'aws-role-invalid')) {
    return text(404, `(ResourceNotFoundException): ${error.message}, fault: client`);
  }
  const { status, body, headers } = failureResponse(error, undefined);
  return { ...text(status, body.trim()), ...(headers === undefined ? {} : { headers }) };
}

function text(status: number, body: string): MetadataResponse {
  return { status, contentType: 'text/plain; charset=utf-8', body: `${body}\n` };
}
