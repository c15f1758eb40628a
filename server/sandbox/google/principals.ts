import type { Now } from '../../core/effects.ts';

/** Who a token speaks for, by the names that IAM policies use. */
export interface Principal {
  readonly kind: 'federated' | 'service-account';
  /** `principal://…/subject/SUBJECT` or `serviceAccount:EMAIL`. */
  readonly member: string;
  /** The sets it belongs to: `principalSet://…/*`. */
  readonly memberOf: readonly string[];
}

export interface AccessToken {
  readonly principal: Principal;
  readonly scopes: readonly string[];
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

// Google's are about so long, and a server that caches them has to hold as much
const RANDOM_BYTES = 760;
const KEPT = 10_000;

/** The access tokens handed out, the latest 10,000: they are opaque, so only their issuer knows what they are. */
export class AccessTokens {
  readonly #issued = new Map<string, AccessToken>();
  readonly #now: Now;

  constructor(now: Now) {
    this.#now = now;
  }

  issue(token: AccessToken): string {
    for (const [value, { expiresAt }] of this.#issued) {
      // insertion order is nearly the order of expiry: what is old goes first
      if (this.#issued.size < KEPT && expiresAt > this.#now()) break;
      this.#issued.delete(value);
    }
    const prefix = token.principal.kind === 'federated' ? 'ya29.d.' : 'ya29.c.';
    const value = `${prefix}${Buffer.from(crypto.getRandomValues(new Uint8Array(RANDOM_BYTES))).toString('base64url')}`;
    this.#issued.set(value, token);
    return value;
  }

  /** Undefined where it was never issued, has expired or is forgotten. */
  find(value: string): AccessToken | undefined {
    const token = this.#issued.get(value);
    return token !== undefined && token.expiresAt > this.#now() ? token : undefined;
  }

  get size(): number {
    return this.#issued.size;
  }
}

export type Permission =
  | 'iam.serviceAccounts.getAccessToken'
  | 'iam.serviceAccounts.getOpenIdToken'
  | 'iam.serviceAccounts.implicitDelegation';

type Role =
  | 'roles/iam.workloadIdentityUser'
  | 'roles/iam.serviceAccountTokenCreator'
  | 'roles/iam.serviceAccountOpenIdTokenCreator';

// of each role's permissions, those that concern tokens: https://cloud.google.com/iam/docs/roles-permissions/iam
const PERMISSIONS: Readonly<Record<Role, readonly Permission[]>> = {
  'roles/iam.workloadIdentityUser': [
    'iam.serviceAccounts.getAccessToken',
    'iam.serviceAccounts.getOpenIdToken',
  ],
  'roles/iam.serviceAccountTokenCreator': [
    'iam.serviceAccounts.getAccessToken',
    'iam.serviceAccounts.getOpenIdToken',
    'iam.serviceAccounts.implicitDelegation',
  ],
  'roles/iam.serviceAccountOpenIdTokenCreator': ['iam.serviceAccounts.getOpenIdToken'],
};

export interface ServiceAccount {
  readonly email: string;
  /** 21 digits: `sub` and `azp` of its ID tokens. */
  readonly uniqueID: string;
}

/** Google service accounts and who may use them. */
export class ServiceAccounts {
  /** As where an organisation's own role or an older policy gives access tokens only: forces the two-step path. */
  workloadIdentityUserGrantsIdTokens = true;
  readonly #accounts = new Map<string, { account: ServiceAccount; bindings: Map<Role, Set<string>> }>();

  /** Makes the account where there is none; its unique id follows from how many there are. */
  add(email: string): ServiceAccount {
    const existing = this.#accounts.get(email);
    if (existing !== undefined) return existing.account;
    const account = { email, uniqueID: `1${`${this.#accounts.size + 1}`.padStart(20, '0')}` };
    this.#accounts.set(email, { account, bindings: new Map() });
    return account;
  }

  remove(email: string): void {
    this.#accounts.delete(email);
  }

  get(email: string): ServiceAccount | undefined {
    return this.#accounts.get(email)?.account;
  }

  /** `member` as in an IAM policy: `principal://…`, `principalSet://…`, `serviceAccount:EMAIL`. */
  bind(email: string, role: Role, member: string): void {
    this.add(email);
    const bindings = this.#accounts.get(email)?.bindings;
    bindings?.set(role, (bindings.get(role) ?? new Set()).add(member));
  }

  unbind(email: string, role: Role, member: string): void {
    this.#accounts.get(email)?.bindings.get(role)?.delete(member);
  }

  /** Whether any of the names a principal goes by holds the permission on the account. */
  permits(email: string, permission: Permission, members: readonly string[]): boolean {
    const bindings = this.#accounts.get(email)?.bindings ?? [];
    for (const [role, bound] of bindings) {
      if (this.#grants(role, permission) && members.some((member) => bound.has(member))) return true;
    }
    return false;
  }

  #grants(role: Role, permission: Permission): boolean {
    if (
      role === 'roles/iam.workloadIdentityUser' &&
      permission === 'iam.serviceAccounts.getOpenIdToken' &&
      !this.workloadIdentityUserGrantsIdTokens
    ) {
      return false;
    }
    return PERMISSIONS[role].includes(permission);
  }
}
