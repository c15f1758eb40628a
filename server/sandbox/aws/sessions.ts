import type { Now } from '../../core/effects.ts';
import type { Role } from './iam.ts';

/** Who temporary credentials are: a role, assumed under a name. */
export interface Session {
  readonly role: Role;
  readonly name: string;
  readonly accessKeyID: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

const KEPT = 10_000;
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
// about what AWS sends
const SESSION_TOKEN_BYTES = 500;

/** The latest 10,000 temporary credentials issued, those that have expired too: AWS tells them from unknown ones. */
export class Sessions {
  /** Sessions end after this time, whatever was asked for: AWS has no such limit. */
  longestSeconds = Number.POSITIVE_INFINITY;
  readonly #issued = new Map<string, Session>();
  readonly #now: Now;

  constructor(now: Now) {
    this.#now = now;
  }

  issue(role: Role, name: string, durationSeconds: number): Session {
    for (const accessKeyID of this.#issued.keys()) {
      if (this.#issued.size < KEPT) break;
      this.#issued.delete(accessKeyID);
    }
    const session = {
      role,
      name,
      accessKeyID: `ASIA${[...randomBytes(16)].map((byte) => ALPHABET[byte % ALPHABET.length]).join('')}`,
      secretAccessKey: base64(randomBytes(30)),
      sessionToken: base64(randomBytes(SESSION_TOKEN_BYTES)),
      expiresAt: (Math.floor(this.#now() / 1000) + Math.min(durationSeconds, this.longestSeconds)) * 1000,
    };
    this.#issued.set(session.accessKeyID, session);
    return session;
  }

  /** Undefined if it was never issued or is forgotten. */
  find(accessKeyID: string): Session | undefined {
    return this.#issued.get(accessKeyID);
  }
}

function randomBytes(length: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(length));
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
