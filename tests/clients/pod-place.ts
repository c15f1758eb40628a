import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Finished, run } from '../../scripts/run.ts';

/** A place where a program runs as if in a Pod, or in a host-network Pod. */
export interface PodPlace extends AsyncDisposable {
  /** The address that the metadata server sees. */
  readonly address: string;
  /** The address of its Node, as it sees it. */
  readonly nodeAddress: string;
  /** The metadata server's address from here, for clients that are configured: `http://HOST[:PORT]`. */
  readonly origin: string;
  /** From now on the metadata server of this place is the one on this port of the host. */
  connect(serverPort: number): Promise<void>;
  /** Runs a program until it ends, in a clean environment with these variables beside the Pod's. */
  run(command: readonly string[], variables?: Readonly<Record<string, string>>): Promise<Finished>;
}

// a client tries again for up to a minute, and a slow machine needs a while to start an interpreter
const CLIENT_TIMEOUT = 150_000;

/** A home folder for programs that must not see this machine's credentials, proxies or settings of Google's tools. */
export class CleanHome implements AsyncDisposable {
  private constructor(private readonly folder: string) {}

  static async create(): Promise<CleanHome> {
    return new CleanHome(await mkdtemp(join(tmpdir(), 'gkems-client-')));
  }

  run(command: readonly string[], variables: Readonly<Record<string, string>> = {}): Promise<Finished> {
    const { PATH } = process.env;
    return run(command, {
      cwd: this.folder,
      env: { PATH, HOME: this.folder, ...variables },
      timeout: CLIENT_TIMEOUT,
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return rm(this.folder, { recursive: true, force: true });
  }
}

/** The variables with the server's address for Google's clients: no client honours all three. */
export function variablesFor(host: string): Readonly<Record<string, string>> {
  return { GCE_METADATA_HOST: host, GCE_METADATA_IP: host, GCE_METADATA_ROOT: host };
}
