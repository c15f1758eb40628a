import { type RunProgram, runInstalled, shellLine } from './command-line.ts';
import { GcloudRefused } from './failure.ts';

const APIS = 'iam.googleapis.com sts.googleapis.com iamcredentials.googleapis.com';

/** What gcloud says, and what to do about it; the first that matches. */
const REMEDIES: readonly (readonly [RegExp, (project: string) => string])[] = [
  [/gcloud auth login|Reauthentication|invalid_grant/, () => 'Log in: gcloud auth login'],
  [
    /SERVICE_DISABLED|has not been used in project/,
    (project) => `Enable the APIs: gcloud services enable ${APIS} --project=${project}`,
  ],
  [
    /PERMISSION_DENIED/,
    (project) =>
      `See that the project ${project} exists, and have roles/iam.workloadIdentityPoolAdmin granted on it ` +
      '(to compare, roles/iam.workloadIdentityPoolViewer is enough).',
  ],
];

/** The program gcloud, with its own login. */
export class Gcloud {
  constructor(
    private readonly run: RunProgram,
    private readonly project: string,
  ) {}

  /** What a `describe` prints as JSON; undefined if there is no such thing. Throws {@link GcloudRefused}. */
  async describe(args: readonly string[]): Promise<unknown> {
    const { exitCode, stdout, stderr } = await this.#finished([...args, '--format=json']);
    if (exitCode === 0) return JSON.parse(stdout);
    if (/\bNOT_FOUND\b/.test(stderr)) return undefined;
    throw this.#failure(args, stderr);
  }

  /** Runs what changes something; Google may take some seconds to show it. Throws {@link GcloudRefused}. */
  async change(args: readonly string[]): Promise<void> {
    const { exitCode, stderr } = await this.#finished(args);
    if (exitCode !== 0) throw this.#failure(args, stderr);
  }

  #finished(args: readonly string[]) {
    // it would wait for an answer at the terminal if an API is not enabled
    const command = ['gcloud', ...args, '--quiet'];
    return runInstalled(
      this.run,
      command,
      'Install the Google Cloud CLI: https://cloud.google.com/sdk/docs/install',
    );
  }

  #failure(args: readonly string[], stderr: string): GcloudRefused {
    const [, remedy] = REMEDIES.find(([pattern]) => pattern.test(stderr)) ?? [];
    const what = `${shellLine(['gcloud', ...args])}\n${stderr.trim()}`;
    return new GcloudRefused(
      what,
      remedy?.(this.project) ?? 'Nothing else was changed; run this again to go on.',
    );
  }
}
