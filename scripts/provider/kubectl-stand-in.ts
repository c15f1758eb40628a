import { parseArgs } from 'node:util';
import { ApiClient } from '../test-cluster/api-client.ts';

// kubectl --kubeconfig=FILE get --raw PATH, and nothing else of it

const { values, positionals } = parseArgs({
  options: { kubeconfig: { type: 'string' }, raw: { type: 'string' } },
  allowPositionals: true,
});
const { kubeconfig, raw } = values;
if (positionals.join() !== 'get' || raw === undefined || kubeconfig === undefined) {
  throw new Error('only: kubectl --kubeconfig=FILE get --raw PATH');
}
try {
  process.stdout.write(await new ApiClient(kubeconfig).text('GET', raw));
} catch (error) {
  process.stderr.write(`Error from server: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
