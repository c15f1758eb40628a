import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { type Effects, systemEffects } from '../core/effects.ts';
import { ask } from '../sandbox/ask.ts';
import { pod, serviceAccount } from '../sandbox/kubernetes/objects.ts';
import { type SandboxWorld, sandboxSettings, startSandboxWorld } from '../sandbox/sandbox-world.ts';
import type { ServeSettings } from '../settings/serve-settings.ts';
import type { Log } from '../telemetry/log.ts';
import { type Serving, startServing } from './serve.ts';

const ACCOUNT = '/computeMetadata/v1/instance/service-accounts/default';
const TOKEN = `${ACCOUNT}/token`;
const ANNOTATED = '127.0.0.11';
const DENIED = '127.0.0.13';
const LATE = '127.0.0.21';
const SLOW_MACHINE = 60_000;

const silent: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

let world: SandboxWorld;
beforeEach(async () => {
  world = await startSandboxWorld();
});
afterEach(async () => {
  await world[Symbol.asyncDispose]();
});

function start(
  overrides: Partial<ServeSettings> = {},
  effects: Effects = systemEffects,
  log: Log = silent,
): Promise<Serving> {
  const settings = sandboxSettings(world, overrides);
  const cluster = { server: world.kubernetes.url, authenticate: async () => ({ headers: {}, tls: {} }) };
  return startServing(settings, { cluster, effects, log });
}

/** The status of `/readyz`, or undefined if it does not respond. */
async function readiness(serving: Serving): Promise<number> {
  return (await fetch(`http://127.0.0.1:${serving.healthPort}/readyz`)).status;
}

function aborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) =>
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true }),
  );
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await Bun.sleep(10);
}

async function metric(serving: Serving, line: string): Promise<number | undefined> {
  const text = await (await fetch(`http://127.0.0.1:${serving.healthPort}/metrics`)).text();
  const found = text.split('\n').find((candidate) => candidate.startsWith(line));
  return found === undefined ? undefined : Number(found.split(' ').at(-1));
}

const exchanges = () => world.google.journal.total;

describe('the API server', () => {
  test(
    'if unavailable at startup, the server is not ready and responds with 503, until it is available',
    async () => {
      await world.kubernetes.stop();
      await using serving = await start();
      expect(await readiness(serving)).toBe(503);
      expect((await ask(ANNOTATED, serving.serverPort, TOKEN)).status).toBe(503);

      await world.kubernetes.start();
      await until(async () => (await readiness(serving)) === 200);
      expect((await ask(ANNOTATED, serving.serverPort, TOKEN)).status).toBe(200);
    },
    SLOW_MACHINE,
  );

  test(
    'being gone later leaves known Pods served, and is survived',
    async () => {
      await using serving = await start();
      const before = await ask(ANNOTATED, serving.serverPort, TOKEN);
      expect(before.status).toBe(200);
      await world.kubernetes.stop();

      const during = await ask(ANNOTATED, serving.serverPort, TOKEN);
      expect(JSON.parse(during.body).access_token).toBe(JSON.parse(before.body).access_token);
      // the federated token is kept too: other scopes need Google alone
      const scoped = `${TOKEN}?scopes=https://www.googleapis.com/auth/devstorage.read_only`;
      expect((await ask(ANNOTATED, serving.serverPort, scoped)).status).toBe(200);
      // a ServiceAccount that was never asked about cannot be known
      expect((await ask(DENIED, serving.serverPort, TOKEN)).status).toBe(503);
      expect(await readiness(serving)).toBe(200);

      await world.kubernetes.start();
      await world.kubernetes.untilWatches((open) => open === 2);
      await until(async () => (await ask(DENIED, serving.serverPort, TOKEN)).status === 403);
    },
    SLOW_MACHINE,
  );

  test.each(['event', 'status'] as const)(
    'having compacted the version away (410 as %s) makes the server list again and miss nothing',
    async (expiredAs) => {
      await using serving = await start();
      await world.kubernetes.untilWatches((open) => open === 2);
      world.kubernetes.journal.clear();
      world.kubernetes.compact(expiredAs);
      world.kubernetes.dropConnections();
      addLatecomer();
      const lists = await world.kubernetes.journal.waitFor((call) => call.verb === 'list', 2);
      expect(lists.map(({ resource }) => resource).sort()).toEqual(['nodes', 'pods']);
      expect((await ask(LATE, serving.serverPort, TOKEN)).status).toBe(200);
      expect(
        await metric(serving, 'gke_metadata_server_watch_restarts_total{resource="pods",reason="expired"}'),
      ).toBe(1);
    },
    SLOW_MACHINE,
  );

  test(
    'ending a watch in its time is taken up from the bookmark, without a list',
    async () => {
      await using serving = await start();
      await world.kubernetes.untilWatches((open) => open === 2);
      world.kubernetes.sendBookmarks();
      world.kubernetes.journal.clear();
      world.kubernetes.endWatches();
      await world.kubernetes.journal.waitFor((call) => call.verb === 'watch', 2);
      addLatecomer();
      expect((await ask(LATE, serving.serverPort, TOKEN)).status).toBe(200);
      expect(world.kubernetes.journal.count((call) => call.verb === 'list')).toBe(0);
    },
    SLOW_MACHINE,
  );
});

