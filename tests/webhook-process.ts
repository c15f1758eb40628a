import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../scripts/free-ports.ts';
import { makeCertificate } from './cluster/certificates.ts';
import { MountedSecret } from './mounted-secret.ts';
import { type Program, startProgram } from './program.ts';

/** `gke-metadata-server webhook` as a process of its own. */
export interface WebhookProcess extends Program {
  readonly port: number;
}

interface WebhookWorld {
  /** Of the server and the webhook. */
  readonly namespace: string;
  /** The content of a kubeconfig. */
  readonly kubeconfig: string;
  /** What the webhook is run by: from source if undefined. */
  readonly command?: readonly string[];
}

/** An authority, and the certificate for 127.0.0.1 that it signs: what cert-manager mounts, as the kubelet mounts it. */
export class WebhookCertificate implements AsyncDisposable {
  readonly #secret: MountedSecret;

  private constructor(private readonly folder: string) {
    this.#secret = new MountedSecret(join(folder, 'mount'));
  }

  static async make(): Promise<WebhookCertificate> {
    const folder = await mkdtemp(join(tmpdir(), 'gkems-certificate-'));
    const certificate = new WebhookCertificate(folder);
    const extensions = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign'];
    await makeCertificate(join(folder, 'ca'), '/CN=webhook-authority', extensions);
    const signer = ['-CA', join(folder, 'ca.crt'), '-CAkey', join(folder, 'ca.key')];
    await certificate.#secret.change((mount) =>
      makeCertificate(
        join(mount, 'tls'),
        '/CN=webhook',
        ['extendedKeyUsage=serverAuth', 'subjectAltName=IP:127.0.0.1'],
        signer,
      ),
    );
    return certificate;
  }

  /** The mounted Secret. */
  get directory(): string {
    return this.#secret.directory;
  }

  /** The authority's certificate, PEM. */
  authority(): Promise<string> {
    return Bun.file(join(this.folder, 'ca.crt')).text();
  }

  /** `caBundle` of a webhook configuration. */
  async caBundle(): Promise<string> {
    return Buffer.from(await this.authority()).toString('base64');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Starts it and waits until it is ready. Throws with its log if it does not. */
export async function startWebhook(
  world: WebhookWorld,
  certificate: Pick<WebhookCertificate, 'directory'>,
  ...flagsOfTest: string[]
): Promise<WebhookProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'gkems-webhook-'));
  const kubeconfig = join(folder, 'kubeconfig');
  await Bun.write(kubeconfig, world.kubeconfig, { mode: 0o600 });
  const [port, healthPort] = await freePorts(2);
  const flags = {
    '--namespace': world.namespace,
    '--kubeconfig': kubeconfig,
    '--certificate-directory': certificate.directory,
    '--init-network-image': 'ghcr.io/example/gke-metadata-server:1.2.3',
    '--host-ip': '192.0.2.1',
    '--webhook-port': `${port}`,
    '--health-port': `${healthPort}`,
  };
  const program = await startProgram(
    ['webhook', ...Object.entries(flags).flat(), ...flagsOfTest],
    folder,
    healthPort,
    world.command,
  );
  const webhook = {
    ...program,
    port,
    async [Symbol.asyncDispose]() {
      await program[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
  try {
    await webhook.ready();
  } catch (error) {
    await webhook[Symbol.asyncDispose]();
    throw error;
  }
  return webhook;
}
