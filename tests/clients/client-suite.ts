import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import type { ClientProgram, MissingClient } from './client-programs.ts';
import type { PodNetwork } from './pod-network.ts';
import { type Resident, type SandboxPod, type SandboxPods, startSandboxPods } from './sandbox-pods.ts';

/** A client tries again for up to a minute or two, and a slow machine needs a while for each of its programs. */
export const TIMEOUT = 300_000;

export const AUDIENCE = 'https://service.example.com/path?query=1';
export const SCOPES = [
  'https://www.googleapis.com/auth/devstorage.read_only',
  'https://www.googleapis.com/auth/pubsub',
] as const;

/** What a client program prints: of each token, itself or the client's own error. */
interface Seen {
  readonly client: string;
  readonly available: boolean;
  readonly projectID?: string | null;
  readonly universe?: string;
  readonly email?: string;
  readonly accessToken?: string;
  readonly accessTokenError?: string;
  readonly idToken?: string;
  readonly idTokenError?: string;
}

/** Pods of the sandbox for the tests of a file: started before them, ended after. */
export function sandboxPods(network: PodNetwork): (name: Resident) => SandboxPod {
  let pods: SandboxPods | undefined;
  beforeAll(async () => {
    pods = await startSandboxPods(network);
  }, TIMEOUT);
  afterAll(() => pods?.[Symbol.asyncDispose](), TIMEOUT);
  return (name) => {
    const pod = pods?.get(name);
    if (pod === undefined) throw new Error(`the sandbox has no '${name}'`);
    return pod;
  };
}

/** What Google says of an access token: as `tokeninfo` does, who it is for and what it may do. */
export async function tokenInfo({ world }: SandboxPod, accessToken = ''): Promise<unknown> {
  const body = new URLSearchParams({ access_token: accessToken });
  const response = await fetch(`${world.google.url}/oauth2/v3/tokeninfo`, { method: 'POST', body });
  return await response.json();
}

/** The claims of an ID token that Google has signed for {@link AUDIENCE}; throws if it has not. */
export async function verified({ world }: SandboxPod, idToken = ''): Promise<object> {
  const keys = createRemoteJWKSet(new URL(`${world.google.url}/oauth2/v3/certs`));
  const options = { issuer: 'https://accounts.google.com', audience: AUDIENCE };
  return (await jwtVerify(idToken, keys, options)).payload;
}

/** The tests that every client takes, in each kind of Pod, or only those that show that it finds the server. */
export function testClients(
  title: string,
  clients: readonly (ClientProgram | MissingClient)[],
  podOf: (name: Resident) => SandboxPod,
  only?: 'finding',
): void {
  describe(title, () => {
    for (const client of clients) {
      if ('notRun' in client) {
        test.skip(`not run: ${client.name} (${client.notRun})`, () => undefined);
      } else {
        describe(client.name, () => testClient(client, podOf, only));
      }
    }
  });
}

function testClient(
  client: ClientProgram,
  podOf: (name: Resident) => SandboxPod,
  only: 'finding' | undefined,
): void {
  const { name, command, asksForScopes, noIDToken, denied, byVariables, lacks = [] } = client;
  const look = async (pod: SandboxPod): Promise<Seen> => {
    const { exitCode, stdout, stderr } = await pod.place.run(
      [...command, AUDIENCE, ...SCOPES],
      client.variables,
    );
    if (exitCode !== 0) throw new Error(`${name}: ${exitCode ?? 'killed'}\n${stdout}${stderr}`);
    return JSON.parse(stdout);
  };
  const scope = asksForScopes ? SCOPES.join(' ') : expect.stringContaining('cloud-platform');
  const hasIDTokens = !lacks.includes('idToken');
  /** What it sees in a Pod whose account has this email, as far as it has a call for it. */
  const environment = (email: string | undefined, unknown: readonly string[] = []) => {
    const all = { available: true, projectID: 'sandbox-project', universe: 'googleapis.com', email };
    return Object.fromEntries(
      Object.entries(all).filter(([key]) => ![...lacks, ...unknown].some((lacking) => lacking === key)),
    );
  };
  const expectTokens = async (pod: SandboxPod, seen: Seen) => {
    const email = pod.inhabitant.googleAccount;
    expect(await tokenInfo(pod, seen.accessToken)).toMatchObject({ email, scope });
    if (hasIDTokens) {
      expect(await verified(pod, seen.idToken)).toMatchObject({ email, email_verified: true });
    }
  };

  test('annotated has the tokens of its Google account', async () => {
    const pod = podOf('annotated');
    const seen = await look(pod);
    expect(seen).toMatchObject(environment(pod.inhabitant.googleAccount));
    await expectTokens(pod, seen);
  });

  const found = { undefined: 'everything', 'no project': 'all but the project', nothing: 'nothing' };
  test(`environment, which has only the variables, leads to ${found[`${byVariables}`]}`, async () => {
    const pod = podOf('environment');
    const seen = await look(pod);
    if (byVariables === 'nothing') return expect(seen).toMatchObject({ available: false });
    if (byVariables === 'no project') expect(seen.projectID ?? undefined).toBeUndefined();
    const unknown = byVariables === 'no project' ? ['projectID'] : [];
    expect(seen).toMatchObject(environment(pod.inhabitant.googleAccount, unknown));
    await expectTokens(pod, seen);
  });

  if (only === 'finding') return;

  // programs of the Node itself are led to the server by the variables alone
  test.skipIf(byVariables !== undefined)('node has the tokens of its Google account', async () => {
    const pod = podOf('node');
    const seen = await look(pod);
    expect(seen).toMatchObject(environment(pod.inhabitant.googleAccount));
    await expectTokens(pod, seen);
  });

  test('direct has the token of its own principal, and no ID token', async () => {
    const pod = podOf('direct');
    const seen = await look(pod);
    expect(seen).toMatchObject(environment('sandbox-project.svc.id.goog'));
    expect(await tokenInfo(pod, seen.accessToken)).toMatchObject({
      sub: expect.stringMatching(/^principal:.*\/subject\/system:serviceaccount:default:direct$/),
      scope,
    });
    expect(seen.idToken).toBeUndefined();
    if (hasIDTokens) expect(seen.idTokenError).toMatch(noIDToken);
  });

  test('denied gets the error that IAM denies it', async () => {
    const pod = podOf('denied');
    const seen = await look(pod);
    expect(seen.accessToken).toBeUndefined();
    expect(seen.accessTokenError).toMatch(denied);
    expect(seen.idToken).toBeUndefined();
    if (hasIDTokens) expect(seen.idTokenError).toMatch(denied);
  });
}