describe('Google', () => {
  test(
    'being gone leaves cached tokens served; the rest is 503 with Retry-After until it is back',
    async () => {
      await using serving = await start();
      expect((await ask(ANNOTATED, serving.serverPort, TOKEN)).status).toBe(200);
      world.google.faults.sts.failWith(503);
      world.google.faults.iam.failWith(503);

      expect((await ask(ANNOTATED, serving.serverPort, TOKEN)).status).toBe(200);
      const other = await ask('127.0.0.12', serving.serverPort, TOKEN);
      expect(other.status).toBe(503);
      expect(Number(other.headers['retry-after'])).toBeGreaterThan(0);

      world.google.faults.sts.heal();
      world.google.faults.iam.heal();
      await until(async () => (await ask('127.0.0.12', serving.serverPort, TOKEN)).status === 200);
    },
    SLOW_MACHINE,
  );

  test(
    'failing once is not seen by the caller',
    async () => {
      await using serving = await start();
      world.google.faults.sts.failWith('reset', 1);
      world.google.faults.iam.failWith(500, 1);
      expect((await ask(ANNOTATED, serving.serverPort, TOKEN)).status).toBe(200);
      expect(
        await metric(serving, 'gke_metadata_server_exchanges_total{kind="sts",result="unavailable"}'),
      ).toBe(1);
    },
    SLOW_MACHINE,
  );

  test('refusing an account is 403 in the words of GKE, asked again only after a while', async () => {
    await using serving = await start();
    const first = await ask(DENIED, serving.serverPort, TOKEN);
    expect(first.status).toBe(403);
    expect(first.body).toStartWith(
      "Unable to generate access token; IAM returned 403 Forbidden: Permission 'iam.serviceAccounts.getAccessToken' denied",
    );
    const asked = exchanges();
    expect((await ask(DENIED, serving.serverPort, TOKEN)).body).toBe(first.body);
    expect(exchanges()).toBe(asked);
  });
});

describe('the cache', () => {
  test('makes one exchange for many who ask at once, and one call for other scopes', async () => {
    await using serving = await start();
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => ask(ANNOTATED, serving.serverPort, TOKEN)),
    );
    expect(new Set(answers.map(({ body }) => JSON.parse(body).access_token)).size).toBe(1);
    expect(world.google.journal.calls.map(({ method }) => method)).toEqual(['token', 'generateAccessToken']);
    const scoped = `${TOKEN}?scopes=https://www.googleapis.com/auth/devstorage.read_only`;
    await ask(ANNOTATED, serving.serverPort, scoped);
    expect(world.google.journal.calls.map(({ method }) => method).slice(2)).toEqual(['generateAccessToken']);
  });

  test('off, makes every request an exchange', async () => {
    await using serving = await start({ cacheTokens: false });
    await ask(ANNOTATED, serving.serverPort, TOKEN);
    await ask(ANNOTATED, serving.serverPort, TOKEN);
    expect(world.google.journal.count(({ method }) => method === 'generateAccessToken')).toBe(2);
    expect(world.kubernetes.journal.count(({ verb }) => verb === 'create')).toBe(2);
  });
});

