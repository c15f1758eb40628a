import type { Now } from '../../core/effects.ts';

/** Whom a token represents, as named in IAM policies. */
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

// about the length of Google's, so that a server that caches them holds as much
const RANDOM_BYTES = 760;
const KEPT = 10_000;

/** The latest 10,000 access tokens issued: they are opaque, so only their issuer knows what they represent. */
export class AccessTokens {
  readonly #issued = new Map<string, AccessToken>();
  readonly #now: Now;

  constructor(now: Now) {
    this.#now = now;
  }

  issue(token: AccessToken): string {
    for (const [value, { expiresAt }] of this.#issued) {
      // insertion order is nearly the order of expiry: the oldest go first
      if (this.#issued.size < KEPT && expiresAt > this.#now()) break;
      this.#issued.delete(value);
    }
    const prefix = token.principal.kind === 'federated' ? 'ya29.d.' : 'ya29.c.';
    const value = `${prefix}${Buffer.from(crypto.getRandomValues(new Uint8Array(RANDOM_BYTES))).toString('base64url')}`;
    this.#issued.set(value, token);
    return value;
  }

  /** Undefined if it was never issued, has expired or is forgotten. */
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

// each role's permissions that concern tokens: https://cloud.google.com/iam/docs/roles-permissions/iam
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
  /** False: as with a custom role or an older policy that grants access tokens only, which forces the two-step path. */
  workloadIdentityUserGrantsIdTokens = true;
  readonly #accounts = new Map<string, { account: ServiceAccount; bindings: Map<Role, Set<string>> }>();

  /** Creates the account if it does not exist; its unique ID is derived from the number of accounts. */
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

  /** Whether any of a principal's names holds the permission on the account. */
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
