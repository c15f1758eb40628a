import { expect, test } from 'bun:test';
import { connect } from 'node:tls';
import { startCluster } from '../cluster/start-cluster.ts';
import { waitUntil } from '../wait-until.ts';
import { InjectingWebhook } from './injecting-webhook.ts';

const longest = 180_000;
const WORKERS = 4;

test(
  'a certificate renewed while Pods are created loses none of them; new connections are shown the new one',
  async () => {
    await using cluster = await startCluster({ mode: 'api', certManager: true });
    await using injecting = await InjectingWebhook.start(cluster);
    await injecting.register();
    const { certificate, only: replica, service } = injecting.webhook;
    const namespace = await injecting.addNamespace();
    const labels = { 'gke-metadata-server.matheuscscp.io/webhook': 'Mutate' };
    const spec = { automountServiceAccountToken: false, containers: [{ name: 'main', image: 'none' }] };
    const outcome = async () => {
      const { status, message, pod } = await injecting.create(namespace, {
        metadata: { name: 'app', labels },
        spec,
      });
      return status === 201
        ? pod.spec.initContainers?.map(({ name }) => name).join()
        : `${status} ${message}`;
    };

    const outcomes = new Map<string | undefined, number>();
    let renewed = false;
    const work = async () => {
      for (let last = false; !last; last = renewed) {
        const what = await outcome();
        outcomes.set(what, (outcomes.get(what) ?? 0) + 1);
      }
    };
    const shown = {
      port: replica.port,
      ca: await certificate.authority(),
      servername: certificate.serverName,
    };
    const before = await fingerprint(shown);
    const working = Array.from({ length: WORKERS }, work);
    await certificate.renew();
    await waitUntil('another certificate is shown', async () => {
      return (await fingerprint(shown)) !== before;
    }).finally(() => {
      renewed = true;
    });
    await Promise.all(working);

    expect([...outcomes.keys()]).toEqual(['init-network']);
    expect(outcomes.get('init-network')).toBeGreaterThan(WORKERS);
    // the API server, too, takes the new one; what it sends before it has seen the end of a connection is lost
    service.disconnect();
    await waitUntil('it asks again', async () => (await outcome()) === 'init-network');
  },
  longest,
);

/** The fingerprint of the certificate that a new connection is shown. */
function fingerprint(server: { port: number; ca: string; servername: string }): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', ...server }, () => {
      resolve(socket.getPeerCertificate().fingerprint256);
      socket.destroy();
    });
    socket.on('error', reject);
  });
}
