import { mkdir, mkdtemp, rename, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** If certificates cannot be made, the tests that need some say so in their names. */
export const OPENSSL_MISSING = Bun.which('openssl') === null;

interface Pem {
  readonly certificate: string;
  readonly key: string;
}

/** A self-signed certificate for localhost. */
export async function selfSigned(commonName: string): Promise<Pem> {
  const folder = await mkdtemp(join(tmpdir(), 'certificate-'));
  const [crt, key] = [join(folder, 'crt'), join(folder, 'key')];
  const child = Bun.spawn(
    [
      ...['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
      ...['-days', '30', '-keyout', key, '-out', crt, '-subj', `/CN=${commonName}`],
      ...['-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'],
    ],
    { stdout: 'ignore', stderr: 'pipe' },
  );
  if ((await child.exited) !== 0) throw new Error(await child.stderr.text());
  const pem = { certificate: await Bun.file(crt).text(), key: await Bun.file(key).text() };
  await rm(folder, { recursive: true });
  return pem;
}

/** A Secret mounted as the kubelet does: the files are links into `..data`, which is a link that is replaced whole. */
export class CertificateFolder implements AsyncDisposable {
  #version = 0;

  private constructor(readonly path: string) {}

  static async mount(pem: Pem): Promise<CertificateFolder> {
    const folder = new CertificateFolder(await mkdtemp(join(tmpdir(), 'secret-')));
    await folder.renew(pem);
    for (const file of ['tls.crt', 'tls.key']) {
      await symlink(join('..data', file), join(folder.path, file));
    }
    return folder;
  }

  async renew({ certificate, key }: Partial<Pem>): Promise<void> {
    const before = `..version-${this.#version}`;
    const version = `..version-${++this.#version}`;
    await mkdir(join(this.path, version));
    if (certificate !== undefined) await Bun.write(join(this.path, version, 'tls.crt'), certificate);
    if (key !== undefined) await Bun.write(join(this.path, version, 'tls.key'), key);
    await symlink(version, join(this.path, '..data_tmp'));
    await rename(join(this.path, '..data_tmp'), join(this.path, '..data'));
    await rm(join(this.path, before), { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true });
  }
}
