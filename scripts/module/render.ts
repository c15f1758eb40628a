import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../run.ts';
import { Cache } from '../tools/cache.ts';
import { goProgram } from '../tools/go-program.ts';
import { installSchemas, moduleFolder } from './schemas.ts';

/** A Kubernetes object as JSON has it. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly [field: string]: unknown;
  };
  readonly [field: string]: unknown;
}

/** Objects that are applied together, and healthy before the next set is. */
export interface ObjectSet {
  readonly name: string;
  readonly objects: readonly KubernetesObject[];
}

/** What Timoni tells a module about an instance of it. */
export interface Instance {
  readonly name: string;
  readonly namespace: string;
  /** Of the module; by default 0.0.0-devel, as Timoni has it for a module in a folder. */
  readonly moduleVersion?: string;
  /** By default the oldest that is supported. */
  readonly kubeVersion?: string;
}

/** What a user sets, as JSON. */
export type ModuleValues = Readonly<Record<string, unknown>>;

/** The module does not accept the values: the message is what cue says of them. */
export class ValuesRefused extends Error {
  override readonly name = 'ValuesRefused';
}

/** Evaluates the module. It has the tools and schemas that takes, and so is made once. */
export class ModuleRenderer {
  private constructor(
    /** The path of the program. */
    readonly cue: string,
  ) {}

  /** Makes what is missing in the cache, cue and the schemas: a minute or two when cold. */
  static async prepare(cache: Cache): Promise<ModuleRenderer> {
    const [cue] = await Promise.all([goProgram('cue', cache), installSchemas(cache)]);
    return new ModuleRenderer(cue);
  }

  /** The instance's objects, as `timoni build` gives them. Throws {@link ValuesRefused}. */
  async render(values: ModuleValues, instance: Instance): Promise<readonly ObjectSet[]> {
    // with the configuration in it: without a required value there are no sets
    const rendered = this.export('timoni.instance', values, instance).catch(async (error) => {
      // of values alone cue speaks more clearly than of what would have come of them
      await this.export('timoni.instance.config', values, instance);
      throw error;
    });
    // the shape of #Instance in templates/instance.cue, which timoni.apply has by name
    return ((await rendered) as { sets: readonly ObjectSet[] }).sets;
  }

  /** Any expression of the module, with an instance's values in it, as JSON. Throws {@link ValuesRefused}. */
  async export(expression: string, values: ModuleValues, instance: Instance): Promise<unknown> {
    const folder = await mkdtemp(join(tmpdir(), 'gkems-values-'));
    try {
      const file = join(folder, 'values.json');
      await Bun.write(file, JSON.stringify({ values }));
      const { name, namespace, moduleVersion = '0.0.0-devel', kubeVersion = '1.30.0' } = instance;
      const tags = [`name=${name}`, `namespace=${namespace}`, `mv=${moduleVersion}`, `kv=${kubeVersion}`];
      const { exitCode, stdout, stderr } = await run(
        [
          this.cue,
          'export',
          ...tags.flatMap((tag) => ['-t', tag]),
          '.',
          file,
          '-e',
          expression,
          '--out=json',
        ],
        { cwd: moduleFolder },
      );
      if (exitCode !== 0) throw new ValuesRefused(stderr.trim());
      return JSON.parse(stdout);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
}

/** {@link ModuleRenderer.render} by a renderer of its own, for who renders once. */
export async function renderModule(
  values: ModuleValues,
  instance: Instance,
  cache = new Cache(),
): Promise<readonly ObjectSet[]> {
  return (await ModuleRenderer.prepare(cache)).render(values, instance);
}
