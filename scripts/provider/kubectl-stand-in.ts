import { parseArgs } from 'node:util';
import { KubeConfig } from '@kubernetes/client-node';

// kubectl --kubeconfig=FILE get --raw PATH, and nothing else of it

const { values, positionals } = parseArgs({
  options: { kubeconfig: { type: 'string' }, raw: { type: 'string' } },
  allowPositionals: true,
});
const { kubeconfig, raw } = values;
if (positionals.join() !== 'get' || raw === undefined || kubeconfig === undefined) {
  throw new Error('only: kubectl --kubeconfig=FILE get --raw PATH');
}
const config = new KubeConfig();
config.loadFromFile(kubeconfig);
const { server = '', caData } = config.getCurrentCluster() ?? {};
const { token } = config.getCurrentUser() ?? {};
try {
  const response = await fetch(`${server}${raw}`, {
    headers: token === undefined ? {} : { Authorization: `Bearer ${token}` },
    tls: caData === undefined ? {} : { ca: Buffer.from(caData, 'base64').toString() },
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.status}: ${text}`);
  process.stdout.write(text);
} catch (error) {
  process.stderr.write(`Error from server: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
