import type { Command, OptionValues } from '@commander-js/extra-typings';
import type { AwsSettings } from '../aws/role-credentials.ts';
import {
  awsAccountIDFlag,
  awsAudienceFlag,
  awsPartitionFlag,
  awsPodIdentityAudienceFlag,
  awsRegionFlag,
} from './aws-flags.ts';
import { flag, type Parsed } from './flags.ts';
import { parseBaseUrl, parseBoolean, parseDurationBetween } from './parsers.ts';

/** The domain of each partition's endpoints, as in botocore's partitions.json. */
const DOMAINS: ReadonlyMap<string, string> = new Map([
  ['aws-cn', 'amazonaws.com.cn'],
  ['aws-eusc', 'amazonaws.eu'],
  ['aws-iso', 'c2s.ic.gov'],
  ['aws-iso-b', 'sc2s.sgov.gov'],
  ['aws-iso-e', 'cloud.adc-e.uk'],
  ['aws-iso-f', 'csp.hci.ic.gov'],
]);
const DOMAIN = 'amazonaws.com';
/** Where the global endpoint is, and what its requests are signed for. */
const GLOBAL_REGION = 'us-east-1';

/** Adds the flags of AWS's part of the metadata API to `serve`. */
export function withAwsServeFlags<
  Args extends unknown[],
  Opts extends OptionValues,
  Globals extends OptionValues,
>(command: Command<Args, Opts, Globals>) {
  return command
    .addOption(
      flag(
        '--aws <boolean>',
        'AWS',
        "give Pods credentials of IAM roles, at the paths of EC2's metadata service",
      )
        .argParser(parseBoolean)
        .default(false),
    )
    .addOption(awsRegionFlag())
    .addOption(awsAccountIDFlag())
    .addOption(awsPartitionFlag())
    .addOption(awsAudienceFlag())
    .addOption(awsPodIdentityAudienceFlag())
    .addOption(
      flag(
        '--aws-sts-endpoint <url>',
        'AWS_STS_ENDPOINT',
        'base URL of AWS STS, such as a VPC endpoint (default: that of the region, else the global one)',
      ).argParser(parseBaseUrl),
    )
    .addOption(
      flag('--aws-fips <boolean>', 'AWS_FIPS', 'use the FIPS endpoint of the region')
        .argParser(parseBoolean)
        .default(false),
    )
    .addOption(
      flag('--aws-session-duration <duration>', 'AWS_SESSION_DURATION', 'lifetime of credentials, 15m to 12h')
        .argParser(parseDurationBetween(900, 43_200))
        .default(3600, '1h'),
    )
    .addOption(
      flag(
        '--aws-imds-v1 <boolean>',
        'AWS_IMDS_V1',
        "answer requests without a session token too, as version 1 of EC2's metadata service does",
      )
        .argParser(parseBoolean)
        .default(false),
    );
}

type AwsServeValues = ReturnType<
  ReturnType<typeof withAwsServeFlags<[], Record<never, never>, Record<never, never>>>['opts']
>;

/** Undefined if it is switched off. A contradiction ends the command, as bad use. */
export function awsSettingsOf(command: Parsed<AwsServeValues>): AwsSettings | undefined {
  const options = command.opts();
  if (options.awsFips && options.awsStsEndpoint !== undefined) {
    command.error('error: set only one of --aws-fips and --aws-sts-endpoint');
  }
  if (options.awsFips && options.awsRegion === '') {
    command.error('error: --aws-fips needs --aws-region: the global STS has no FIPS endpoint');
  }
  if (!options.aws) return undefined;
  const region = options.awsRegion || undefined;
  return {
    sts: { url: options.awsStsEndpoint ?? stsUrl(options, region), region: region ?? GLOBAL_REGION },
    region,
    audience: options.awsAudience,
    accountID: options.awsAccountId || undefined,
    partition: options.awsPartition,
    podIdentityAudience: options.awsPodIdentityAudience,
    sessionSeconds: options.awsSessionDuration,
    allowVersion1: options.awsImdsV1,
  };
}

function stsUrl({ awsPartition, awsFips }: AwsServeValues, region: string | undefined): string {
  const domain = DOMAINS.get(awsPartition) ?? DOMAIN;
  // GovCloud's ordinary endpoints are FIPS 140 already, and have no other name
  const service = awsFips && awsPartition !== 'aws-us-gov' ? 'sts-fips' : 'sts';
  return region === undefined ? `https://sts.${domain}` : `https://${service}.${region}.${domain}`;
}