describe("the cluster's public keys", () => {
  const GAUGE = 'gke_metadata_server_cluster_jwks_changed ';

  test(
    'are compared in their time: a change is a metric and one line',
    async () => {
      const looks: (() => void)[] = [];
      const effects: Effects = {
        ...systemEffects,
        sleep: (milliseconds, signal) =>
          // nothing else of these tests sleeps that long
          milliseconds < 1_800_000
            ? systemEffects.sleep(milliseconds, signal)
            : Promise.race([new Promise<void>((wake) => looks.push(wake)), aborted(signal)]),
      };
      const warnings: object[] = [];
      await using serving = await start({}, effects, {
        ...silent,
        warn: (fields) => warnings.push(fields),
      });
      await until(async () => looks.length === 1);
      expect(await metric(serving, GAUGE)).toBe(0);

      const kid = await world.kubernetes.addKey();
      looks.shift()?.();
      await until(async () => (await metric(serving, GAUGE)) === 1);
      expect(warnings).toMatchObject([{ added: [kid], removed: [] }]);
    },
    SLOW_MACHINE,
  );

  test(
    'that are unreadable have no sample, and block nothing',
    async () => {
      world.kubernetes.faults.openid.failWith(403);
      await using serving = await start();
      await until(async () => (await readiness(serving)) === 200);
      expect((await ask(ANNOTATED, serving.serverPort, TOKEN)).status).toBe(200);
      await world.kubernetes.journal.waitFor(
        ({ resource, status }) => resource === 'openid' && status === 403,
      );
      expect(await metric(serving, GAUGE)).toBeUndefined();
    },
    SLOW_MACHINE,
  );
});

test(
  'an annotation added after a refusal is seen by the next who asks after some seconds',
  async () => {
    await using serving = await start();
    const identity = `${ACCOUNT}/identity?audience=https://service.example`;
    const refused = await ask('127.0.0.12', serving.serverPort, identity);
    expect(refused.status).toBe(404);
    expect(refused.body).toStartWith(
      'Your Kubernetes service account (default/direct) is not annotated with a target Google service account',
    );
    const account = 'reader@sandbox-project.iam.gserviceaccount.com';
    world.kubernetes.put(
      serviceAccount({
        name: 'direct',
        namespace: 'default',
        annotations: { 'iam.gke.io/gcp-service-account': account },
      }),
    );
    world.google.serviceAccounts.bind(
      account,
      'roles/iam.workloadIdentityUser',
      `principal://iam.googleapis.com/projects/${world.provider.projectNumber}/locations/global/workloadIdentityPools/${world.provider.pool}/subject/system:serviceaccount:default:direct`,
    );
    await until(async () => (await ask('127.0.0.12', serving.serverPort, identity)).status === 200);
  },
  SLOW_MACHINE,
);

describe('a rolling update', () => {
  test(
    'loses no request of clients that keep their connections',
    async () => {
      const old = await start();
      const { serverPort } = old;
      await ask(ANNOTATED, serverPort, TOKEN);
      const ending = new AbortController();
      const statuses = new Map<number, number>();
      const clients = Array.from({ length: 4 }, async () => {
        while (!ending.signal.aborted) {
          const response = await fetch(
            `http://127.0.0.1:${serverPort}/computeMetadata/v1/project/project-id`,
            {
              headers: { 'Metadata-Flavor': 'Google' },
            },
          );
          await response.text();
          statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
        }
      });
      const successor = await start({ serverPort });
      await until(async () => (await readiness(successor)) === 200);
      await old[Symbol.asyncDispose]();
      const seen = statuses.get(200) ?? 0;
      await until(async () => (statuses.get(200) ?? 0) > seen);
      ending.abort();
      await Promise.all(clients);
      expect([...statuses.keys()]).toEqual([200]);
      await successor[Symbol.asyncDispose]();
    },
    SLOW_MACHINE,
  );

  test('makes the old server unready and ends its waiting requests first', async () => {
    const serving = await start();
    await until(async () => (await readiness(serving)) === 200);
    const waiting = ask(ANNOTATED, serving.serverPort, `${ACCOUNT}/email?wait_for_change=true`);
    await world.kubernetes.journal.waitFor(({ resource }) => resource === 'serviceaccounts');
    const ended = serving[Symbol.asyncDispose]();
    expect(await readiness(serving)).toBe(503);
    expect((await waiting).status).toBe(200);
    await ended;
  });
});

