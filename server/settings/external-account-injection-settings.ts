import { type Command, InvalidArgumentError, type OptionValues } from '@commander-js/extra-typings';
import type { InjectionSettings } from '../admission/injection.ts';
import { AUDIENCE } from '../admission/injections/external-account.ts';
import {
  flag,
  googleEndpointsOf,
  iamCredentialsEndpointFlag,
  type Parsed,
  stsEndpointFlag,
  universeDomainFlag,
} from './flags.ts';
import { parseBoolean, parseDurationBetween, parseOptionalProvider } from './parsers.ts';

// https://cloud.google.com/iam/docs/workload-identity-federation-with-other-providers#requirements: at most 24 h
const [SHORTEST, LONGEST] = [3600, 86_400];

/** Adds the flags of Google's external accounts to a command. */
export function withExternalAccountFlags<
  Args extends unknown[],
  Opts extends OptionValues,
  Globals extends OptionValues,
>(command: Command<Args, Opts, Globals>) {
  return command
    .addOption(
      flag(
        '--inject-external-account <boolean>',
        'INJECT_EXTERNAL_ACCOUNT',
        "inject a credential file of Google's external account into Pods whose ServiceAccount is annotated for it",
      )
        .argParser(parseBoolean)
        .default(false),
    )
    .addOption(
      flag(
        '--external-account-provider <name>',
        'EXTERNAL_ACCOUNT_PROVIDER',
        'workload identity provider, if the ServiceAccount does not name one',
      )
        .argParser(parseOptionalProvider)
        .default('' as const),
    )
    .addOption(
      flag(
        '--external-account-audience <audience>',
        'EXTERNAL_ACCOUNT_AUDIENCE',
        'audience of the tokens (default: sts.googleapis.com for a provider of a ServiceAccount, else the name of ' +
          '--external-account-provider)',
      )
        .argParser(parseAudience)
        .default(''),
    )
    .addOption(
      flag(
        '--external-account-token-expiration <duration>',
        'EXTERNAL_ACCOUNT_TOKEN_EXPIRATION',
        'lifetime of the tokens, unless the Pod or its ServiceAccount says otherwise; 1h to 24h',
      )
        .argParser(parseDurationBetween(SHORTEST, LONGEST))
        .default(LONGEST, '24h'),
    )
    .addOption(stsEndpointFlag())
    .addOption(iamCredentialsEndpointFlag())
    .addOption(universeDomainFlag());
}

type ExternalAccountValues = ReturnType<
  ReturnType<typeof withExternalAccountFlags<[], Record<never, never>, Record<never, never>>>['opts']
>;

/** What is switched on. */
export function externalAccountInjectionSettings(
  command: Parsed<ExternalAccountValues>,
): Pick<InjectionSettings, 'externalAccount'> {
  const options = command.opts();
  const { googleStsEndpoint, googleIamCredentialsEndpoint } = googleEndpointsOf(options);
  const externalAccount = {
    provider: options.externalAccountProvider || undefined,
    audience: options.externalAccountAudience,
    tokenExpirationSeconds: options.externalAccountTokenExpiration,
    stsEndpoint: googleStsEndpoint,
    iamCredentialsEndpoint: googleIamCredentialsEndpoint,
    universeDomain: options.universeDomain,
  };
  return { externalAccount: options.injectExternalAccount ? externalAccount : undefined };
}

function parseAudience(value: string): string {
  if (value !== '' && AUDIENCE.parse(value) === undefined) {
    throw new InvalidArgumentError(`Expected ${AUDIENCE.expected}.`);
  }
  return value;
}
