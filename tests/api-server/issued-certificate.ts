import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Objects, untilHealthy } from '../cluster/objects.ts';
import { MountedSecret } from '../mounted-secret.ts';
import { waitUntil } from '../wait-until.ts';
import { issueAnew } from './certificate-requests.ts';
import type { ClusterWorld } from './cluster-world.ts';

/** Of a Secret of type kubernetes.io/tls that cert-manager keeps. */
interface TlsSecret {
  readonly data: Readonly<Record<'tls.crt' | 'tls.key' | 'ca.crt', string>>;
}

/** The webhook's certificate as cert-manager issues it, its Secret mounted as the kubelet mounts one. */
export class IssuedCertificate implements AsyncDisposable {
  readonly #mounted: MountedSecret;

  private constructor(
    private readonly world: ClusterWorld,
    private readonly folder: string,
  ) {
    this.#mounted = new MountedSecret(join(folder, 'mount'));
  }

  /** Applies the module's certificates; resolves when the webhook's is there. */
  static async issue(world: ClusterWorld): Promise<IssuedCertificate> {
    const certificates = world.module.set('certificates');
    await world.apply(...certificates);
    await untilHealthy(new Objects(world.api), certificates);
    const folder = await mkdtemp(join(tmpdir(), 'gkems-certificate-'));
    const certificate = new IssuedCertificate(world, folder);
    await certificate.#mount(await certificate.#secret());
    return certificate;
  }

  /** The mounted Secret. */
  get directory(): string {
    return this.#mounted.directory;
  }

  /** The name that it is good for, by which the API server calls the webhook. */
  get serverName(): string {
    return `${this.world.module.webhookAccount}.${this.world.namespace}.svc`;
  }

  /** The authority's certificate, PEM. */
  async authority(): Promise<string> {
    return atob((await this.#secret()).data['ca.crt']);
  }

  /** Another certificate with another key, as by `cmctl renew`; resolves when it is mounted. */
  async renew(): Promise<void> {
    const before = await this.#secret();
    const { name } = this.world.module.object('Certificate', 'webhook').metadata;
    await issueAnew(this.world.api, this.world.namespace, name);
    const renewed = await waitUntil('another certificate is issued', async () => {
      const secret = await this.#secret();
      return secret.data['tls.crt'] !== before.data['tls.crt'] && secret;
    });
    if (renewed.data['tls.key'] === before.data['tls.key']) throw new Error('the key is the same');
    await this.#mount(renewed);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }

  #secret(): Promise<TlsSecret> {
    return this.world.api.json('GET', `${this.world.path}/secrets/${this.world.module.webhookAccount}`);
  }

  #mount({ data }: TlsSecret): Promise<void> {
    return this.#mounted.change(async (folder) => {
      for (const file of ['tls.crt', 'tls.key'] as const) {
        await Bun.write(join(folder, file), atob(data[file]), { mode: 0o600 });
      }
    });
  }
}