/** A process of this user that shares a port with whoever else does, and answers all requests so. */
async function otherProgram(answer: string): Promise<{ port: number } & AsyncDisposable> {
  const program = `
    const server = Bun.serve({ port: 0, hostname: '::', reusePort: true, fetch: () => ${answer} });
    console.log(server.port);`;
  const child = Bun.spawn([process.execPath, '-e', program], { stdout: 'pipe' });
  const { value } = await child.stdout.getReader().read();
  return {
    port: Number(new TextDecoder().decode(value)),
    async [Symbol.asyncDispose]() {
      child.kill();
      await child.exited;
    },
  };
}

describe('a port that somebody of the same user listens on already', () => {
  const failureOf = (starting: Promise<Serving>) =>
    starting.then(
      async (serving) => {
        await serving[Symbol.asyncDispose]();
        return new Error('it started');
      },
      (error: unknown) => error,
    );

  test.each(['serverPort', 'healthPort'] as const)(
    'another instance, by %s: refused with its name',
    async (port) => {
      await using other = await startSandboxWorld();
      const cluster = { server: other.kubernetes.url, authenticate: async () => ({ headers: {}, tls: {} }) };
      const settings = sandboxSettings(other, {});
      await using first = await startServing(settings, { cluster, effects: systemEffects, log: silent });
      const failure = await failureOf(start({ [port]: first[port] }));
      expect(failure).toMatchObject({
        code: 'setting-invalid',
        message: expect.stringMatching(
          new RegExp(`^cannot listen on port ${first[port]}: the instance user@[0-9a-f]{12} has it$`),
        ),
      });
      // and it is served on alone
      expect((await fetch(`http://127.0.0.1:${first.healthPort}/healthz`)).status).toBe(200);
    },
    SLOW_MACHINE,
  );

  test.each([
    ["new Response('not found', { status: 404 })"],
    ["new Response('anything')"],
    ["new Response('x'.repeat(100_000))"],
    ['new Promise(() => {})'],
  ])(
    'another program (%s): refused',
    async (answer) => {
      await using other = await otherProgram(answer);
      const failure = await failureOf(start({ serverPort: other.port }));
      expect(failure).toMatchObject({ code: 'setting-invalid' });
      expect(String(failure)).toContain(`cannot listen on port ${other.port}: `);
    },
    SLOW_MACHINE,
  );

  test('the same instance shares it', async () => {
    await using old = await start();
    await using successor = await start({ serverPort: old.serverPort, healthPort: old.healthPort });
    expect(successor.serverPort).toBe(old.serverPort);
  });
});

function addLatecomer(): void {
  world.kubernetes.put(
    pod({
      name: 'late',
      namespace: 'default',
      serviceAccountName: 'annotated',
      nodeName: world.nodeName,
      ips: [LATE],
    }),
  );
}

