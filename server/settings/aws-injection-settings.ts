import { type Command, InvalidArgumentError, type OptionValues } from '@commander-js/extra-typings';
import type { InjectionSettings } from '../admission/injection.ts';
import { AUDIENCE, LEAST_EXPIRATION } from '../admission/injections/aws-credentials.ts';
import { LONGEST_EXPIRATION } from '../admission/injections/token-expiration.ts';
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
      flag('--aws-region <region>', 'AWS_REGION', 'AWS region, for containers that do not set one')
        .argParser(parseRegion)
        .default(''),
    )
    .addOption(
      flag(
        '--aws-account-id <id>',
        'AWS_ACCOUNT_ID',
        'AWS account of roles that are annotated by their name alone',
      )
        .argParser(parseAccountId)
        .default(''),
    )
    .addOption(
      flag('--aws-partition <partition>', 'AWS_PARTITION', 'AWS partition of these roles')
        .argParser(parsePartition)
        .default('aws'),
    )
    .addOption(
      flag(
        '--aws-sts-regional-endpoints <boolean>',
        'AWS_STS_REGIONAL_ENDPOINTS',
        'set AWS_STS_REGIONAL_ENDPOINTS=regional, unless the ServiceAccount says otherwise',
      )
        .argParser(parseBoolean)
        .default(false),
    )
    .addOption(
      flag('--aws-audience <audience>', 'AWS_AUDIENCE', 'audience of the tokens of IRSA')
        .argParser(parseAudience)
        .default('sts.amazonaws.com'),
    )
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
    .addOption(
      flag(
        '--aws-pod-identity-audience <audience>',
        'AWS_POD_IDENTITY_AUDIENCE',
        'audience of the tokens of EKS Pod Identity',
      )
        .argParser(parseAudience)
        .default('pods.eks.amazonaws.com'),
    )
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

/** What is switched on. */
export function awsInjectionSettings(
  command: Parsed<AwsValues>,
): Pick<InjectionSettings, 'aws' | 'awsPodIdentity'> {
  const options = command.opts();
  const shared = {
    region: options.awsRegion || undefined,
    stsRegionalEndpoints: options.awsStsRegionalEndpoints,
    tokenExpirationSeconds: options.awsTokenExpiration,
  };
  const aws = {
    ...shared,
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

function parseRegion(value: string): string {
  if (value !== '' && !/^[a-z]{2,4}(?:-[a-z]+)+-[0-9]{1,2}$/.test(value)) {
    throw new InvalidArgumentError('Expected a region such as eu-central-1.');
  }
  return value;
}

function parseAccountId(value: string): string {
  if (value !== '' && !/^[0-9]{12}$/.test(value)) {
    throw new InvalidArgumentError('Expected an AWS account ID: 12 digits.');
  }
  return value;
}

function parsePartition(value: string): string {
  if (!/^aws(?:-[a-z0-9-]{1,32})?$/.test(value)) {
    throw new InvalidArgumentError('Expected a partition such as aws, aws-cn or aws-us-gov.');
  }
  return value;
}

function parseAudience(value: string): string {
  const audience = AUDIENCE.parse(value);
  if (audience === undefined) throw new InvalidArgumentError(`Expected ${AUDIENCE.expected}.`);
  return audience;
}
