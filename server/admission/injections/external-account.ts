import {
  type GoogleServiceAccountEmail,
  parseGoogleServiceAccountEmail,
} from '../../google/google-account.ts';
import { PROVIDER_FORM, WorkloadIdentityProvider } from '../../google/workload-identity-provider.ts';
import type { IdentityContext, IdentityInjection } from '../injection.ts';
import { InjectionRefused } from '../injection.ts';
import type { ContainerEditor, PodEditor } from '../pod-editor.ts';
import type { Volume } from '../pod-manifest.ts';
import { annotatedServiceAccount, audienceForm, type Form, readAnnotation } from './annotations.ts';
import { containersNotSkipped } from './listed-containers.ts';
import { raisedExpiration } from './token-expiration.ts';

// names and paths of https://github.com/pfnet-research/gcp-workload-identity-federation-webhook, webhooks/
const PREFIX = 'cloud.google.com';
const PROVIDER_ANNOTATION = `${PREFIX}/workload-identity-provider`;
const EMAIL_ANNOTATION = `${PREFIX}/service-account-email`;
const MODE_ANNOTATION = `${PREFIX}/injection-mode`;
const AUDIENCE_ANNOTATION = `${PREFIX}/audience`;
const EXPIRATION_ANNOTATION = `${PREFIX}/token-expiration`;
const SKIP_ANNOTATION = `${PREFIX}/skip-containers`;
/** Of the Pod: the credential file, which the downward API mounts. */
const CREDENTIALS_ANNOTATION = `${PREFIX}/external-credentials-json`;

const TOKEN = { volume: 'gcp-iam-token', path: '/var/run/secrets/sts.googleapis.com/serviceaccount' };
const TOKEN_FILE = 'token';
const CREDENTIALS = { volume: 'external-credential-config', path: '/var/run/secrets/workload-identity' };
const CREDENTIALS_FILE = 'federation.json';
const MOUNTS = [TOKEN, CREDENTIALS];
/** Where gcloud keeps its state: a home directory may be missing or read-only. */
const GCLOUD = { volume: 'gcloud-config', path: '/var/run/secrets/gcloud/config' };
/** The init container of the other webhook, in a Pod copied from a live one. */
const GCLOUD_SETUP = 'gcloud-setup';

/** Google's clients read the first, gcloud the second. */
const CREDENTIALS_VARIABLES = ['GOOGLE_APPLICATION_CREDENTIALS', 'CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE'];
const CREDENTIALS_PATH = `${CREDENTIALS.path}/${CREDENTIALS_FILE}`;
const GCLOUD_VARIABLE = 'CLOUDSDK_CONFIG';
const PROJECT_VARIABLE = 'CLOUDSDK_CORE_PROJECT';

const DEFAULT_AUDIENCE = 'sts.googleapis.com';
/** Seconds. */
const LEAST_EXPIRATION = 3600;
/**
 * Readable by every user: files belong to root, and many images run as another user. If the Pod sets `fsGroup` or one
 * user for all containers, the kubelet restricts the token to these.
 */
const MODE = 0o444;

type Provider = Pick<WorkloadIdentityProvider, 'name' | 'audience'>;

export interface ExternalAccountSettings {
  /** Of ServiceAccounts that name none. */
  readonly provider: Provider | undefined;
  /** Of the token, if the ServiceAccount does not name one. Empty: by the provider. */
  readonly audience: string;
  /** If neither the Pod nor its ServiceAccount says. */
  readonly tokenExpirationSeconds: number;
  readonly stsEndpoint: string;
  readonly iamCredentialsEndpoint: string;
  readonly universeDomain: string;
}

/** What a ServiceAccount asks for. */
interface ExternalAccount {
  readonly provider: Provider;
  /** To impersonate; undefined for direct resource access. */
  readonly email: GoogleServiceAccountEmail | undefined;
  readonly audience: string;
}

/**
 * A credential file of Google's type `external_account` and the token that it reads, as
 * gcp-workload-identity-federation-webhook does in its mode "direct", which is enough for gcloud too.
 *
 * Differs in: the provider and the Google account are optional; variables that a container sets are kept; files are
 * readable by all users of a container.
 */
export const externalAccountInjection: IdentityInjection = {
  kind: 'external-account',

  concerns(_, { externalAccount }) {
    return externalAccount !== undefined;
  },

  inject(pod, context) {
    const { externalAccount: settings } = context.settings;
    const account = settings === undefined ? undefined : externalAccountOf(context, settings);
    if (settings === undefined || account === undefined) return false;
    const expirationSeconds = raisedExpiration(pod, context.serviceAccount, {
      key: EXPIRATION_ANNOTATION,
      otherwise: settings.tokenExpirationSeconds,
      least: LEAST_EXPIRATION,
    });
    pod.annotations.set(CREDENTIALS_ANNOTATION, credentialFile(account, settings));
    pod.setVolume(tokenVolume(account.audience, expirationSeconds));
    pod.setVolume(CREDENTIALS_VOLUME);
    const containers = containersNotSkipped(pod, SKIP_ANNOTATION, ',').filter(
      ({ name }) => name !== GCLOUD_SETUP,
    );
    if (containers.length === 0) {
      pod.warn("no container of the Pod gets the credentials of Google's external account: all are skipped");
    }
    const injected = containers.filter((container) => addTo(pod, container, account));
    return injected.length > 0;
  },
};

