import { generateKeyPairSync } from 'node:crypto';
import { join } from 'node:path';
import { runOrThrow } from '../../scripts/run.ts';

export interface Certificates {
  readonly authority: string;
  readonly authorityKey: string;
  readonly apiServer: string;
  readonly apiServerKey: string;
  /** What the API server shows the kubelet, which lets in nobody else. */
  readonly kubeletClient: string;
  readonly kubeletClientKey: string;
  readonly kubelet: string;
  readonly kubeletKey: string;
  readonly serviceAccountKey: string;
}

/** Makes a cluster's authority, its certificates and the key its ServiceAccount tokens are signed with. */
export async function makeCertificates(
  folder: string,
  apiServerAddresses: readonly string[],
  kubeletAddresses: readonly string[],
): Promise<Certificates> {
  const file = (name: string) => join(folder, name);
  await makeCertificate(file('ca'), '/CN=kubernetes', [
    'basicConstraints=critical,CA:TRUE',
    'keyUsage=critical,keyCertSign',
  ]);
  const names = ['kubernetes', 'kubernetes.default', 'kubernetes.default.svc', 'localhost'];
  const signer = ['-CA', file('ca.crt'), '-CAkey', file('ca.key')];
  const server = (addresses: readonly string[], dnsNames: readonly string[]) => {
    const entries = [
      ...dnsNames.map((name) => `DNS:${name}`),
      ...addresses.map((address) => `IP:${address}`),
    ];
    return ['extendedKeyUsage=serverAuth', `subjectAltName=${entries.join(',')}`];
  };
  await Promise.all([
    makeCertificate(file('apiserver'), '/CN=kube-apiserver', server(apiServerAddresses, names), signer),
    makeCertificate(
      file('kubelet-client'),
      '/O=system:masters/CN=kube-apiserver',
      ['extendedKeyUsage=clientAuth'],
      signer,
    ),
    makeCertificate(file('kubelet'), '/CN=kubelet', server(kubeletAddresses, []), signer),
  ]);
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  await Bun.write(file('service-accounts.key'), privateKey.export({ type: 'pkcs1', format: 'pem' }));
  return {
    authority: file('ca.crt'),
    authorityKey: file('ca.key'),
    apiServer: file('apiserver.crt'),
    apiServerKey: file('apiserver.key'),
    kubeletClient: file('kubelet-client.crt'),
    kubeletClientKey: file('kubelet-client.key'),
    kubelet: file('kubelet.crt'),
    kubeletKey: file('kubelet.key'),
    serviceAccountKey: file('service-accounts.key'),
  };
}

/** Makes `path`.crt and `path`.key: signed by itself, or by what openssl's flags in `signer` name. */
export async function makeCertificate(
  path: string,
  subject: string,
  extensions: readonly string[],
  signer: readonly string[] = [],
): Promise<void> {
  await runOrThrow([
    ...[
      'openssl',
      'req',
      '-x509',
      ...signer,
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
    ],
    ...['-days', '365', '-subj', subject, '-keyout', `${path}.key`, '-out', `${path}.crt`],
    ...extensions.flatMap((extension) => ['-addext', extension]),
  ]);
}
