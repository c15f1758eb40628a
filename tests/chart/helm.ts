import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeChart } from '../../scripts/module/chart.ts';
import type { ReleasedImage } from '../../scripts/module/released-image.ts';
import type { Instance, KubernetesObject, ModuleValues } from '../../scripts/module/render.ts';
import { run } from '../../scripts/run.ts';

/** Helm does not accept the values: the message is what it says of them. */
export class RefusedByHelm extends Error {
  override readonly name = 'RefusedByHelm';
}

/** A chart, as users of Helm have it. */
export class Helm {
  private constructor(
    private readonly program: string,
    readonly folder: string,
    private readonly image?: ReleasedImage,
  ) {}

  /** `image` is that of a release. */
  static async prepare(program: string, image?: ReleasedImage): Promise<Helm> {
    return new Helm(program, await mkdtemp(join(tmpdir(), 'gkems-chart-')), image);
  }

  /** What would be installed. Throws {@link RefusedByHelm}. */
  async template(values: ModuleValues, instance: Instance): Promise<readonly KubernetesObject[]> {
    const { name, namespace, kubeVersion = '1.30.0' } = instance;
    const output = await this.run(values, instance, (chart, file) => [
      ...['template', name, chart, '--namespace', namespace, '--kube-version', kubeVersion, '--values', file],
    ]);
    return objectsIn(output);
  }

  /** What helm lint says. Throws {@link RefusedByHelm} with it if that is anything bad. */
  async lint(values: ModuleValues, instance: Instance): Promise<string> {
    return this.run(values, instance, (chart, file) => ['lint', '--strict', chart, '--values', file]);
  }

  private async run(
    values: ModuleValues,
    { moduleVersion = '0.0.0-devel' }: Instance,
    command: (chart: string, values: string) => readonly string[],
  ): Promise<string> {
    const folder = await mkdtemp(join(this.folder, 'run-'));
    const [chart, file] = [join(folder, 'gke-metadata-server'), join(folder, 'values.json')];
    await writeChart(chart, moduleVersion, this.image);
    await Bun.write(file, JSON.stringify(values));
    const { exitCode, stdout, stderr } = await run([this.program, ...command(chart, file)], {
      env: { ...process.env, HOME: folder, HELM_NO_PLUGINS: '1' },
    });
    if (exitCode !== 0) throw new RefusedByHelm(stderr.trim() || stdout.trim());
    return stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true });
  }
}

/** The objects of several documents of YAML. */
export function objectsIn(yaml: string): readonly KubernetesObject[] {
  // what is rendered is objects, and compared with such
  const documents = yaml.split(/^---$/m).map((text) => Bun.YAML.parse(text) as KubernetesObject | null);
  return documents.filter((object) => object !== null);
}

/** By what an object is known: in which order they are is not compared. */
export function byIdentity(objects: readonly KubernetesObject[]): Readonly<Record<string, KubernetesObject>> {
  return Object.fromEntries(
    objects.map((object): [string, KubernetesObject] => {
      const { apiVersion, kind, metadata } = object;
      return [[apiVersion, kind, metadata.namespace ?? '', metadata.name].join(' '), object];
    }),
  );
}
