import { InvalidArgumentError } from '@commander-js/extra-typings';
import { AUDIENCE } from '../admission/injections/aws-credentials.ts';
import { flag } from './flags.ts';

export const AWS_AUDIENCE = 'sts.amazonaws.com';

export function awsRegionFlag() {
  return flag('--aws-region <region>', 'AWS_REGION', 'AWS region, for containers that do not set one')
    .argParser(parseRegion)
    .default('');
}

export function awsAccountIDFlag() {
  return flag(
    '--aws-account-id <id>',
    'AWS_ACCOUNT_ID',
    'AWS account of roles that are annotated by their name alone',
  )
    .argParser(parseAccountId)
    .default('');
}

export function awsPartitionFlag() {
  return flag('--aws-partition <partition>', 'AWS_PARTITION', 'AWS partition of these roles')
    .argParser(parsePartition)
    .default('aws');
}

export function awsAudienceFlag() {
  return flag('--aws-audience <audience>', 'AWS_AUDIENCE', 'audience of the tokens for AWS STS')
    .argParser(parseAudience)
    .default(AWS_AUDIENCE);
}

export function awsPodIdentityAudienceFlag() {
  return flag(
    '--aws-pod-identity-audience <audience>',
    'AWS_POD_IDENTITY_AUDIENCE',
    'audience of the tokens of EKS Pod Identity',
  )
    .argParser(parseAudience)
    .default('pods.eks.amazonaws.com');
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
