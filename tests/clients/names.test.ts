import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { pod } from '../../server/sandbox/kubernetes/objects.ts';
import { type SandboxWorld, startSandboxWorld } from '../../server/sandbox/sandbox-world.ts';
import { type ServeProcess, startServe } from '../serve-process.ts';
import { nodeClients } from './client-programs.ts';
import type { DnsBehavior } from './cluster-dns.ts';
import { INJECTED, type PodNames } from './network-namespace.ts';
import { choosePodNetwork } from './pod-network.ts';
import type { PodPlace } from './pod-place.ts';

// a client looks for some seconds, and a slow machine needs a while for each of its programs
const TIMEOUT = 300_000;
setDefaultTimeout(TIMEOUT);

const V1 = '/computeMetadata/v1';
const LOOKS = 20;
// namespaces have an index each; the other tests take the first ones
const FIRST_INDEX = 20;

const network = await choosePodNetwork();
const libraries = await nodeClients();

describe.skipIf(!network.podsHaveAddresses)('a client that looks for the name', () => {
  let world: SandboxWorld;
  let serve: ServeProcess;
  const stack = new AsyncDisposableStack();
  let index = FIRST_INDEX;

  beforeAll(async () => {
    world = stack.use(await startSandboxWorld());
    serve = stack.use(await startServe(world));
  }, TIMEOUT);
  afterAll(() => stack.disposeAsync(), TIMEOUT);

  /** A Pod that leads to `port`: by default to the server. */
  async function place(names: Partial<PodNames>, port = serve.port): Promise<PodPlace> {
    const made = await network.place(index++, { ...INJECTED, ...names });
    await made.connect(port);
    const { address } = made;
    const { nodeName } = world;
    world.kubernetes.put(
      pod({
        name: `pod-${index}`,
        namespace: 'default',
        serviceAccountName: 'annotated',
        nodeName,
        ips: [address],
      }),
    );
    return made;
  }

  describe.each(libraries)('$name', ({ patient, command }) => {
    const looks = async (where: PodPlace, times: number): Promise<number> => {
      const { exitCode, stdout, stderr } = await where.run([...command('find.js'), `${times}`]);
      if (exitCode !== 0) throw new Error(`${exitCode ?? 'killed'}\n${stdout}${stderr}`);
      return JSON.parse(stdout).found;
    };

    test.each<DnsBehavior>(['nxdomain', 'slow-nxdomain', 'gke'])(
      `finds the server in each of ${LOOKS} looks in an injected Pod, whose DNS is of the kind %s`,
      async (dns) => {
        await using where = await place({ dns });
        expect(await looks(where, LOOKS)).toBe(LOOKS);
      },
    );

    const without = patient ? 'finds' : 'does not find';
    test(`finds a server that is slower than DNS by the variables, and ${without} it without`, async () => {
      using slow = Bun.serve({
        hostname: '0.0.0.0',
        port: 0,
        // longer than a refusal of the name takes on any machine, less than a client waits for
        fetch: () =>
          Bun.sleep(700).then(
            () => new Response('attributes/\n', { headers: { 'Metadata-Flavor': 'Google' } }),
          ),
      });
      await using injected = await place({}, slow.port);
      expect(await looks(injected, 1)).toBe(1);
      await using bare = await place({ variables: false }, slow.port);
      expect(await looks(bare, 1)).toBe(patient ? 1 : 0);
    });
  });

  describe('curl', () => {
    const status = async (where: PodPlace, origin: string) => {
      const flags = ['--silent', '--output', '/dev/null', '--header', 'Metadata-Flavor: Google'];
      const command = ['curl', ...flags, '--write-out', '%{http_code}', `${origin}${V1}/project/project-id`];
      const { exitCode, stdout } = await where.run(command);
      return exitCode === 0 ? stdout : `exit ${exitCode}`;
    };
    const UNRESOLVED = 'exit 6';

    test('is led to the server by each name that it has on GKE, if DNS knows it and Google is searched', async () => {
      await using where = await place({ dns: 'gke', hostsEntry: false, searchesGoogle: true });
      for (const host of ['metadata', 'metadata.google.internal', 'metadata.google.internal.']) {
        expect([host, await status(where, `http://${host}`)]).toEqual([host, '200']);
      }
    });

    test('knows only the name in /etc/hosts, if DNS knows none', async () => {
      await using where = await place({ searchesGoogle: true });
      expect(await status(where, 'http://metadata.google.internal')).toBe('200');
      expect(await status(where, 'http://metadata')).toBe(UNRESOLVED);
    });
  });
});
