import type { Command, OptionValues } from '@commander-js/extra-typings';
import type { InjectionSettings } from '../admission/injection.ts';
import { LEAST_EXPIRATION } from '../admission/injections/aws-credentials.ts';
import { CREDENTIALS_SOURCES } from '../admission/injections/credentials-source.ts';
import { LONGEST_EXPIRATION } from '../admission/injections/token-expiration.ts';
import {
  awsAccountIDFlag,
  awsAudienceFlag,
  awsPartitionFlag,
  awsPodIdentityAudienceFlag,
  awsRegionFlag,
} from './aws-flags.ts';
import { flag, type Parsed } from './flags.ts';
import { parseBoolean, parseDurationBetween, parseOptionalConfigMap } from './parsers.ts';

/** Adds the flags of AWS to a command. */
export function withAwsFlags<Args extends unknown[], Opts extends OptionValues, Globals extends OptionValues>(
  command: Command<Args, Opts, Globals>,
) {
  return command
    .addOption(
      flag(
        '--inject-aws <boolean>',
        'INJECT_AWS',
        'inject IRSA: an AWS role for Pods whose ServiceAccount is annotated with one',
      )
        .argParser(parseBoolean)
        .default(false),
    )
    .addOption(
      flag(
        '--inject-aws-pod-identity <boolean>',
        'INJECT_AWS_POD_IDENTITY',
        'inject EKS Pod Identity, for ServiceAccounts that are annotated or listed',
      )
        .argParser(parseBoolean)
        .default(false),
    )
    .addOption(
      flag(
        '--aws-credentials <source>',
        'AWS_CREDENTIALS',
        'where Pods get their credentials for AWS, unless the Pod or its Namespace sets it',
      )
        .choices(CREDENTIALS_SOURCES)
        .default('TokenFile' as const),
    )
    .addOption(awsRegionFlag())
    .addOption(awsAccountIDFlag())
    .addOption(awsPartitionFlag())
    .addOption(
      flag(
        '--aws-sts-regional-endpoints <boolean>',
        'AWS_STS_REGIONAL_ENDPOINTS',
        'set AWS_STS_REGIONAL_ENDPOINTS=regional, unless the ServiceAccount says otherwise',
      )
        .argParser(parseBoolean)
        .default(false),
    )
    .addOption(awsAudienceFlag())
    .addOption(
      flag(
        '--aws-token-expiration <duration>',
        'AWS_TOKEN_EXPIRATION',
        'lifetime of the tokens, unless the Pod or its ServiceAccount says otherwise; at least 10m',
      )
        .argParser(parseDurationBetween(LEAST_EXPIRATION, LONGEST_EXPIRATION))
        .default(86_400, '24h'),
    )
    .addOption(
      flag(
        '--aws-config-map <name>',
        'AWS_CONFIG_MAP',
        'ConfigMap (NAMESPACE/NAME) with the roles of ServiceAccounts without annotation, as kOps writes it',
      )
        .argParser(parseOptionalConfigMap)
        .default(''),
    )
    .addOption(awsPodIdentityAudienceFlag())
    .addOption(
      flag(
        '--aws-pod-identity-config-map <name>',
        'AWS_POD_IDENTITY_CONFIG_MAP',
        'ConfigMap (NAMESPACE/NAME) that lists the ServiceAccounts with EKS Pod Identity',
      )
        .argParser(parseOptionalConfigMap)
        .default(''),
    );
}

type AwsValues = ReturnType<
  ReturnType<typeof withAwsFlags<[], Record<never, never>, Record<never, never>>>['opts']
>;

/** What is switched on. A contradiction ends the command, as bad use. */
export function awsInjectionSettings(
  command: Parsed<AwsValues>,
): Pick<InjectionSettings, 'aws' | 'awsPodIdentity'> {
  const options = command.opts();
  const shared = {
    region: options.awsRegion || undefined,
    stsRegionalEndpoints: options.awsStsRegionalEndpoints,
    tokenExpirationSeconds: options.awsTokenExpiration,
  };
  // the server reads annotations alone
  if (options.awsCredentials === 'MetadataServer' && options.awsConfigMap !== '') {
    command.error('error: --aws-config-map needs --aws-credentials=TokenFile');
  }
  const aws = {
    ...shared,
    credentials: options.awsCredentials,
    audience: options.awsAudience,
    accountId: options.awsAccountId || undefined,
    partition: options.awsPartition,
    configMap: options.awsConfigMap || undefined,
  };
  const awsPodIdentity = {
    ...shared,
    audience: options.awsPodIdentityAudience,
    configMap: options.awsPodIdentityConfigMap || undefined,
  };
  return {
    aws: options.injectAws ? aws : undefined,
    awsPodIdentity: options.injectAwsPodIdentity ? awsPodIdentity : undefined,
  };
}
