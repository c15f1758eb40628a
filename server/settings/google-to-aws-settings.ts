import type { GoogleToAwsSettings } from '../admission/injections/google-to-aws.ts';
import { flag } from './flags.ts';
import { parseBoolean } from './parsers.ts';

export function injectGoogleToAwsFlag() {
  return flag(
    '--inject-google-to-aws <boolean>',
    'INJECT_GOOGLE_TO_AWS',
    'give Pods that ask for it an AWS role by a Google ID token, as token-injector does',
  )
    .argParser(parseBoolean)
    .default(false);
}

/** Undefined if it is switched off. Region and endpoints are those of all AWS credentials. */
export function googleToAwsSettingsOf(options: {
  readonly injectGoogleToAws: boolean;
  readonly awsRegion: string;
  readonly awsStsRegionalEndpoints: boolean;
}): GoogleToAwsSettings | undefined {
  if (!options.injectGoogleToAws) return undefined;
  return { region: options.awsRegion || undefined, stsRegionalEndpoints: options.awsStsRegionalEndpoints };
}
