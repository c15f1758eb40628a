import { describe, expect, test } from 'bun:test';
import { CertificateFolder, OPENSSL_MISSING, selfSigned } from '../testing/certificate-folder.ts';
import { readCertificate } from './certificate.ts';

describe.skipIf(OPENSSL_MISSING)(
  `readCertificate${OPENSSL_MISSING ? ' (not run: needs openssl)' : ''}`,
  () => {
    test('follows the mount from one version to the next', async () => {
      const [first, second] = [await selfSigned('first'), await selfSigned('second')];
      await using folder = await CertificateFolder.mount(first);
      const read = await readCertificate(folder.path);
      expect<unknown>(read).toEqual({ ...first, notAfter: expect.any(Number) });
      expect(new Date(read.notAfter).getUTCFullYear()).toBeGreaterThan(2025);
      await folder.renew(second);
      expect<unknown>(await readCertificate(folder.path)).toEqual({
        ...second,
        notAfter: expect.any(Number),
      });
    });

    test('refuses a key of another certificate, and a file that is missing or invalid', async () => {
      const [first, second] = [await selfSigned('first'), await selfSigned('second')];
      await using folder = await CertificateFolder.mount({ ...first, key: second.key });
      await expect(readCertificate(folder.path)).rejects.toThrow('does not belong to tls.crt');
      await folder.renew({ certificate: first.certificate });
      await expect(readCertificate(folder.path)).rejects.toThrow('ENOENT');
      await folder.renew({ certificate: 'none', key: first.key });
      await expect(readCertificate(folder.path)).rejects.toThrow();
    });
  },
);