describe('Azure', () => {
  const AZURE_TOKEN =
    '/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://vault.azure.net';
  const IMDS = { Metadata: 'true' };
  const azureCalls = () => world.entra.journal.calls.filter(({ operation }) => operation === 'token');

  test('a Pod gets the token of the identity that its ServiceAccount is annotated with, once', async () => {
    await using serving = await start();
    const responses = [];
    for (const _ of [1, 2]) responses.push(await ask(ANNOTATED, serving.serverPort, AZURE_TOKEN, IMDS));
    expect(responses.map(({ status }) => status)).toEqual([200, 200]);
    const { access_token, client_id } = JSON.parse(responses[0]?.body ?? '');
    const inhabitant = world.inhabitants.find(({ name }) => name === 'annotated');
    expect(client_id).toBe(inhabitant?.azureClientID);
    expect(await world.entra.describe(access_token)).toMatchObject({ clientID: client_id });
    expect(azureCalls()).toHaveLength(1);
  });

  test("is refused in Entra's words, and one without annotation gets that error, with no call", async () => {
    await using serving = await start();
    const denied = await ask(DENIED, serving.serverPort, AZURE_TOKEN, IMDS);
    expect([denied.status, JSON.parse(denied.body)]).toEqual([
      400,
      { error: 'invalid_client', error_description: expect.stringMatching(/^AADSTS7002\d+: /) },
    ]);
    const before = azureCalls().length;
    const direct = await ask('127.0.0.12', serving.serverPort, AZURE_TOKEN, IMDS);
    expect([direct.status, JSON.parse(direct.body).error_description]).toEqual([
      400,
      'Identity not found: ServiceAccount default/direct has no annotation azure.workload.identity/client-id',
    ]);
    expect(azureCalls()).toHaveLength(before);
  });

  test('that is switched off gives nobody a token', async () => {
    await using serving = await start({ azure: undefined });
    const response = await ask(ANNOTATED, serving.serverPort, AZURE_TOKEN, IMDS);
    expect([response.status, JSON.parse(response.body).error_description]).toEqual([
      400,
      'Identity not found',
    ]);
    expect(azureCalls()).toEqual([]);
  });

  test("whose Entra is gone costs Google's tokens nothing", async () => {
    await using serving = await start();
    await world.entra.stop();
    const [azure, google] = await Promise.all([
      ask(ANNOTATED, serving.serverPort, AZURE_TOKEN, IMDS),
      ask(ANNOTATED, serving.serverPort, TOKEN),
    ]);
    expect([azure.status, google.status]).toEqual([503, 200]);
    expect(
      (await ask(ANNOTATED, serving.serverPort, `${TOKEN}?scopes=https://www.googleapis.com/auth/pubsub`))
        .status,
    ).toBe(200);
  });
});

