import type { Cache } from '../tools/cache.ts';
import { goProgram } from '../tools/go-program.ts';
import { Cosign } from './cosign.ts';
import { Registry } from './registry.ts';
import type { VerificationTools } from './verification.ts';

/** What releases are made and verified with, compiled where the cache lacks it: some five minutes. */
export async function releaseTools(
  cache: Cache,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<VerificationTools> {
  const [crane, cosign] = await Promise.all([goProgram('crane', cache), goProgram('cosign', cache)]);
  return { registry: new Registry(crane), cosign: new Cosign(cosign, environment) };
}
