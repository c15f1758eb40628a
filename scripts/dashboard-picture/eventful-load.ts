import type { Installation } from '../../tests/monitoring/installation.ts';

const [ANNOTATED, DIRECT, DENIED] = ['127.0.0.11', '127.0.0.12', '127.0.0.13'];
const TURN_MILLISECONDS = 200;

/**
 * Uses an installation for so many seconds as no day would have it: requests come and go, a Pod without binding asks
 * in the first third, Google fails in the middle and is slow afterwards, and watches end.
 */
export async function eventfulLoad(installation: Installation, seconds: number): Promise<void> {
  const { google, kubernetes } = installation.world;
  const begin = performance.now();
  for (let turn = 0; ; turn++) {
    const share = (performance.now() - begin) / 1000 / seconds;
    if (share >= 1) break;
    const failing = share > 0.45 && share < 0.6;
    if (failing) google.faults.sts.failWith(503);
    else google.faults.sts.heal();
    google.faults.iam.delayMilliseconds = share > 0.6 ? 120 + 80 * Math.sin(share * 40) : 15;
    google.faults.sts.delayMilliseconds = share > 0.6 ? 60 : 10;
    if (turn % 90 === 89) kubernetes.endWatches();

    const busy = Math.round(2.5 + 2 * Math.sin(share * 9) + 1.2 * Math.sin(share * 31));
    const asked: Promise<unknown>[] = Array.from({ length: Math.max(1, busy) }, () => installation.use());
    if (turn % 5 === 0)
      asked.push(installation.askForNewToken(ANNOTATED), installation.askForNewIdToken(ANNOTATED));
    if (turn % 4 === 0) asked.push(installation.askForNewToken(DIRECT));
    if (share > 0.15 && share < 0.4 && turn % 2 === 0) asked.push(installation.askForNewToken(DENIED));
    if (turn % 9 === 0) asked.push(installation.reviewTokenRequest(undefined));
    // who waits for Google waits beside the others
    await Promise.race([Promise.all(asked), Bun.sleep(2 * TURN_MILLISECONDS)]);
    await Bun.sleep(TURN_MILLISECONDS);
  }
}
