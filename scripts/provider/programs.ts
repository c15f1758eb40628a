import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Finished, run } from '../run.ts';

const SCRIPT = join(import.meta.dir, '../create-or-update-provider.ts');

/** The script with the stand-ins of kubectl and gcloud on its PATH, or without: for tests. */
export class Programs implements AsyncDisposable {
  private constructor(
    readonly folder: string,
    readonly kubeconfig: string,
    private readonly iam: string,
  ) {}

  /** For the cluster of a kubeconfig's content, and the IAM API at a URL. */
  static async start(kubeconfig: string, iam: string): Promise<Programs> {
    const folder = await mkdtemp(join(tmpdir(), 'gkems-provider-'));
    await Bun.write(join(folder, 'kubeconfig'), kubeconfig, { mode: 0o600 });
    await Bun.write(join(folder, 'token'), 'anybody');
    for (const name of ['gcloud', 'kubectl']) {
      const program = join(folder, 'bin', name);
      await Bun.write(
        program,
        `#!/bin/sh\nexec '${process.execPath}' '${import.meta.dir}/${name}-stand-in.ts' "$@"\n`,
      );
      await chmod(program, 0o755);
    }
    return new Programs(folder, join(folder, 'kubeconfig'), iam);
  }

  /** Runs the script on the pool `pool`; `environment` is added to its own. */
  script(
    args: readonly string[] = [],
    environment: Readonly<Record<string, string | undefined>> = {},
  ): Promise<Finished> {
    const place = ['--project=project', '--pool=pool', `--kubeconfig=${this.kubeconfig}`];
    return this.run([process.execPath, SCRIPT, ...place, ...args], environment);
  }

  /** Runs anything as the script runs; `environment` is added to its own. */
  run(
    command: readonly string[],
    environment: Readonly<Record<string, string | undefined>> = {},
  ): Promise<Finished> {
    const env = {
      PATH: `${join(this.folder, 'bin')}:/usr/bin:/bin`,
      HOME: this.folder,
      // the real gcloud would look for more than the test has
      CLOUDSDK_CORE_CHECK_GCE_METADATA: 'false',
      CLOUDSDK_CORE_DISABLE_USAGE_REPORTING: 'true',
      CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK: 'true',
      CLOUDSDK_CONFIG: join(this.folder, 'gcloud'),
      CLOUDSDK_API_ENDPOINT_OVERRIDES_IAM: this.iam,
      CLOUDSDK_AUTH_ACCESS_TOKEN_FILE: join(this.folder, 'token'),
      ...environment,
    };
    return run(command, { cwd: this.folder, env });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}
