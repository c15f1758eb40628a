import { Command, InvalidArgumentError } from '@commander-js/extra-typings';
import type { Cache } from '../tools/cache.ts';
import { goProgram } from '../tools/go-program.ts';
import { Cosign, type Signer } from './cosign.ts';
import { Registry } from './registry.ts';
import { isReleaseVersion, releaseIdentity } from './release-names.ts';
import type { VerificationTools } from './verification.ts';

/** The options of `scripts/release` and `scripts/verify-release` about the signer. */
export interface SignerOptions {
  readonly key?: string;
  readonly source: string;
  readonly certificateIdentity?: string;
  readonly certificateOidcIssuer?: string;
}

export const KEY_OPTION = '--key <key>';

/** A command about one version, with the options of {@link SignerOptions} but for its key. */
export function releaseCommand(name: string) {
  return new Command(name)
    .argument('<version>', 'such as 1.2.3, without v', parseVersion)
    .requiredOption('--source <url>', 'URL of the source repository', parseSource)
    .option(
      '--certificate-identity <identity>',
      "without --key: identity of the signer (default: the source's release.yml at the tag of the version)",
    )
    .option('--certificate-oidc-issuer <url>', 'without --key: issuer of that identity (default: GitHub)');
}

/** Who must have signed without a key. */
export function certificateSigner(version: string, options: SignerOptions): Signer {
  const usual = releaseIdentity(version, options.source);
  return {
    identity: options.certificateIdentity ?? usual.identity,
    issuer: options.certificateOidcIssuer ?? usual.issuer,
  };
}

/** `HOST/PATH`, with neither scheme nor tag. */
export function parseRegistry(value: string): string {
  if (/^[a-z0-9.-]+(:\d+)?(\/[a-z0-9]+([._-]+[a-z0-9]+)*)*$/.test(value)) return value;
  throw new InvalidArgumentError(
    'It must be HOST or HOST/PATH in lower case, without https:// and without a tag.',
  );
}

export function parseVersion(value: string): string {
  if (isReleaseVersion(value)) return value;
  throw new InvalidArgumentError('It must be a semantic version such as 1.2.3 or 1.2.3-rc.1.');
}

export function parseSource(value: string): string {
  if (/^https:\/\/[^/?#@\s]+(\/[^/?#\s]+)+$/.test(value)) return value;
  throw new InvalidArgumentError('It must be a URL such as https://github.com/OWNER/NAME.');
}

/** The tools that make and verify releases, compiled if the cache lacks them: some five minutes. */
export async function releaseTools(
  cache: Cache,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<VerificationTools> {
  const [crane, cosign] = await Promise.all([goProgram('crane', cache), goProgram('cosign', cache)]);
  return { registry: new Registry(crane), cosign: new Cosign(cosign, environment) };
}
