import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { StandInKubernetes } from '../server/sandbox/stand-in-kubernetes.ts';
import { OPENSSL_MISSING, selfSigned } from '../server/testing/certificate-folder.ts';
import { StandInBucket } from './issuer/bucket-stand-in.ts';
import { Programs } from './provider/programs.ts';

// each starts programs, on a machine that may have other things to do
setDefaultTimeout(120_000);

const SCRIPT = join(import.meta.dir, 'issuer-documents.ts');
const pem = OPENSSL_MISSING ? undefined : await selfSigned('bucket');

describe.skipIf(pem === undefined)('a bucket, and a cluster that has it as its issuer', () => {
  let bucket: StandInBucket;
  let kubernetes: StandInKubernetes;
  let programs: Programs;
  beforeEach(async () => {
    bucket = await StandInBucket.start(pem ?? { certificate: '', key: '' });
    kubernetes = await new StandInKubernetes({ issuer: `${bucket.url}/my-cluster` }).start();
    programs = await Programs.start(kubeconfig(kubernetes.url), 'http://127.0.0.1:1');
  });
  afterEach(async () => {
    await programs[Symbol.asyncDispose]();
    await kubernetes[Symbol.asyncDispose]();
    await bucket[Symbol.asyncDispose]();
  });

  const kids = () => kubernetes.jwks.keys.map(({ kid }) => kid ?? '');
  const output = () => join(programs.folder, 'out');

  function script(...args: readonly string[]) {
    const place = [`--kubeconfig=${programs.kubeconfig}`, `--issuer=${kubernetes.issuer}`];
    const options = args.includes('--check') ? [] : [`--output=${output()}`];
    return programs.run([process.execPath, SCRIPT, ...place, ...options, ...args], {
      NODE_EXTRA_CA_CERTS: bucket.certificateFile,
    });
  }

  const upload = () => cp(output(), join(bucket.folder, 'my-cluster'), { recursive: true });

  async function writtenKeys(): Promise<string[]> {
    const { keys } = await Bun.file(join(output(), 'openid/v1/jwks')).json();
    return keys.map(({ kid }: { kid: string }) => kid);
  }

  test('written, uploaded, checked; written again: nothing changes', async () => {
    const before = await script('--check');
    expect([before.exitCode, before.stdout]).toEqual([
      1,
      expect.stringContaining('the response is 404. Upload it'),
    ]);
    const first = await script();
    expect([first.exitCode, first.stderr]).toEqual([
      0,
      expect.stringContaining(`wrote ${output()}/.well-known/openid-configuration`),
    ]);
    expect(first.stdout).toContain(`# ${output()}/openid/v1/jwks at ${kubernetes.issuer}/openid/v1/jwks`);
    expect(await writtenKeys()).toEqual(kids());
    await upload();
    const check = await script('--check');
    expect([check.exitCode, check.stdout]).toEqual([0, '']);
    expect(check.stderr).toContain('the documents are public, and those of the cluster');
    const second = await script();
    expect([second.exitCode, second.stderr]).toEqual([0, expect.stringContaining('nothing was changed')]);
  });

  test('a rotation: the new key is missing, then there, and the old one can stay', async () => {
    await script();
    await upload();
    const old = join(programs.folder, 'old.json');
    await Bun.write(old, JSON.stringify(kubernetes.jwks));
    const [oldKid = ''] = kids();
    const kid = await kubernetes.addKey();
    const check = await script('--check');
    expect([check.exitCode, check.stdout]).toEqual([
      1,
      expect.stringContaining(`lacks the cluster's key ${kid}`),
    ]);
    const added = await script();
    expect(added.stderr).toContain(`added the key ${kid}`);
    await upload();
    expect((await script('--check')).exitCode).toBe(0);

    await kubernetes[Symbol.asyncDispose]();
    kubernetes = await new StandInKubernetes({ issuer: kubernetes.issuer }).start();
    await Bun.write(programs.kubeconfig, kubeconfig(kubernetes.url));
    const kept = await script(`--keep=${old}`);
    expect([kept.exitCode, await writtenKeys()]).toEqual([0, [...kids(), oldKid]]);
    await upload();
    const extra = await script('--check');
    expect([extra.exitCode, extra.stdout]).toEqual([0, '']);
    expect(extra.stderr).toContain(`has the key ${oldKid}, which the cluster does not have`);
    const removed = await script();
    expect(removed.stderr).toContain(`removed the key ${oldKid}`);
    expect(await writtenKeys()).toEqual(kids());
  });

  test('what does not fit leaves the files as they were', async () => {
    await script();
    const files = async () => [
      await Bun.file(join(output(), 'openid/v1/jwks')).text(),
      await Bun.file(join(output(), '.well-known/openid-configuration')).text(),
      (await Array.fromAsync(new Bun.Glob('**/*').scan({ cwd: output(), dot: true }))).length,
    ];
    const before = await files();
    await kubernetes.addKey();
    const notKeys = join(programs.folder, 'notes.txt');
    await Bun.write(notKeys, 'no keys');
    const other = join(programs.folder, 'other');
    const configuration = join(other, '.well-known/openid-configuration');
    await Bun.write(configuration, '{"issuer":"https://other"}');
    await Bun.write(join(programs.folder, 'text/.well-known/openid-configuration'), 'no document');
    const refused = [
      [await script(`--keep=${notKeys}`), 'notes.txt is not a JWKS: it is not JSON.'],
      [await script('--keep=missing.json'), 'missing.json: it is not a file.'],
      [await script('--issuer=https://elsewhere'), '--service-account-issuer=https://elsewhere\n'],
      [await script(`--output=${other}`), 'has the documents of another issuer, https://other.'],
      [await script(`--output=${join(programs.folder, 'text')}`), "that are not an issuer's documents"],
      [await script(`--output=${notKeys}`), 'notes.txt is not a folder.'],
    ] as const;
    for (const [{ exitCode, stdout, stderr }, text] of refused) {
      expect([exitCode, stdout, stderr]).toEqual([1, '', expect.stringContaining(text)]);
    }
    kubernetes.faults.openid.failWith(403);
    expect((await script()).stderr).toContain('system:service-account-issuer-discovery');
    expect(await files()).toEqual(before);
    expect(await Bun.file(configuration).json()).toEqual({ issuer: 'https://other' });
  });

  test('a folder that cannot be written is an error, without a stack', async () => {
    await mkdir(join(output(), 'openid'), { recursive: true });
    await Bun.write(join(output(), 'openid/v1'), 'in the way');
    const { exitCode, stdout, stderr } = await script();
    expect([exitCode, stdout]).toEqual([1, '']);
    expect(stderr).toContain('openid/v1');
    expect(stderr).not.toContain('    at ');
  });

  test('a bucket whose certificate no public CA has signed is a difference', async () => {
    const place = [`--kubeconfig=${programs.kubeconfig}`, `--issuer=${kubernetes.issuer}`];
    const check = await programs.run([process.execPath, SCRIPT, ...place, '--check']);
    expect([check.exitCode, check.stdout]).toEqual([
      1,
      expect.stringContaining('with a certificate of a public CA'),
    ]);
  });
});

function kubeconfig(server: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'c', cluster: { server } }],
    users: [{ name: 'u', user: {} }],
    contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'c',
  });
}
