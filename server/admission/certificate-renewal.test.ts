import { expect, test } from 'bun:test';
import type { Certificate } from '../http/certificate.ts';
import type { Log } from '../telemetry/log.ts';
import { keepCertificateRenewed } from './certificate-renewal.ts';

const certificate = (certificate: string, key = 'key'): Certificate => ({ certificate, key, notAfter: 0 });
const failure = new Error('tls.crt: ENOENT');

/** What happens when the folder holds, at each look, what `found` says. */
async function renewals(...found: (Certificate | Error)[]) {
  const changes: Certificate[] = [];
  const errors: object[] = [];
  const ending = new AbortController();
  const log: Log = { debug() {}, info() {}, warn() {}, error: (fields) => errors.push(fields) };
  await keepCertificateRenewed(
    certificate('first'),
    {
      read: async () => {
        const next = found.shift() ?? failure;
        if (next instanceof Error) throw next;
        return next;
      },
      change: (renewed) => {
        changes.push(renewed);
      },
      effects: {
        sleep: async (_, signal) => {
          if (found.length === 0) ending.abort();
          signal?.throwIfAborted();
        },
      },
      log,
    },
    ending.signal,
  );
  return { changes, errors };
}

test('a renewed certificate is served once, another key too', async () => {
  const renewed = certificate('second');
  const rekeyed = certificate('second', 'other');
  const { changes, errors } = await renewals(certificate('first'), renewed, renewed, rekeyed);
  expect(changes).toEqual([renewed, rekeyed]);
  expect(errors).toEqual([]);
});

test('one that cannot be read is logged once, and checked again', async () => {
  const renewed = certificate('second');
  const { changes, errors } = await renewals(failure, failure, renewed, failure);
  expect(changes).toEqual([renewed]);
  expect(errors).toEqual([{ reason: 'tls.crt: ENOENT' }, { reason: 'tls.crt: ENOENT' }]);
});
