import type { Sleep } from '../../server/core/effects.ts';
import { shellLine } from './command-line.ts';
import { Failure } from './failure.ts';
import type { Gcloud } from './gcloud.ts';
import { plan, type Step, type Wanted } from './plan.ts';
import { type GoogleState, type ProviderState, readGoogleState } from './provider-state.ts';

const LOOKS = 30;
const PAUSE = 2_000;

/** What Google has. Throws if somebody has disabled it: whether that is still meant is not for a script to say. */
export async function readEnabledState(gcloud: Gcloud, wanted: Wanted): Promise<GoogleState> {
  const { names } = wanted;
  const state = await readGoogleState(gcloud, names);
  const place = `--project=${names.project} --location=global`;
  const commands = 'gcloud iam workload-identity-pools';
  if (state.pool?.disabled) {
    throw new Failure(
      `The pool ${names.pool} is disabled.`,
      `If that is not intended: ${commands} update ${names.pool} ${place} --no-disabled`,
    );
  }
  if (state.provider?.disabled) {
    throw new Failure(
      `The provider ${names.provider} is disabled.`,
      `If that is not intended: ${commands} providers update-oidc ${names.provider} ${place} ` +
        `--workload-identity-pool=${names.pool} --no-disabled`,
    );
  }
  return state;
}

/**
 * Makes Google's state the wanted one, telling each change. gcloud does not wait for what it asks of this API, so each
 * step is looked for before the next, a minute at most. Resolves with the provider and how many steps it took.
 */
export async function converge(
  gcloud: Gcloud,
  wanted: Wanted,
  { sleep, tell }: { readonly sleep: Sleep; readonly tell: (line: string) => void },
): Promise<{ readonly provider: ProviderState; readonly steps: number }> {
  const taken = new Set<string>();
  let waited = 0;
  for (;;) {
    const { pool, provider } = await readEnabledState(gcloud, wanted);
    const [step] = plan(wanted, { pool, provider });
    if (step === undefined && provider !== undefined) return { provider, steps: taken.size };
    if (step === undefined || waited === LOOKS) throw notShown(step);
    if (taken.has(shellLine(step.args))) {
      waited += 1;
      await sleep(PAUSE);
      continue;
    }
    for (const why of step.why) tell(why);
    tell(`  gcloud ${shellLine(step.args)}`);
    await gcloud.change(step.args);
    taken.add(shellLine(step.args));
    waited = 0;
  }
}

function notShown(step: Step | undefined): Failure {
  return new Failure(
    `Google has taken the last command and does not show its effect: ${step?.why.join('; ')}`,
    'Run this again in a minute.',
  );
}
