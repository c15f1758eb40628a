import { type Finished, run } from '../scripts/run.ts';
import { Cache } from '../scripts/tools/cache.ts';
import { kubectlProgram } from '../scripts/tools/kubectl.ts';

/** The real kubectl, as a person has it, as the user of a kubeconfig. */
export class Kubectl {
  private constructor(
    /** Its path. */
    readonly program: string,
    private readonly kubeconfig: string,
  ) {}

  static async create(kubeconfig: string): Promise<Kubectl> {
    return new Kubectl(await kubectlProgram(new Cache()), kubeconfig);
  }

  /** Runs it until it ends. `manifests`, if given, are its standard input. */
  run(args: readonly string[], manifests?: readonly object[]): Promise<Finished> {
    const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: manifests });
    const stdin = manifests && new Response(list).body;
    return run([this.program, '--kubeconfig', this.kubeconfig, ...args], { ...(stdin && { stdin }) });
  }
}
