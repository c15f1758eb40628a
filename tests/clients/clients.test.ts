import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { installClients } from './client-programs.ts';
import { choosePodNetwork } from './pod-network.ts';
import { type SandboxPod, type SandboxPods, startSandboxPods } from './sandbox-pods.ts';

// a client tries again for up to a minute or two, and a slow machine needs a while for each of its programs
const TIMEOUT = 300_000;
setDefaultTimeout(TIMEOUT);

const AUDIENCE = 'https://service.example.com/path?query=1';
const SCOPES = [
  'https://www.googleapis.com/auth/devstorage.read_only',
  'https://www.googleapis.com/auth/pubsub',
];

/** What a client program prints: of each token, itself or the client's own error. */
interface Seen {
  readonly client: string;
  readonly available: boolean;
  readonly projectID: string;
  readonly universe: string;
  readonly email: string;
  readonly accessToken?: string;
  readonly accessTokenError?: string;
  readonly idToken?: string;
  readonly idTokenError?: string;
}

const network = await choosePodNetwork();
const clients = await installClients();
let pods: SandboxPods | undefined;

beforeAll(async () => {
  pods = await startSandboxPods(network);
}, TIMEOUT);

afterAll(async () => {
  await pods?.[Symbol.asyncDispose]();
}, TIMEOUT);

function podOf(name: SandboxPod['inhabitant']['name']): SandboxPod {
  const pod = pods?.get(name);
  if (pod === undefined) throw new Error(`the sandbox has no '${name}'`);
  return pod;
}

/** What Google says of an access token: as `tokeninfo` does, who it is for and what it may do. */
async function tokenInfo({ world }: SandboxPod, accessToken = ''): Promise<unknown> {
  const body = new URLSearchParams({ access_token: accessToken });
  const response = await fetch(`${world.google.url}/oauth2/v3/tokeninfo`, { method: 'POST', body });
  return await response.json();
}

/** The claims of an ID token that Google has signed for {@link AUDIENCE}; throws where it has not. */
async function verified({ world }: SandboxPod, idToken = ''): Promise<object> {
  const keys = createRemoteJWKSet(new URL(`${world.google.url}/oauth2/v3/certs`));
  const options = { issuer: 'https://accounts.google.com', audience: AUDIENCE };
  return (await jwtVerify(idToken, keys, options)).payload;
}

/** What curl prints of a request with the flavor header: the body, then the code and the URL it ended at. */
async function curl(pod: SandboxPod, path: string): Promise<{ status: string; url: string; body: string }> {
  const origin = pod.place.origin;
  const flags = ['--silent', '--show-error', '--location', '--header', 'Metadata-Flavor: Google'];
  const command = ['curl', ...flags, '--write-out', '\n%{http_code}\n%{url_effective}', `${origin}${path}`];
  const { exitCode, stdout, stderr } = await pod.place.run(command);
  if (exitCode !== 0) throw new Error(`curl ${path}: ${exitCode ?? 'killed'} ${stderr}`);
  const lines = stdout.split('\n');
  const [status = '', url = ''] = lines.splice(-2);
  return { status, url: url.slice(origin.length), body: lines.join('\n') };
}

