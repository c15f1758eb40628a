import { UnsecuredJWT } from 'jose';
import type { Fetch, Now } from '../core/effects.ts';
import { Secret } from '../core/secret.ts';
import type { TokenRequest } from '../kubernetes/client.ts';
import type { KubernetesToken } from '../kubernetes/objects.ts';

interface FakeCall {
  readonly to: 'kubernetes' | 'sts' | 'generateAccessToken' | 'generateIdToken';
  /** The subject token or the bearer; the ServiceAccount's name. */
  readonly by: string;
  /** Scopes, audience, or seconds. */
  readonly for: string;
}

/** A fake of the API server's TokenRequest and of Google's three calls: records them, and fails on demand. */
export class FakeGoogle {
  readonly calls: FakeCall[] = [];
  readonly tokenRequests: TokenRequest[] = [];
  /** Called before each call: what it returns is Google's response; if it throws, there is none. */
  refuse: (call: FakeCall) => Response | undefined = () => undefined;
  /** Each call waits for it. */
  gate: Promise<void> | undefined;
  #issued = 0;

  constructor(private readonly now: Now) {}

  /** Where the calls since the last time went, in order. */
  takeCalls(): string[] {
    return this.calls.splice(0).map(({ to }) => to);
  }

  readonly createToken = async (request: TokenRequest): Promise<KubernetesToken> => {
    this.tokenRequests.push(request);
    const call = {
      to: 'kubernetes',
      by: request.serviceAccountName,
      for: `${request.expirationSeconds}`,
    } as const;
    this.calls.push(call);
    await this.gate;
    this.refuse(call);
    return {
      token: new Secret(this.#name('kubernetes')),
      expiresAt: this.now() + request.expirationSeconds * 1000,
    };
  };

  readonly fetch: Fetch = async (url, init) => {
    const body = String(init?.body);
    const call = url.endsWith('/v1/token') ? ofExchange(new URLSearchParams(body)) : ofGenerate(url, init);
    this.calls.push(call);
    await this.gate;
    return this.refuse(call) ?? this.#answer(call);
  };

  #answer(call: FakeCall): Response {
    if (call.to === 'sts') return Response.json({ access_token: this.#name('federated') });
    const expiresAt = this.now() + 3_600_000;
    if (call.to === 'generateAccessToken') {
      const expireTime = new Date(expiresAt).toISOString();
      return Response.json({ accessToken: this.#name('access'), expireTime });
    }
    const token = new UnsecuredJWT({ exp: expiresAt / 1000, n: this.#name('id') }).encode();
    return Response.json({ token });
  }

  #name(kind: string): string {
    this.#issued++;
    return `${kind}-${this.#issued}`;
  }
}

/** IAM's response when it refuses. */
export function iamRefusal(code: number, message = 'denied'): Response {
  return Response.json({ error: { code, message } }, { status: code });
}

function ofExchange(form: URLSearchParams): FakeCall {
  return { to: 'sts', by: form.get('subject_token') ?? '', for: form.get('scope') ?? '' };
}

function ofGenerate(url: string, init: BunFetchRequestInit | undefined): FakeCall {
  const request = JSON.parse(String(init?.body));
  const by = new Headers(init?.headers).get('authorization')?.replace('Bearer ', '') ?? '';
  return url.endsWith(':generateIdToken')
    ? { to: 'generateIdToken', by, for: request.audience }
    : { to: 'generateAccessToken', by, for: `${request.scope.join(' ')} ${request.lifetime}` };
}
