import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { freePorts } from '../../scripts/free-ports.ts';
import { Cache } from '../../scripts/tools/cache.ts';
import { type fluxControllers, fluxPrograms } from '../../scripts/tools/flux.ts';

type Controller = (typeof fluxControllers)[number];

/** Flux's own controllers as processes beside an API server, not in Pods of its cluster. */
export class FluxControllers implements AsyncDisposable {
  private constructor(
    private readonly children: readonly Bun.Subprocess[],
    private readonly logs: readonly string[],
  ) {}

  /** `folder` is an empty one. */
  static async start(kubeconfig: string, folder: string): Promise<FluxControllers> {
    const programs = await fluxPrograms(new Cache());
    const [storagePort, ...healthPorts] = await freePorts(4);
    const storage = `127.0.0.1:${storagePort}`;
    const own: Readonly<Record<Controller, readonly string[]>> = {
      'source-controller': [
        `--storage-path=${join(folder, 'storage')}`,
        `--storage-addr=${storage}`,
        `--storage-adv-addr=${storage}`,
      ],
      'kustomize-controller': [],
      'helm-controller': [],
    };
    await mkdir(join(folder, 'storage'), { recursive: true });
    const children = Object.entries(own).map(([name, flags], index) => {
      const log = Bun.file(logOf(folder, name));
      const common = [
        '--metrics-addr=0',
        `--health-addr=127.0.0.1:${healthPorts[index]}`,
        '--log-level=debug',
      ];
      return Bun.spawn([join(programs, name), ...common, ...flags], {
        // for the caches of Helm and Sigstore
        env: { KUBECONFIG: kubeconfig, RUNTIME_NAMESPACE: 'flux-system', HOME: folder, TMPDIR: folder },
        stdin: 'ignore',
        stdout: log,
        stderr: log,
      });
    });
    return new FluxControllers(
      children,
      Object.keys(own).map((name) => logOf(folder, name)),
    );
  }

  /** The end of what each has said. */
  async log(): Promise<string> {
    const texts = await Promise.all(this.logs.map((log) => Bun.file(log).text()));
    return texts.map((text) => text.trimEnd().split('\n').slice(-20).join('\n')).join('\n\n');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.children) child.kill('SIGKILL');
    await Promise.all(this.children.map(({ exited }) => exited));
  }
}

function logOf(folder: string, name: string): string {
  return join(folder, `${name}.log`);
}
