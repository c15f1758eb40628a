import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Registry } from '../../scripts/publish/registry.ts';
import type { PublishedArtifact } from '../../scripts/publish/release.ts';
import type { ArtifactName } from '../../scripts/publish/release-names.ts';
import { Cache } from '../../scripts/tools/cache.ts';
import { goProgram } from '../../scripts/tools/go-program.ts';
import { WorkloadIdentityProvider } from '../../server/google/workload-identity-provider.ts';
import { StandInGoogle } from '../../server/sandbox/stand-in-google.ts';
import { Objects } from '../cluster/objects.ts';
import { webhookAsked } from '../node/installation.ts';
import { Pods } from '../node/pods.ts';
import { LocalRegistry } from '../release/local-registry.ts';
import { cosign, type Key, makeKey, scratchFolder } from '../release/small-release.ts';
import { type E2ECluster, e2eCluster } from './e2e-cluster.ts';
import { releaseProject } from './e2e-release.ts';

const PROVIDER = WorkloadIdentityProvider.parse(
  'projects/123456789012/locations/global/workloadIdentityPools/pool/providers/cluster',
);
const PROJECT_ID = 'e2e-project';
const EMAIL = `reader@${PROJECT_ID}.iam.gserviceaccount.com`;
const TOKEN = 'http://169.254.169.254/computeMetadata/v1/instance/service-accounts/default/token';

interface WorldParts {
  readonly cluster: E2ECluster;
  readonly google: StandInGoogle;
  /** `HOST/PATH` of the release, in a registry that speaks plain HTTP. */
  readonly registry: string;
  /** The same as the cluster's Pods reach it. */
  readonly inCluster: string;
  /** Who signed it. */
  readonly key: Key;
  readonly released: ReadonlyMap<ArtifactName, PublishedArtifact>;
  /** For what a test writes; gone with the world. */
  readonly folder: string;
}

/** A cluster, a signed release of the project, and a stand-in Google that knows one account. Nothing is installed. */
export class E2EWorld implements AsyncDisposable {
  readonly objects: Objects;
  readonly #pods: Pods;

  private constructor(
    readonly parts: WorldParts,
    private readonly resources: AsyncDisposable,
  ) {
    this.objects = new Objects(parts.cluster.api);
    this.#pods = new Pods(parts.cluster.api);
  }

  static async start(): Promise<E2EWorld> {
    await using resources = new AsyncDisposableStack();
    const { path: folder } = resources.use(await scratchFolder());
    const [clusterFolder, releaseFolder] = [join(folder, 'cluster'), join(folder, 'release')];
    for (const each of [clusterFolder, releaseFolder]) await mkdir(each);
    const cluster = resources.use(await e2eCluster(clusterFolder));
    const { api, hostAddress: hostname } = cluster;
    const { host } = resources.use(await LocalRegistry.start());
    // by that name for tools, which take loopback alone for plain HTTP; here for the cluster
    const gate = resources.use(pullsOf(host, hostname));
    await cluster.mirrorRegistry(host, `http://${gate.hostname}:${gate.port}`);
    const google = resources.use(await new StandInGoogle({ hostname }).start());
    const { issuer } = await api.json<{ issuer: string }>('GET', '/.well-known/openid-configuration');
    google.addProvider({ provider: PROVIDER, issuer, jwks: await api.json('GET', '/openid/v1/jwks') });
    const key = await makeKey(folder, 'release');
    const tools = { registry: new Registry(await goProgram('crane', new Cache())), cosign: await cosign() };
    const registry = `${host}/platform`;
    const inCluster = `${gate.hostname}:${gate.port}/platform`;
    const released = await releaseProject(registry, key, tools, releaseFolder);
    const parts = { cluster, google, registry, inCluster, key, released, folder };
    const world = new E2EWorld(parts, resources.move());
    await world.#addReader();
    return world;
  }

  artifact(name: ArtifactName): PublishedArtifact {
    const found = this.parts.released.get(name);
    if (found === undefined) throw new Error(`there is no ${name}`);
    return found;
  }

  /** What cannot be guessed, and the stand-in in Google's place. */
  get settings() {
    const { url } = this.parts.google;
    return {
      projectID: PROJECT_ID,
      workloadIdentityProvider: PROVIDER.name,
      googleSTSEndpoint: url,
      googleIAMCredentialsEndpoint: url,
    };
  }

  /** Throws unless a new Pod that asks for it by its label gets the token of its ServiceAccount's Google account. */
  async expectToken(podName: string): Promise<void> {
    await webhookAsked(this.parts.cluster.api);
    const command = ['curl', '--silent', '--fail', '--header', 'Metadata-Flavor:Google', TOKEN];
    const output = await this.#pods.run({ name: podName, serviceAccountName: 'reader', command });
    const member = this.parts.google.describe(JSON.parse(output).access_token)?.principal.member;
    if (member !== `serviceAccount:${EMAIL}`) throw new Error(`the token is one of ${member}`);
  }

  async #addReader(): Promise<void> {
    const pool = `principal://iam.googleapis.com/projects/${PROVIDER.projectNumber}/locations/global/workloadIdentityPools/${PROVIDER.pool}`;
    const member = `${pool}/subject/system:serviceaccount:default:reader`;
    this.parts.google.serviceAccounts.bind(EMAIL, 'roles/iam.workloadIdentityUser', member);
    await this.objects.apply({
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: {
        name: 'reader',
        namespace: 'default',
        annotations: { 'iam.gke.io/gcp-service-account': EMAIL },
      },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.resources[Symbol.asyncDispose]();
  }
}

/** Lets other machines pull from a registry on this machine's loopback. */
function pullsOf(registry: string, hostname: string): Bun.Server<undefined> {
  return Bun.serve({
    ...{ hostname, port: 0, idleTimeout: 60 },
    fetch({ method, url, headers }) {
      if (!['GET', 'HEAD'].includes(method)) return new Response(null, { status: 405 });
      const { pathname, search } = new URL(url);
      return fetch(`http://${registry}${pathname}${search}`, { method, headers });
    },
  });
}
