import { checkTrustPolicy, type TrustPolicy } from './trust-policy.ts';

/** An IAM OIDC provider: an issuer that one account knows. */
interface OpenIDConnectProvider {
  readonly accountID: string;
  /** `iss` of its tokens. */
  readonly url: string;
  /** The audiences it takes; in IAM's words, client IDs. */
  readonly clientIDs: readonly string[];
}

interface RoleOptions {
  readonly arn: string;
  readonly trustPolicy: TrustPolicy;
  /** In seconds, 3600 to 43,200; by default 3600. */
  readonly maxSessionDuration?: number;
}

export interface Role {
  readonly arn: RoleArn;
  /** `AROA` and 17 characters: what a role's sessions are called by in audit logs. */
  readonly id: string;
  readonly trustPolicy: TrustPolicy;
  readonly maxSessionDuration: number;
}

const ARN =
  /^arn:(?<partition>aws[a-z0-9-]*):iam::(?<accountID>\d{12}):role\/(?:[\x21-\x7e]+\/)?(?<name>[\w+=,.@-]{1,64})$/;

/** `arn:PARTITION:iam::ACCOUNT:role/[PATH/]NAME` */
export class RoleArn {
  private constructor(
    readonly value: string,
    readonly partition: string,
    readonly accountID: string,
    readonly name: string,
  ) {}

  /** Undefined if it is not the ARN of a role. */
  static parse(value: string): RoleArn | undefined {
    const { partition, accountID, name } = ARN.exec(value)?.groups ?? {};
    if (partition === undefined || accountID === undefined || name === undefined) return undefined;
    return new RoleArn(value, partition, accountID, name);
  }

  /** What a session of the role is as a principal. */
  session(name: string): string {
    return `arn:${this.partition}:sts::${this.accountID}:assumed-role/${this.name}/${name}`;
  }
}

/** Roles and OIDC providers of AWS accounts. */
export class Iam {
  readonly #providers = new Map<string, OpenIDConnectProvider>();
  readonly #roles = new Map<string, Role>();

  /** Google needs none: STS knows accounts.google.com. */
  putOpenIDConnectProvider(provider: OpenIDConnectProvider): void {
    this.#providers.set(`${provider.accountID} ${provider.url}`, provider);
  }

  /** Creates the role, or changes it. Throws if its ARN or trust policy is not one. */
  putRole({ arn, trustPolicy, maxSessionDuration = 3600 }: RoleOptions): void {
    const parsed = RoleArn.parse(arn);
    if (parsed === undefined) throw new Error(`'${arn}' is not the ARN of a role`);
    checkTrustPolicy(trustPolicy);
    const id = this.#roles.get(arn)?.id ?? `AROA${`${this.#roles.size + 1}`.padStart(17, '0')}`;
    this.#roles.set(arn, { arn: parsed, id, trustPolicy, maxSessionDuration });
  }

  removeRole(arn: string): void {
    this.#roles.delete(arn);
  }

  role(arn: RoleArn): Role | undefined {
    return this.#roles.get(arn.value);
  }

  provider(accountID: string, issuer: string): OpenIDConnectProvider | undefined {
    return this.#providers.get(`${accountID} ${issuer}`);
  }
}
