import type { Effects } from '../core/effects.ts';
import type { Certificate } from '../http/certificate.ts';
import type { Log } from '../telemetry/log.ts';

interface CertificateRenewalOptions {
  readonly read: () => Promise<Certificate>;
  /** Called with each certificate that differs from the one before. */
  readonly change: (certificate: Certificate) => void;
  readonly effects: Pick<Effects, 'sleep'>;
  readonly log: Log;
}

// File system notifications get lost on a mount that changes by a symbolic link. Reading two small files every ten
// seconds costs nothing, and cert-manager renews weeks before expiry.
const INTERVAL_MILLISECONDS = 10_000;

/**
 * Checks for a renewed certificate until `signal` is aborted. If it cannot be read, for example in the middle of a
 * change, it is checked again; until then the previous one stays in use.
 */
export async function keepCertificateRenewed(
  current: Certificate,
  { read, change, effects, log }: CertificateRenewalOptions,
  signal: AbortSignal,
): Promise<void> {
  let certificate = current;
  let reported = '';
  while (await slept(effects, signal)) {
    try {
      const renewed = await read();
      reported = '';
      if (renewed.certificate === certificate.certificate && renewed.key === certificate.key) continue;
      change(renewed);
      certificate = renewed;
      log.info({ notAfter: new Date(certificate.notAfter).toISOString() }, 'certificate renewed');
    } catch (error) {
      // only the message: a parser's error may hold what it parsed
      const reason = error instanceof Error ? error.message : String(error);
      if (reason !== reported)
        log.error({ reason }, 'cannot read certificate: the previous one stays in use');
      reported = reason;
    }
  }
}

async function slept({ sleep }: Pick<Effects, 'sleep'>, signal: AbortSignal): Promise<boolean> {
  try {
    await sleep(INTERVAL_MILLISECONDS, signal);
    return true;
  } catch {
    return false;
  }
}