describe(`Google's client libraries, ${network.description}`, () => {
  for (const client of clients) {
    if ('notRun' in client) {
      test.skip(`not run: ${client.name} (${client.notRun})`, () => undefined);
      continue;
    }
    const { name, command, asksForScopes, noIDToken, denied } = client;
    const look = async (pod: SandboxPod): Promise<Seen> => {
      const { exitCode, stdout, stderr } = await pod.place.run([...command, AUDIENCE, ...SCOPES]);
      if (exitCode !== 0) throw new Error(`${name}: ${exitCode ?? 'killed'}\n${stdout}${stderr}`);
      return JSON.parse(stdout);
    };
    const scope = asksForScopes ? SCOPES.join(' ') : expect.stringContaining('cloud-platform');
    const environment = {
      available: true,
      projectID: 'sandbox-project',
      universe: 'googleapis.com',
    };

    for (const resident of ['annotated', 'node'] as const) {
      test(`${name}: ${resident} has the tokens of its Google account`, async () => {
        const pod = podOf(resident);
        const email = pod.inhabitant.googleAccount;
        const seen = await look(pod);
        expect(seen).toMatchObject({ ...environment, email });
        expect(await tokenInfo(pod, seen.accessToken)).toMatchObject({ email, scope });
        expect(await verified(pod, seen.idToken)).toMatchObject({ email, email_verified: true });
      });
    }

    test(`${name}: direct has the token of its own principal, and no ID token`, async () => {
      const pod = podOf('direct');
      const seen = await look(pod);
      expect(seen).toMatchObject({ ...environment, email: 'sandbox-project.svc.id.goog' });
      expect(await tokenInfo(pod, seen.accessToken)).toMatchObject({
        sub: expect.stringMatching(/^principal:.*\/subject\/system:serviceaccount:default:direct$/),
        scope,
      });
      expect(seen.idToken).toBeUndefined();
      expect(seen.idTokenError).toMatch(noIDToken);
    });

    test(`${name}: denied is told that IAM denies it`, async () => {
      const seen = await look(podOf('denied'));
      expect(seen).toMatchObject({ ...environment, email: podOf('denied').inhabitant.googleAccount });
      expect(seen.accessToken).toBeUndefined();
      expect(seen.accessTokenError).toMatch(denied);
      expect(seen.idToken).toBeUndefined();
      expect(seen.idTokenError).toMatch(denied);
    });
  }
});

describe.skipIf(Bun.which('curl') === null)(`curl, ${network.description}`, () => {
  const V1 = '/computeMetadata/v1';
  const ACCOUNTS = `${V1}/instance/service-accounts`;

  test('follows a directory without its slash, and keeps the query', async () => {
    const pod = podOf('annotated');
    const email = pod.inhabitant.googleAccount;
    const { status, url, body } = await curl(pod, `${ACCOUNTS}/default?recursive=true`);
    expect({ status, url }).toEqual({ status: '200', url: `${ACCOUNTS}/default/?recursive=true` });
    expect(JSON.parse(body)).toMatchObject({ aliases: ['default'], email });
  });

  test('gets a token that Google takes, without a scope and with one', async () => {
    const pod = podOf('annotated');
    const email = pod.inhabitant.googleAccount;
    for (const [query, scope] of [
      ['', expect.stringContaining('cloud-platform')],
      [`?scopes=${SCOPES[0]}`, SCOPES[0]],
    ]) {
      const { access_token, token_type } = JSON.parse(
        (await curl(pod, `${ACCOUNTS}/default/token${query}`)).body,
      );
      expect(token_type).toBe('Bearer');
      expect(await tokenInfo(pod, access_token)).toMatchObject({ email, scope });
    }
  });

  test('makes the requests that gcloud makes', async () => {
    const pod = podOf('annotated');
    const email = pod.inhabitant.googleAccount;
    const get = async (path: string) => (await curl(pod, path)).body;
    expect({
      number: await get(`${V1}/project/numeric-project-id`),
      project: await get(`${V1}/project/project-id`),
      accounts: await get(`${ACCOUNTS}/`),
      email: await get(`${ACCOUNTS}/default/email`),
      zone: await get(`${V1}/instance/zone`),
      universe: await get(`${V1}/universe/universe-domain`),
    }).toEqual({
      number: '123456789012',
      project: 'sandbox-project',
      accounts: `default/\n${email}/\n`,
      email: `${email}`,
      zone: 'projects/123456789012/zones/europe-west1-b',
      universe: 'googleapis.com',
    });
    expect(JSON.parse(await get(`${ACCOUNTS}/${email}/?recursive=true`))).toMatchObject({ email });
    const { access_token } = JSON.parse(await get(`${ACCOUNTS}/${email}/token`));
    expect(await tokenInfo(pod, access_token)).toMatchObject({ email });
    const query = `audience=${encodeURIComponent(AUDIENCE)}&format=standard&licenses=FALSE`;
    expect(await verified(pod, await get(`${ACCOUNTS}/default/identity?${query}`))).toMatchObject({ email });
  });
});
