import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TIMEOUT } from '../client-suite.ts';
import { INJECTED, type PodNames } from '../network-namespace.ts';
import { choosePodNetwork } from '../pod-network.ts';
import { coreDnsProgram } from './core-dns-program.ts';

setDefaultTimeout(TIMEOUT);

const RECIPE = join(import.meta.dir, '../../../docs/examples/dns/coredns-custom.yaml');
// namespaces have an index each
const INDEX = 70;

const network = await choosePodNetwork();
const program = await coreDnsProgram();
const runs = network.podsHaveAddresses && program !== undefined;

/** CoreDNS on this address as k3s and AKS configure it, with what a ConfigMap `coredns-custom` holds. */
async function coreDns(address: string, custom: Record<string, string>): Promise<AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), 'gkems-core-dns-'));
  for (const [name, text] of Object.entries(custom)) {
    // its server blocks listen wherever the machine has port 53 free, here on the Node's end alone
    await Bun.write(join(folder, name), text.replaceAll('errors\n', `errors\n    bind ${address}\n`));
  }
  const corefile = `.:53 {
    bind ${address}
    errors
    template ANY ANY {
        rcode NXDOMAIN
    }
    import ${folder}/*.override
}
import ${folder}/*.server
`;
  await Bun.write(join(folder, 'Corefile'), corefile);
  const child = Bun.spawn([program ?? '', '-conf', join(folder, 'Corefile')], {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'inherit',
  });
  await listening(child.stdout);
  return {
    async [Symbol.asyncDispose]() {
      // or nothing was resolved since nobody was there
      expect(child.exitCode).toBeNull();
      child.kill();
      await child.exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Resolves once CoreDNS has printed its version, which it does when it listens; goes on to read what it prints. */
function listening(stdout: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const read = async () => {
    for await (const text of stdout.pipeThrough(new TextDecoderStream())) {
      if (text.includes('CoreDNS-')) resolve();
    }
    reject(new Error('CoreDNS has ended'));
  };
  void read();
  return promise;
}

/** The address that a program of a Pod finds for each name; none: `-`. */
async function resolved(custom: Record<string, string>, names: readonly string[]): Promise<string[]> {
  const pod: PodNames = {
    ...INJECTED,
    hostsEntry: false,
    dns: (address) => coreDns(address, custom),
  };
  await using place = await network.place(INDEX, pod);
  return await Promise.all(
    names.map(async (name) => {
      const { stdout } = await place.run(['getent', 'ahostsv4', name]);
      return `${name} ${stdout.split(/\s/)[0] || '-'}`;
    }),
  );
}

const NAMES = ['metadata', 'metadata.google.internal', 'metadata.google.internal.'];

describe.skipIf(!runs)('a cluster whose CoreDNS imports docs/examples/dns', () => {
  test('has the names of the metadata server, and no other of Google', async () => {
    const { data } = Object(Bun.YAML.parse(await Bun.file(RECIPE).text()));
    const others = ['other.google.internal', 'google.internal', 'example.com'];
    expect(await resolved(data, [...NAMES, ...others])).toEqual([
      ...NAMES.map((name) => `${name} 169.254.169.254`),
      ...others.map((name) => `${name} -`),
    ]);
  });

  test('has none of them without it', async () => {
    expect(await resolved({}, NAMES)).toEqual(NAMES.map((name) => `${name} -`));
  });
});
