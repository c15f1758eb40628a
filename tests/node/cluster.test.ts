import { afterAll, beforeAll, expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { Cache } from '../../scripts/tools/cache.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { processStates, readRecord } from '../cluster/cluster-state.ts';
import { clientsArchive, clientsImage, toolsImage } from '../cluster/images.ts';
import { startCluster } from '../cluster/start-cluster.ts';

const longest = 180_000;
const pods = '/api/v1/namespaces/default/pods';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ mode: 'node', dualStack: true });
}, longest);
afterAll(() => cluster?.stop());

interface Pod {
  readonly status: {
    readonly phase: string;
    readonly podIPs?: readonly { readonly ip: string }[];
    readonly containerStatuses?: readonly unknown[];
    readonly initContainerStatuses?: readonly unknown[];
  };
}

/** Makes a Pod and waits until it ends; returns it and what its container `main` wrote. */
async function runPod(name: string, spec: Record<string, unknown>): Promise<{ pod: Pod; log: string }> {
  await cluster.api.json('POST', pods, {
    body: { metadata: { name }, spec: { restartPolicy: 'Never', terminationGracePeriodSeconds: 0, ...spec } },
  });
  for (;;) {
    const pod = await cluster.api.json<Pod>('GET', `${pods}/${name}`);
    if (pod.status.phase === 'Succeeded') {
      return { pod, log: await cluster.api.text('GET', `${pods}/${name}/log?container=main`) };
    }
    if (pod.status.phase === 'Failed') throw new Error(JSON.stringify(pod.status, undefined, 2));
    await Bun.sleep(100);
  }
}

test(
  'a Pod gets both kinds of address, its init container redirects 169.254.169.254, and the host sees who asks',
  async () => {
    using host = Bun.serve({
      hostname: '0.0.0.0',
      port: 0,
      fetch: () => new Response('from the host'),
    });
    const [address] = cluster.hostAddresses;
    const redirect = `iptables -t nat -A OUTPUT -d 169.254.169.254 -p tcp --dport 80 -j DNAT --to-destination ${address}:${host.port}`;
    const { pod, log } = await runPod('redirected', {
      initContainers: [
        {
          name: 'redirect',
          image: toolsImage,
          imagePullPolicy: 'Never',
          command: ['/bin/sh', '-c', redirect],
          securityContext: {
            readOnlyRootFilesystem: true,
            allowPrivilegeEscalation: false,
            capabilities: { drop: ['ALL'], add: ['NET_ADMIN'] },
            seccompProfile: { type: 'RuntimeDefault' },
          },
        },
      ],
      containers: [
        {
          name: 'main',
          image: toolsImage,
          imagePullPolicy: 'Never',
          command: ['curl', '--silent', '--show-error', 'http://169.254.169.254/'],
        },
      ],
    });

    expect(log).toBe('from the host');
    const [ipv4, ipv6] = pod.status.podIPs?.map(({ ip }) => ip) ?? [];
    expect(ipv4).toMatch(/^10\.244\.\d+\.\d+$/);
    expect(ipv6).toMatch(/^fd00:10:244:/);
  },
  longest,
);

test(
  'a Pod reaches the API server by its Service, as its ServiceAccount',
  async () => {
    const token = '/var/run/secrets/kubernetes.io/serviceaccount';
    const url =
      'https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT/apis/authentication.k8s.io/v1/selfsubjectreviews';
    const ask = `curl --silent --cacert ${token}/ca.crt -H "Authorization: Bearer $(cat ${token}/token)" -H 'Content-Type: application/json' -d '{}' ${url}`;
    const { log } = await runPod('in-cluster', {
      containers: [
        { name: 'main', image: toolsImage, imagePullPolicy: 'Never', command: ['/bin/sh', '-c', ask] },
      ],
    });
    expect(JSON.parse(log)).toMatchObject({
      status: { userInfo: { username: 'system:serviceaccount:default:default' } },
    });
  },
  longest,
);

test(
  'an image that is loaded later brings Python and google-auth',
  async () => {
    await cluster.loadImage(await clientsArchive(new Cache()));
    const command = [
      'python3',
      '-c',
      'import google.auth.transport.requests, google.auth; print(google.auth.__name__)',
    ];
    const { log } = await runPod('python', {
      containers: [{ name: 'main', image: clientsImage, imagePullPolicy: 'Never', command }],
    });
    expect(log).toBe('google.auth\n');
  },
  longest,
);

test(
  'nothing is left of a Node that is stopped with a Pod on it',
  async () => {
    await using second = await startCluster({ mode: 'node' });
    const record = await readRecord(second.folder);
    const name = second.nodeName;
    await second.api.json('POST', pods, {
      body: {
        metadata: { name: 'endless' },
        spec: {
          containers: [
            { name: 'main', image: toolsImage, imagePullPolicy: 'Never', command: ['sleep', '86400'] },
          ],
        },
      },
    });
    for (;;) {
      if ((await second.api.json<Pod>('GET', `${pods}/endless`)).status.phase === 'Running') break;
      await Bun.sleep(100);
    }
    const before = traces(name, second.folder);
    expect(before).not.toEqual([]);
    await second.stop();

    expect(record && Object.values(processStates(record)).some(Boolean)).toBe(false);
    expect(traces(name, second.folder)).toEqual([]);
  },
  longest,
);

/** Whatever of the machine bears the Node's name or lies in its folder. */
function traces(name: string, folder: string): string[] {
  const found = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .filter((line) => line.includes(name) || line.includes(folder));
  for (const pid of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      const [commandLine, cgroup] = ['cmdline', 'cgroup'].map((file) =>
        readFileSync(`/proc/${pid}/${file}`, 'utf8'),
      );
      if (commandLine?.includes(name) || commandLine?.includes(folder) || cgroup?.includes(name))
        found.push(`process ${pid}`);
    } catch {
      // it ended while we looked
    }
  }
  for (const hierarchy of ['', ...readdirSync('/sys/fs/cgroup')]) {
    try {
      readdirSync(`/sys/fs/cgroup/${hierarchy}/${name}`);
      found.push(`control group ${hierarchy}/${name}`);
    } catch {
      // none of that name
    }
  }
  return found;
}
