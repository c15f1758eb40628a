import { afterAll, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../../../scripts/free-ports.ts';
import { pod, serviceAccount } from '../../../server/sandbox/kubernetes/objects.ts';
import { type SandboxWorld, startSandboxWorld } from '../../../server/sandbox/sandbox-world.ts';
import { type ServeProcess, startServe } from '../../serve-process.ts';
import { waitUntil } from '../../wait-until.ts';
import { TIMEOUT } from '../client-suite.ts';
import { INJECTED } from '../network-namespace.ts';
import { choosePodNetwork } from '../pod-network.ts';
import { type PodPlace, variablesFor } from '../pod-place.ts';
import { installOthers } from './other-programs.ts';

setDefaultTimeout(TIMEOUT);

// namespaces have an index each
const FIRST_INDEX = 70;
const RESIDENTS = ['annotated', 'direct', 'denied', 'environment'] as const;
const OF_SERVER = { namespace: 'kube-system', name: 'gke-metadata-server' };
type Resident = (typeof RESIDENTS)[number];
type Cloud = 'aws' | 'azure' | 'google';

/** What each SDK says of a Pod without a role. */
const NO_ROLE =
  /Unable to locate credentials|Could not load credentials from any providers|no EC2 IMDS role found|^Error response received from instance metadata service/;
/** What each says of a Pod without an Azure identity: the oldest for Go in its own words. */
const NO_IDENTITY = /Identity not found|no default identity is assigned/;
/** What each says if AWS refuses the role: Go alone shows AWS's words. */
const NO_CREDENTIALS =
  /Unable to locate credentials|Could not load credentials from any providers|AssumeRoleUnauthorizedAccess|^Invalid response received from instance metadata service/;

const network = await choosePodNetwork();
const installed = await installOthers();
const programs = installed.flatMap((program) => ('notRun' in program ? [] : [program]));
const missing = installed.flatMap((program) => ('notRun' in program ? [program] : []));

interface Client {
  readonly name: string;
  readonly command: readonly string[];
  /** What it asks for, in one process. */
  readonly clouds: readonly Cloud[];
  /** Those that it finds by variables, as in mode Environment. */
  readonly byVariables: readonly Cloud[];
}

/** Variables are newer than what they lead to. */
const OLDEST_BY_VARIABLES: Readonly<Record<string, readonly Cloud[]>> = { Python: [], Node: [], Go: ['aws'] };

const newest: readonly Client[] = programs.map(({ name, metadata }) => ({
  name: `${name}, newest`,
  command: metadata.newest,
  clouds: ['aws', 'azure', 'google'],
  // azidentity reads no variable with the address
  byVariables: name === 'Go' ? ['aws', 'google'] : ['aws', 'azure', 'google'],
}));
const oldest: readonly Client[] = programs.map(({ name, metadata }) => ({
  name: `${name}, oldest`,
  command: metadata.oldest,
  clouds: ['aws', 'azure'],
  byVariables: OLDEST_BY_VARIABLES[name] ?? [],
}));

interface Identity {
  readonly identity?: string;
  readonly error?: string;
  readonly seconds: number;
}
type Seen = Partial<Record<Cloud, Identity>>;

/** The SDKs of three clouds, unmodified, with no variable and no file of credentials. */
describe.skipIf(!network.podsHaveAddresses)(
  `credentials from the metadata server, ${network.description}`,
  () => {
    const stack = new AsyncDisposableStack();
    const places = new Map<Resident, PodPlace>();
    /** Seconds by client and case, for the tables of docs/clouds. */
    const measured: string[] = [];
    let world: SandboxWorld;
    let serve: ServeProcess;
    let awsPort: string;

    const startServer = async (port: number) => {
      const account = { namespace: 'kube-system', name: 'gke-metadata-server' };
      const token = await world.kubernetes.projectedToken(account, 'https://kubernetes.default.svc');
      const config = JSON.parse(world.kubeconfig);
      // the key of session tokens is made of what the server's own token says of it
      config.users[0].user = { token };
      const flags = {
        '--server-port': `${port}`,
        '--pod-exchanges-per-minute': '6000',
        '--node-exchanges-per-minute': '60000',
        '--aws': 'true',
        '--aws-region': 'eu-central-1',
        '--aws-sts-endpoint': world.aws.url,
        '--azure': 'true',
        '--azure-tenant-id': world.azureTenantID,
        '--azure-authority-host': world.entra.url,
      };
      const started = await startServe(
        { ...world, kubeconfig: JSON.stringify(config) },
        ...Object.entries(flags).flat(),
      );
      return { ...started, port };
    };

    beforeAll(async () => {
      world = stack.use(await startSandboxWorld({ hostname: '0.0.0.0' }));
      world.kubernetes.put(serviceAccount(OF_SERVER));
      awsPort = new URL(world.aws.url).port;
      const [port = 0] = await freePorts(1);
      serve = stack.use(await startServer(port));
      for (const [index, name] of RESIDENTS.entries()) {
        const names =
          name === 'environment' ? { ...INJECTED, hostsEntry: false, variables: false } : INJECTED;
        const place = stack.use(await network.place(FIRST_INDEX + index, names));
        const serviceAccountName = name === 'environment' ? 'annotated' : name;
        const { nodeName } = world;
        const ips = [place.address];
        world.kubernetes.put(
          pod({ name: `of-${name}`, namespace: 'default', serviceAccountName, nodeName, ips }),
        );
        if (name !== 'environment') await place.connect(port);
        places.set(name, place);
      }
    }, TIMEOUT);
    afterAll(async () => {
      if (process.env['PRINT_SECONDS'] !== undefined) process.stdout.write(`${measured.join('\n')}\n`);
      await stack.disposeAsync();
    }, TIMEOUT);
    /** As in a rolling update: the new one listens on the same port before the old one ends. */
    async function replaceServer(): Promise<void> {
      const old = serve;
      serve = stack.use(await startServer(old.port));
      await old.end('SIGTERM');
    }

    beforeEach(() => {
      world.aws.journal.clear();
      world.entra.journal.clear();
    });

    function placeOf(resident: Resident): PodPlace {
      const place = places.get(resident);
      if (place === undefined) throw new Error(`no place for '${resident}'`);
      return place;
    }

    function variablesOf(resident: Resident): Record<string, string> {
      const { nodeAddress } = placeOf(resident);
      const host = `${nodeAddress}:${serve.port}`;
      return {
        // where the cloud is, not who the Pod is
        AWS_ENDPOINT_URL_STS: `http://${nodeAddress}:${awsPort}`,
        ...(resident === 'environment' && {
          ...variablesFor(host),
          AWS_EC2_METADATA_SERVICE_ENDPOINT: `http://${host}`,
          AZURE_POD_IDENTITY_AUTHORITY_HOST: `http://${host}`,
        }),
      };
    }

    async function look(client: Client, resident: Resident, clouds = client.clouds): Promise<Seen> {
      const command = [...client.command, clouds.join(',')];
      const { exitCode, stdout, stderr } = await placeOf(resident).run(command, variablesOf(resident));
      if (exitCode !== 0) throw new Error(`${client.name}: ${exitCode ?? 'killed'}\n${stdout}${stderr}`);
      const seen: Seen = JSON.parse(stdout);
      for (const [cloud, { seconds, error }] of Object.entries(seen)) {
        measured.push(
          [client.name, resident, cloud, seconds.toFixed(2), error?.slice(0, 150) ?? 'yes'].join(' | '),
        );
      }
      return seen;
    }

    const ASSUMED = 'arn:aws:sts::111122223333:assumed-role/reader/default.annotated';

    /** The credentials work: AWS says who called, and Entra and Google describe their tokens. */
    async function expectAnnotated(seen: Seen, clouds: readonly Cloud[]): Promise<void> {
      const { azureClientID: clientID, googleAccount } =
        world.inhabitants.find(({ name }) => name === 'annotated') ?? {};
      for (const cloud of clouds) expect(seen[cloud]?.error).toBeUndefined();
      if (clouds.includes('aws')) expect(seen.aws?.identity).toBe(ASSUMED);
      if (clouds.includes('azure')) {
        expect(await world.entra.describe(seen.azure?.identity ?? '')).toMatchObject({
          clientID,
          tenantID: world.azureTenantID,
          resource: 'https://vault.azure.net',
        });
      }
      if (clouds.includes('google')) {
        const described = world.google.describe(seen.google?.identity ?? '');
        expect(described?.principal.member).toBe(`serviceAccount:${googleAccount}`);
      }
    }

    for (const { name, notRun } of missing) test.skip(`not run: ${name} (${notRun})`, () => undefined);

    for (const client of [...newest, ...oldest]) {
      describe(client.name, () => {
        test('is somebody in each cloud, in one process, by the redirect alone', async () => {
          await expectAnnotated(await look(client, 'annotated'), client.clouds);
        });

        test('is somebody by the variables of mode Environment', async () => {
          await expectAnnotated(await look(client, 'environment'), client.byVariables);
        });

        test('goes on at once where the ServiceAccount has no role and no identity', async () => {
          const { aws, azure } = await look(client, 'direct', ['aws', 'azure']);
          expect(aws?.error).toMatch(NO_ROLE);
          expect(azure?.error).toMatch(NO_IDENTITY);
          // a second is what is promised; this machine may be busy
          expect((aws?.seconds ?? 0) + (azure?.seconds ?? 0)).toBeLessThan(15);
          expect(world.aws.journal.total + world.entra.journal.total).toBe(0);
        });

        test('fails at once where the clouds refuse', async () => {
          const { aws, azure } = await look(client, 'denied', ['aws', 'azure']);
          expect(aws?.error).toMatch(NO_CREDENTIALS);
          expect(azure?.error).toMatch(/AADSTS70025|no default identity is assigned/);
          expect((aws?.seconds ?? 0) + (azure?.seconds ?? 0)).toBeLessThan(15);
        });
      });
    }

    const awsCli = programs.flatMap(({ awsCli: path }) => path ?? [])[0];

    test.skipIf(awsCli === undefined).each(['annotated', 'environment'] as const)(
      'AWS CLI is somebody in %s',
      async (resident) => {
        const command = [awsCli ?? 'aws', 'sts', 'get-caller-identity', '--region', 'eu-central-1'];
        const start = performance.now();
        const { stdout, stderr } = await placeOf(resident).run(command, variablesOf(resident));
        measured.push(`AWS CLI | ${resident} | aws | ${((performance.now() - start) / 1000).toFixed(2)}`);
        expect(stderr).toBe('');
        expect(JSON.parse(stdout).Arn).toBe(ASSUMED);
      },
    );

    describe('for long', () => {
      // botocore believes that what lasts less than 12 minutes lasts longer: it cannot be hurried
      const hurried = newest.map((client) => ({
        ...client,
        clouds: client.name.startsWith('Python') ? (['azure'] as const) : (['aws', 'azure'] as const),
      }));

      afterAll(() => {
        world.aws.faults.sts.heal();
        world.entra.faults.token.heal();
        world.aws.sessions.longestSeconds = Number.POSITIVE_INFINITY;
        world.entra.lifetimeSeconds['managed identity'] = 86_399;
      });

      test('programs keep working: a new server, credentials that expire, and clouds that are gone for a while', async () => {
        world.aws.sessions.longestSeconds = 10;
        // SDKs and the server refresh what has less than 5 minutes left
        world.entra.lifetimeSeconds['managed identity'] = 305;
        // with an empty cache
        await replaceServer();
        const folder = await mkdtemp(join(tmpdir(), 'gkems-seen-'));
        stack.defer(() => rm(folder, { recursive: true, force: true }));
        const runs = await Promise.all(
          hurried.map(async (client, index) => {
            const own = join(folder, `${index}`);
            await mkdir(own);
            const command = [...client.command, client.clouds.join(','), own];
            return {
              folder: own,
              clouds: client.clouds,
              ended: placeOf('annotated').run(command, variablesOf('annotated')),
            };
          }),
        );
        const seenIn = async (own: string): Promise<Seen[]> => {
          const text = await Bun.file(join(own, 'seen')).text();
          return text
            .split('\n')
            .filter((line) => line.endsWith('}'))
            .map((line) => JSON.parse(line));
        };
        // Go uses what lasts less than 15 minutes to its last moment, and for 5 to 15 minutes more if a refresh has failed
        const isGood = (line: Seen) =>
          Object.values(line).every(({ error }) => error === undefined || error.includes('ExpiredToken'));
        /** Resolves when each program has seen that, after now. */
        const each = async (what: string, isSo: (lines: readonly Seen[]) => boolean) => {
          await Promise.all(
            runs.map(async (run) => {
              const before = (await seenIn(run.folder).catch(() => [])).length;
              const look = async () => isSo((await seenIn(run.folder)).slice(before));
              await waitUntil(`each ${what}`, look, 150_000);
            }),
          );
        };

        await each('has credentials', (lines) => lines.length > 1);
        await replaceServer();
        const tokens = (lines: readonly Seen[]) => new Set(lines.map(({ azure }) => azure?.identity)).size;
        await each('has new tokens', (lines) => tokens(lines) > 2);
        const assumed = () => world.aws.journal.count(({ action }) => action === 'AssumeRoleWithWebIdentity');
        await waitUntil('there are new AWS credentials', () => assumed() > 6);
        // no program noticed any of it
        const all = await Promise.all(runs.map((run) => seenIn(run.folder)));
        expect(all.flat().filter((line) => !isGood(line))).toEqual([]);

        world.aws.faults.sts.failWith(503);
        world.entra.faults.token.failWith(503);
        await each('fails while the clouds do', (lines) =>
          lines.some(({ azure }) => azure?.error !== undefined),
        );
        world.aws.faults.sts.heal();
        world.entra.faults.token.heal();
        await each('works again', (lines) => lines.filter(isGood).length > 2);

        for (const run of runs) await Bun.write(join(run.folder, 'end'), '');
        for (const run of runs) expect((await run.ended).exitCode).toBe(0);
      });
    });

    test('a session token that an SDK keeps is honoured by the next server', async () => {
      const put = ['curl', '--silent', '--show-error', '--fail', '--request', 'PUT'];
      const token = await placeOf('annotated').run([
        ...put,
        '--header',
        'X-aws-ec2-metadata-token-ttl-seconds: 21600',
        'http://169.254.169.254/latest/api/token',
      ]);
      await replaceServer();
      const role = await placeOf('annotated').run([
        'curl',
        '--silent',
        '--header',
        `X-aws-ec2-metadata-token: ${token.stdout}`,
        'http://169.254.169.254/latest/meta-data/iam/security-credentials/',
      ]);
      expect(role.stdout).toBe('reader');
    });
  },
);
