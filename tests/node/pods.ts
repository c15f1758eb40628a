import type { ApiClient } from '../cluster/api-client.ts';
import { toolsImage } from '../cluster/images.ts';
import { waitUntil } from '../wait-until.ts';

const PODS = '/api/v1/namespaces/default/pods';
// a Pod takes two seconds, but fifty at once or a busy machine take their time
const PATIENCE = 180_000;

/** The label by which a Pod asks for the route to the metadata server. */
export const INJECTED = { 'gke-metadata-server.matheuscscp.io/webhook': 'Mutate' };

interface ContainerStatus {
  readonly name: string;
  readonly restartCount: number;
  readonly state: {
    readonly running?: object;
    readonly terminated?: { readonly exitCode: number; readonly message?: string };
  };
}

/** A Pod as far as the tests look at it. */
export interface Pod {
  readonly metadata: { readonly name: string; readonly uid: string };
  readonly status: {
    readonly phase: string;
    readonly qosClass: string;
    readonly podIPs?: readonly { readonly ip: string }[];
    readonly initContainerStatuses?: readonly ContainerStatus[];
    readonly containerStatuses?: readonly ContainerStatus[];
  };
}

export interface PodOptions {
  readonly name: string;
  readonly serviceAccountName: string;
  /** What its container `main` runs. */
  readonly command: readonly string[];
  readonly image?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Of its container `main`. */
  readonly env?: Readonly<Record<string, string>>;
  readonly volumeMounts?: readonly object[];
  readonly volumes?: readonly object[];
  /** Of its container `main`. */
  readonly securityContext?: Readonly<Record<string, unknown>>;
  /** Fields of the specification beside these. */
  readonly spec?: Readonly<Record<string, unknown>>;
}

/** The template of a Pod that runs once; injected unless it has another label. */
export function podTemplate({ name, serviceAccountName, command, ...options }: PodOptions) {
  const { image = toolsImage, labels = INJECTED, annotations, securityContext, volumeMounts, spec } = options;
  const env = options.env && Object.entries(options.env).map(([name, value]) => ({ name, value }));
  const main = { name: 'main', image, imagePullPolicy: 'Never', command, securityContext, env, volumeMounts };
  return {
    metadata: { name, labels, annotations },
    spec: {
      serviceAccountName,
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 1,
      containers: [main],
      volumes: options.volumes,
      ...spec,
    },
  };
}

/** The Pods of the Namespace `default`. */
export class Pods {
  constructor(private readonly api: ApiClient) {}

  create(options: PodOptions): Promise<Pod> {
    return this.api.json('POST', PODS, { body: podTemplate(options) });
  }

  /** Makes a Pod, waits until it has succeeded, and returns what its container `main` wrote. */
  async run(options: PodOptions): Promise<string> {
    await this.create(options);
    await this.succeeded(options.name);
    return this.log(options.name);
  }

  get(name: string): Promise<Pod> {
    return this.api.json('GET', `${PODS}/${name}`);
  }

  async withLabel(label: string): Promise<readonly Pod[]> {
    return (await this.api.json<{ items: Pod[] }>('GET', `${PODS}?labelSelector=${label}`)).items;
  }

  log(name: string, container = 'main'): Promise<string> {
    return this.api.text('GET', `${PODS}/${name}/log?container=${container}`);
  }

  /** Throws with what is known of the Pod if it fails. */
  async succeeded(name: string): Promise<void> {
    const pod = await this.#until(name, 'ends', ({ status: { phase } }) =>
      ['Succeeded', 'Failed'].includes(phase),
    );
    if (pod.status.phase === 'Failed') throw new Error(await this.#describe(pod));
  }

  /** Resolves with the Pod once its container `main` runs. */
  running(name: string): Promise<Pod> {
    return this.#until(name, 'runs', ({ status: { phase } }) => phase === 'Running');
  }

  /** Resolves when it is gone. */
  async delete(name: string): Promise<void> {
    await this.api.text('DELETE', `${PODS}/${name}`);
    await waitUntil(`Pod ${name} is gone`, async () => {
      return (await this.api.fetch('GET', `${PODS}/${name}`)).status === 404;
    });
  }

  async #until(name: string, what: string, isSo: (pod: Pod) => boolean): Promise<Pod> {
    const look = async () => {
      const pod = await this.get(name);
      return isSo(pod) && pod;
    };
    return waitUntil(`Pod ${name} ${what}`, look, PATIENCE);
  }

  async #describe(pod: Pod): Promise<string> {
    const { name } = pod.metadata;
    const containers = [...(pod.status.initContainerStatuses ?? []), ...(pod.status.containerStatuses ?? [])];
    const logs = containers.map(async (container) => {
      const log = await this.log(name, container.name).catch(String);
      return `${container.name}: ${JSON.stringify(container.state)}\n${log}`;
    });
    return [`Pod ${name} failed`, ...(await Promise.all(logs))].join('\n');
  }
}
