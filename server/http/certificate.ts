import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile, realpath } from 'node:fs/promises';
import { join } from 'node:path';

/** A serving certificate with its key, both PEM. */
export interface Certificate {
  readonly certificate: string;
  readonly key: string;
  /** Milliseconds since the epoch. */
  readonly notAfter: number;
}

/**
 * The certificate of a mounted Secret of type kubernetes.io/tls. The kubelet updates such a mount by one symbolic link,
 * `..data`, which is resolved once for both files, so they match. Throws if a file is missing or invalid, or if the key
 * does not belong to the certificate.
 */
export async function readCertificate(directory: string): Promise<Certificate> {
  const current = await realpath(join(directory, '..data')).catch(() => directory);
  const [certificate, key] = await Promise.all([
    readFile(join(current, 'tls.crt'), 'utf8'),
    readFile(join(current, 'tls.key'), 'utf8'),
  ]);
  const leaf = new X509Certificate(certificate);
  if (!leaf.checkPrivateKey(createPrivateKey(key))) {
    throw new Error(`tls.key in ${directory} does not belong to tls.crt`);
  }
  return { certificate, key, notAfter: leaf.validToDate.getTime() };
}