describe('AWS', () => {
  const ROLES = '/latest/meta-data/iam/security-credentials/';
  const DIRECT = '127.0.0.12';
  const ROLE = 'arn:aws:iam::111122223333:role/reader';
  const stsCalls = () => world.aws.journal.calls.map(({ action }) => action);

  async function session(serving: Serving, address: string, seconds = '21600'): Promise<string> {
    const headers = { 'x-aws-ec2-metadata-token-ttl-seconds': seconds };
    const { status, body } = await ask(address, serving.serverPort, '/latest/api/token', headers, 'PUT');
    expect(status).toBe(200);
    return body;
  }

  async function get(serving: Serving, path: string, address = ANNOTATED, token?: string) {
    const headers = { 'x-aws-ec2-metadata-token': token ?? (await session(serving, address)) };
    const { status, body } = await ask(address, serving.serverPort, path, headers);
    return [status, body] as const;
  }

  function annotate(name: string, annotations: Record<string, string>): void {
    world.kubernetes.put(serviceAccount({ name, namespace: 'default', annotations }));
  }

  test('a Pod gets the credentials of its role, once, by either list of roles', async () => {
    await using serving = await start();
    expect(await get(serving, ROLES)).toEqual([200, 'reader']);
    const [status, body] = await get(serving, `${ROLES}reader`);
    const credentials = JSON.parse(body);
    expect([status, credentials]).toEqual([
      200,
      {
        Code: 'Success',
        LastUpdated: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
        Type: 'AWS-HMAC',
        AccessKeyId: expect.stringMatching(/^ASIA/),
        SecretAccessKey: expect.any(String),
        Token: expect.any(String),
        Expiration: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
      },
    ]);
    const extended = '/latest/meta-data/iam/security-credentials-extended/';
    expect(await get(serving, extended)).toEqual([200, 'reader']);
    const [, more] = await get(serving, `${extended}reader`);
    expect(JSON.parse(more)).toEqual({ ...credentials, AccountId: '111122223333' });
    expect(stsCalls()).toEqual(['AssumeRoleWithWebIdentity']);
    expect(await get(serving, `${ROLES}another`)).toEqual([404, 'Not Found\n']);
    const [, info] = await get(serving, '/latest/meta-data/iam/info');
    expect(JSON.parse(info).InstanceProfileArn).toBe('arn:aws:iam::111122223333:instance-profile/reader');
  });

  test('a session token is only for the Pod that asked for it, and version 1 is off', async () => {
    await using serving = await start();
    const stolen = await session(serving, DENIED);
    expect(await get(serving, ROLES, ANNOTATED, stolen)).toEqual([401, 'Unauthorized\n']);
    expect((await ask(ANNOTATED, serving.serverPort, ROLES, {})).status).toBe(401);
    for (const seconds of ['0', '21601', 'x', '']) {
      const headers = { 'x-aws-ec2-metadata-token-ttl-seconds': seconds };
      const response = await ask(ANNOTATED, serving.serverPort, '/latest/api/token', headers, 'PUT');
      expect([seconds, response.status]).toEqual([seconds, 400]);
    }
    const forwarded = { 'x-aws-ec2-metadata-token-ttl-seconds': '60', 'X-Forwarded-For': '10.0.0.1' };
    const response = await ask(ANNOTATED, serving.serverPort, '/latest/api/token', forwarded, 'PUT');
    expect(response.status).toBe(403);
  });

  test('version 1 is on if told', async () => {
    const { aws } = sandboxSettings(world);
    if (aws === undefined) throw new Error('AWS is off');
    await using serving = await start({ aws: { ...aws, allowVersion1: true } });
    expect((await ask(ANNOTATED, serving.serverPort, ROLES, {})).body).toBe('reader');
  });

  test('a Pod without a role has none: 404', async () => {
    await using serving = await start();
    expect(await get(serving, ROLES, DIRECT)).toEqual([
      404,
      'ServiceAccount default/direct has no annotation eks.amazonaws.com/role-arn\n',
    ]);
    expect(stsCalls()).toEqual([]);
  });

  test('a role that refuses has its refusal in place of credentials, as on EC2', async () => {
    await using serving = await start();
    const [status, body] = await get(serving, `${ROLES}forbidden`, DENIED);
    expect([status, JSON.parse(body)]).toEqual([
      200,
      {
        Code: 'AssumeRoleUnauthorizedAccess',
        Message: expect.stringMatching(
          /^AWS STS responded 403 to AssumeRoleWithWebIdentity of .*role\/forbidden: AccessDenied: .*sub system:serviceaccount:default:denied/,
        ),
      },
    ]);
  });

  test('a role that trusts the Google account is assumed by its ID token', async () => {
    const { googleAccount } = world.inhabitants.find(({ name }) => name === 'annotated') ?? {};
    annotate('annotated', {
      'iam.gke.io/gcp-service-account': `${googleAccount}`,
      'amazonaws.com/role-arn': ROLE,
    });
    await using serving = await start();
    const [, body] = await get(serving, `${ROLES}reader`);
    expect(JSON.parse(body).Code).toBe('Success');
  });

  test('a role assumes another one of another account', async () => {
    const target = 'arn:aws:iam::444455556666:role/target';
    const trust = { Effect: 'Allow' as const, Principal: { AWS: ROLE }, Action: 'sts:AssumeRole' };
    world.aws.iam.putRole({ arn: target, trustPolicy: { Version: '2012-10-17', Statement: [trust] } });
    annotate('annotated', { 'eks.amazonaws.com/role-arn': ROLE, 'amazonaws.com/target-role-arn': target });
    await using serving = await start();
    expect(await get(serving, ROLES)).toEqual([200, 'target']);
    const [, body] = await get(serving, `${ROLES}target`);
    expect(JSON.parse(body).Code).toBe('Success');
    expect(stsCalls()).toEqual(['AssumeRoleWithWebIdentity', 'AssumeRole']);
  });

  test('region and zone are those of the settings and the Node, if they fit', async () => {
    await using serving = await start();
    expect(await get(serving, '/latest/meta-data/placement/region')).toEqual([200, 'eu-central-1']);
    // the Node's zone is another cloud's
    expect((await get(serving, '/latest/meta-data/placement/availability-zone'))[0]).toBe(404);
    const [, document] = await get(serving, '/latest/dynamic/instance-identity/document');
    expect(JSON.parse(document)).toEqual({
      version: '2017-09-30',
      accountId: '111122223333',
      region: 'eu-central-1',
    });
    expect((await get(serving, '/latest/user-data'))[0]).toBe(404);
  });

  describe('container credentials', () => {
    const PATH = '/v1/credentials';

    /** A token of the Pod with this name, as the kubelet mounts it. */
    async function podToken(name: string, audience = 'pods.eks.amazonaws.com'): Promise<string> {
      const pod = world.kubernetes.get('Pod', 'default', name);
      const url = `${world.kubernetes.url}/api/v1/namespaces/default/serviceaccounts/${name}/token`;
      const spec = {
        audiences: [audience],
        expirationSeconds: 600,
        boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name, uid: pod?.metadata.uid },
      };
      const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec };
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      const { status } = (await response.json()) as { status: { token: string } };
      return status.token;
    }

    async function credentials(serving: Serving, address: string, authorization?: string) {
      const headers = authorization === undefined ? {} : { Authorization: authorization };
      const { status, body } = await ask(address, serving.serverPort, PATH, headers);
      return [status, body] as const;
    }

    test("are those of the Pod's role, for the token of that Pod at that address", async () => {
      await using serving = await start();
      const token = await podToken('annotated');
      const [status, body] = await credentials(serving, ANNOTATED, token);
      expect([status, JSON.parse(body)]).toEqual([
        200,
        {
          AccessKeyId: expect.stringMatching(/^ASIA/),
          SecretAccessKey: expect.any(String),
          Token: expect.any(String),
          AccountId: '111122223333',
          Expiration: expect.stringMatching(/^20.*Z$/),
        },
      ]);
      // the same as by EC2's protocol
      const [, ec2] = await get(serving, `${ROLES}reader`);
      expect(JSON.parse(ec2).AccessKeyId).toBe(JSON.parse(body).AccessKeyId);
    });

    test('are refused where token and address are not of one Pod, or the token is not one', async () => {
      await using serving = await start();
      const token = await podToken('annotated');
      const expected: [string, string | undefined, number, string][] = [
        [
          DENIED,
          token,
          403,
          'Access Denied. The service account token is not that of the Pod with this source IP\n',
        ],
        [
          '127.0.0.1',
          token,
          403,
          'Access Denied. The service account token is not that of the Pod with this source IP\n',
        ],
        [ANNOTATED, undefined, 400, 'Service account token cannot be empty\n'],
        [ANNOTATED, `Bearer ${token}`, 400, 'Service account token cannot be parsed: it is not a JWT\n'],
        [
          ANNOTATED,
          await podToken('annotated', 'sts.amazonaws.com'),
          400,
          'Service account token failed basic claim validations: unexpected "aud" claim value\n',
        ],
        [
          DIRECT,
          await podToken('direct'),
          404,
          '(ResourceNotFoundException): ServiceAccount default/direct has no annotation eks.amazonaws.com/role-arn, fault: client\n',
        ],
      ];
      for (const [address, authorization, ...response] of expected) {
        expect(await credentials(serving, address, authorization)).toEqual([...response]);
      }
      const [status, body] = await credentials(serving, DENIED, await podToken('denied'));
      expect([status, body]).toEqual([
        403,
        expect.stringMatching(/^\(AccessDenied\): AWS STS responded 403/),
      ]);
      expect(body).not.toContain('ASIA');
    });

    test('are there only if AWS is switched on', async () => {
      await using serving = await start({ aws: undefined });
      expect((await credentials(serving, ANNOTATED, await podToken('annotated')))[0]).toBe(404);
    });
  });

  test('that is gone is 503, and costs the other clouds nothing', async () => {
    await using serving = await start();
    await world.aws.stop();
    const [aws, google] = await Promise.all([
      get(serving, `${ROLES}reader`),
      ask(ANNOTATED, serving.serverPort, TOKEN),
    ]);
    expect([aws[0], google.status]).toEqual([503, 200]);
  });

  test('that is switched off serves nobody', async () => {
    await using serving = await start({ aws: undefined });
    const headers = { 'x-aws-ec2-metadata-token-ttl-seconds': '60' };
    const token = await ask(ANNOTATED, serving.serverPort, '/latest/api/token', headers, 'PUT');
    const role = await ask(ANNOTATED, serving.serverPort, ROLES, {});
    expect([token.status, role.status]).toEqual([405, 404]);
  });
});
