import { join } from 'node:path';
import { LOAD_CORE } from './machine.ts';

export type ToStandIns =
  | { readonly do: 'delay-google'; readonly milliseconds: number }
  | { readonly do: 'forget-calls' }
  | { readonly do: 'tell-calls' };

/** The response to everything but the start. */
interface SeenCalls {
  readonly kind: 'calls';
  readonly google: number;
  /** `watch pods`, `get serviceaccounts`, … in order. */
  readonly kubernetes: readonly string[];
}

/** The base URLs of the clouds. */
export interface Clouds {
  readonly google: string;
  readonly aws: string;
  readonly entra: string;
}

export type FromStandIns = ({ readonly kind: 'started' } & Clouds) | SeenCalls;

/** The stand-ins, in a process of their own: their CPU and memory are not counted as the server's. */
export class StandInsProcess implements Disposable {
  readonly kubeconfigFile: string;
  readonly #child: Bun.Subprocess<'ignore', 'inherit', 'inherit'>;
  #received = Promise.withResolvers<FromStandIns>();

  private constructor(kubeconfigFile: string) {
    this.kubeconfigFile = kubeconfigFile;
    this.#child = Bun.spawn(
      ['taskset', '-c', LOAD_CORE, process.execPath, join(import.meta.dir, 'stand-ins.ts'), kubeconfigFile],
      {
        stdio: ['ignore', 'inherit', 'inherit'],
        // what the other process sends is of this type: see stand-ins.ts
        ipc: (message) => this.#received.resolve(message as FromStandIns),
        onExit: (_, code) => this.#received.reject(new Error(`The stand-ins ended with ${code}`)),
      },
    );
  }

  static async start(kubeconfigFile: string): Promise<{ standIns: StandInsProcess; clouds: Clouds }> {
    const standIns = new StandInsProcess(kubeconfigFile);
    const message = await standIns.#received.promise;
    if (message.kind !== 'started') throw new Error(`The stand-ins said ${message.kind} before they started`);
    return { standIns, clouds: message };
  }

  /** Does it, and resolves with the calls since the last `forget-calls`. One at a time. */
  async tell(message: ToStandIns): Promise<SeenCalls> {
    this.#received = Promise.withResolvers();
    this.#child.send(message);
    const answer = await this.#received.promise;
    if (answer.kind !== 'calls') throw new Error(`The stand-ins said ${answer.kind}`);
    return answer;
  }

  [Symbol.dispose](): void {
    // nobody waits for it any more
    this.#received.promise.catch(() => undefined);
    this.#child.kill();
  }
}