/** Returns whether the container has them now: not if it sets credentials of its own. */
function addTo(pod: PodEditor, container: ContainerEditor, { email }: ExternalAccount): boolean {
  const taken = MOUNTS.find(({ volume, path }) => container.mountsOtherAt(path, volume));
  if (taken !== undefined) {
    pod.warn(
      `container ${container.name} does not get the credentials of Google's external account: ` +
        `it mounts another volume at ${taken.path}`,
    );
    return false;
  }
  for (const { volume, path } of MOUNTS) {
    container.addVolumeMountAt({ name: volume, mountPath: path, readOnly: true });
  }
  const isSet = (name: string) => container.hasVariable(name);
  const isOurs = (name: string) => container.valueOf(name) === CREDENTIALS_PATH;
  // either counts for both
  if (CREDENTIALS_VARIABLES.some((name) => isSet(name) && !isOurs(name))) return false;
  for (const name of CREDENTIALS_VARIABLES) container.addVariable({ name, value: CREDENTIALS_PATH });
  addGcloudDirectory(pod, container);
  const project = email === undefined ? undefined : projectOf(email);
  if (project !== undefined) container.addVariable({ name: PROJECT_VARIABLE, value: project });
  return true;
}

/** A directory that gcloud can write to, unless the container or the Pod uses that name or path for something else. */
function addGcloudDirectory(pod: PodEditor, container: ContainerEditor): void {
  const { volume: name, path } = GCLOUD;
  if (container.hasVariable(GCLOUD_VARIABLE) && container.valueOf(GCLOUD_VARIABLE) !== path) return;
  pod.addVolume({ name, emptyDir: {} }, 'last');
  if (pod.volume(name)?.['emptyDir'] === undefined) return;
  if (container.mountsOtherAt(path, name)) return;
  container.addVolumeMountAt({ name, mountPath: path });
  container.addVariable({ name: GCLOUD_VARIABLE, value: path });
}

/** Undefined if the ServiceAccount does not opt in: by a provider, a Google account, or a mode. */
function externalAccountOf(
  { serviceAccount }: IdentityContext,
  settings: ExternalAccountSettings,
): ExternalAccount | undefined {
  const account = annotatedServiceAccount(serviceAccount);
  const named = readAnnotation(account, PROVIDER_ANNOTATION, PROVIDER);
  const email = readAnnotation(account, EMAIL_ANNOTATION, EMAIL);
  // both modes are one here
  const mode = readAnnotation(account, MODE_ANNOTATION, INJECTION_MODE);
  if (named === undefined && email === undefined && mode === undefined) return undefined;
  const provider = named ?? settings.provider;
  if (provider === undefined) {
    throw new InjectionRefused(
      `the annotation ${PROVIDER_ANNOTATION} of ${account.title} is missing, and the webhook has no default ` +
        `(--external-account-provider): set it to ${PROVIDER.expected}`,
    );
  }
  const audience = readAnnotation(account, AUDIENCE_ANNOTATION, AUDIENCE) ?? settings.audience;
  return {
    provider,
    email,
    audience: audience || (named === undefined ? provider.audience : DEFAULT_AUDIENCE),
  };
}

/** As `gcloud iam workload-identity-pools create-cred-config` writes it: https://google.aip.dev/auth/4117 */
function credentialFile({ provider, email }: ExternalAccount, settings: ExternalAccountSettings): string {
  const { stsEndpoint, iamCredentialsEndpoint, universeDomain } = settings;
  const accounts = `${iamCredentialsEndpoint}/v1/projects/-/serviceAccounts`;
  return JSON.stringify({
    universe_domain: universeDomain,
    type: 'external_account',
    audience: provider.audience,
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    token_url: `${stsEndpoint}/v1/token`,
    // gcloud asks here for the name of an account that impersonates none
    token_info_url: `${stsEndpoint}/v1/introspect`,
    ...(email !== undefined && {
      service_account_impersonation_url: `${accounts}/${email}:generateAccessToken`,
    }),
    credential_source: { file: `${TOKEN.path}/${TOKEN_FILE}`, format: { type: 'text' } },
  });
}

function tokenVolume(audience: string, expirationSeconds: number): Volume {
  const token = { serviceAccountToken: { path: TOKEN_FILE, expirationSeconds, audience } };
  return { name: TOKEN.volume, projected: { sources: [token], defaultMode: MODE } };
}

const CREDENTIALS_VOLUME: Volume = {
  name: CREDENTIALS.volume,
  downwardAPI: {
    items: [
      {
        path: CREDENTIALS_FILE,
        fieldRef: { apiVersion: 'v1', fieldPath: `metadata.annotations['${CREDENTIALS_ANNOTATION}']` },
      },
    ],
    defaultMode: MODE,
  },
};

/** The project of an account; undefined if its email has none, or one of a domain. */
function projectOf(email: GoogleServiceAccountEmail): string | undefined {
  return /@([a-z][a-z0-9-]*)\.iam\.gserviceaccount\.com$/.exec(email)?.[1];
}

const PROVIDER: Form<Provider> = {
  parse: (text) => WorkloadIdentityProvider.parsed(text.trim()),
  expected: PROVIDER_FORM,
};

const EMAIL: Form<GoogleServiceAccountEmail> = {
  parse: (text) => parseGoogleServiceAccountEmail(text.trim()),
  expected: 'NAME@PROJECT.iam.gserviceaccount.com, or remove it for direct resource access',
};

const INJECTION_MODE: Form<'direct' | 'gcloud'> = {
  parse: (text) => (['direct', 'gcloud'] as const).find((mode) => mode === text.trim().toLowerCase()),
  expected: 'direct or gcloud',
};

export const AUDIENCE = audienceForm('an audience that the provider allows');
