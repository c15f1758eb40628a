import { parseArgs } from 'node:util';

// kubectl --kubeconfig=FILE get --raw PATH, and nothing else of it. It starts many times in a test: no import is large.

/** Of a kubeconfig that has one cluster and one user. */
interface Kubeconfig {
  readonly clusters: readonly [{ cluster: { server: string; 'certificate-authority-data'?: string } }];
  readonly users: readonly [{ user: { token?: string } }];
}

const { values, positionals } = parseArgs({
  options: { kubeconfig: { type: 'string' }, raw: { type: 'string' } },
  allowPositionals: true,
});
const { kubeconfig, raw } = values;
if (positionals.join() !== 'get' || raw === undefined || kubeconfig === undefined) {
  throw new Error('only: kubectl --kubeconfig=FILE get --raw PATH');
}
// as the sandbox writes it
const { clusters, users } = Bun.YAML.parse(await Bun.file(kubeconfig).text()) as Kubeconfig;
const { server, 'certificate-authority-data': ca } = clusters[0].cluster;
const { token } = users[0].user;
try {
  const response = await fetch(`${server}${raw}`, {
    headers: token === undefined ? {} : { Authorization: `Bearer ${token}` },
    tls: ca === undefined ? {} : { ca: Buffer.from(ca, 'base64').toString() },
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.status}: ${text}`);
  process.stdout.write(text);
} catch (error) {
  process.stderr.write(`Error from server: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
