import type { KubernetesObject, ObjectSet } from '../scripts/module/render.ts';
import { type Instance, type ModuleValues, renderModule } from '../scripts/module/render.ts';

/** What an instance of the module consists of, and who is who in it. */
export class ModuleInstance {
  private constructor(
    readonly name: string,
    readonly namespace: string,
    readonly sets: readonly ObjectSet[],
  ) {}

  static async render(values: ModuleValues, instance: Instance): Promise<ModuleInstance> {
    const { name, namespace } = instance;
    return new ModuleInstance(name, namespace, await renderModule(values, instance));
  }

  /** The ServiceAccount of `serve`. */
  get serverAccount(): string {
    return this.name;
  }

  /** The ServiceAccount of `webhook`. */
  get webhookAccount(): string {
    return `${this.name}-webhook`;
  }

  /** Its only object of the kind, or the one of the purpose that its name has after the instance's. */
  object(kind: string, purpose?: string): KubernetesObject {
    const names = purpose === undefined ? undefined : [this.nameOf(purpose), this.uniqueNameOf(purpose)];
    const found = this.sets
      .flatMap(({ objects }) => objects)
      .filter((object) => object.kind === kind && (names?.includes(object.metadata.name) ?? true));
    const [only, ...others] = found;
    if (only === undefined || others.length > 0) {
      throw new Error(`the module has ${found.length} objects ${kind} ${names?.[0] ?? ''}`);
    }
    return only;
  }

  /** Of this purpose, one of each kind. */
  objects(purpose: string, ...kinds: readonly string[]): KubernetesObject[] {
    return kinds.map((kind) => this.object(kind, purpose));
  }

  /** The objects of a set; none if there is no such set. */
  set(name: string): readonly KubernetesObject[] {
    return this.sets.find((set) => set.name === name)?.objects ?? [];
  }

  /** Of an object in the instance's Namespace. */
  nameOf(purpose: string): string {
    return purpose === '' ? this.name : `${this.name}-${purpose}`;
  }

  /** Of an object outside it, whose name is prefixed with the Namespace. */
  uniqueNameOf(purpose: string): string {
    const { name, namespace } = this;
    return name === namespace ? this.nameOf(purpose) : `${namespace}.${this.nameOf(purpose)}`;
  }
}
