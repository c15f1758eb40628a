import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { InjectionSettings } from '../../server/admission/injection.ts';
import { webhookCommandOf, webhookSettings } from '../../server/settings/webhook-settings.ts';
import { parseFlags } from '../../server/testing/parse-flags.ts';
import type { Creation, InjectingWebhook } from './injecting-webhook.ts';

const TESTDATA = join(import.meta.dir, '../../server/admission/testdata');

/** A case of server/admission/testdata, in a Namespace of its own. */
export interface GoldenCase {
  readonly name: string;
  readonly namespace: string;
  readonly pod: unknown;
  /** What its want.yaml becomes with no webhook. */
  readonly wanted: Creation | undefined;
  readonly refusal: string | undefined;
  readonly warnings: readonly string[];
}

/** The cases of a webhook with these flags, by default those of the default settings. */
export function goldenCaseNames(flags: readonly string[] = []): string[] {
  const settings = flags.length === 0 ? undefined : injectionSettings(flags);
  return readdirSync(TESTDATA, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .filter((name) => !OF_THEIR_NAMESPACE.includes(name) && !lacksServiceAccount(name))
    .filter((name) => {
      const wanted = settingsOf(name);
      if (wanted === undefined || settings === undefined) return wanted === settings;
      return String(keysOf(wanted)) === String(keysOf(settings)) && Bun.deepMatch(wanted, settings);
    });
}

/** A Namespace here has a name of its own, and a Pod of theirs depends on its length. */
const OF_THEIR_NAMESPACE = ['google-to-aws-long-names'];

/** The API server refuses such a Pod itself. */
function lacksServiceAccount(name: string): boolean {
  const files = readdirSync(join(TESTDATA, name));
  return files.includes('service-account.yaml') && parsed(name, 'service-account.yaml') === null;
}

function settingsOf(name: string): Partial<InjectionSettings> | undefined {
  if (!readdirSync(join(TESTDATA, name)).includes('settings.yaml')) return undefined;
  // the cases of server/admission/pod-mutation.test.ts, which fails if they have another shape
  return parsed(name, 'settings.yaml') as Partial<InjectionSettings>;
}

function parsed(name: string, file: string): unknown {
  return Bun.YAML.parse(readFileSync(join(TESTDATA, name, file), 'utf8'));
}

function injectionSettings(flags: readonly string[]): InjectionSettings {
  const required = ['--namespace=gms', '--init-network-image=any', '--host-ip=192.0.2.1'];
  const { settings, error } = parseFlags(webhookCommandOf('webhook'), webhookSettings, [
    ...required,
    ...flags,
  ]);
  if (settings === undefined) throw new Error(error);
  return settings.injection;
}

const CLOUDS = ['aws', 'awsPodIdentity', 'azure', 'googleToAws', 'externalAccount'] as const;

/** What is set of the settings of clouds. */
function keysOf(settings: Partial<InjectionSettings>): string[] {
  return CLOUDS.flatMap((cloud) => {
    const set = Object.entries(settings[cloud] ?? {}).filter(
      ([, value]) => value !== undefined && value !== false,
    );
    return settings[cloud] === undefined ? [] : [cloud, ...set.map(([key]) => `${cloud}.${key}`)];
  }).sort();
}

interface Metadata {
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

interface PodManifest {
  readonly metadata: Metadata;
  readonly spec: { readonly serviceAccountName?: string };
}

/** Before the API server knows of the webhook: what is wanted is what it makes of want.yaml without one. */
export async function prepareGoldenCase(name: string, injecting: InjectingWebhook): Promise<GoldenCase> {
  const file = async (base: string) => {
    const content = Bun.file(join(TESTDATA, name, base));
    if (!(await content.exists())) return undefined;
    // the module's own ServiceAccounts are named after the instance
    const { name: own } = injecting.world.module;
    return (await content.text()).replaceAll(
      'serviceAccountName: gke-metadata-server',
      `serviceAccountName: ${own}`,
    );
  };
  // the cases of server/admission/pod-mutation.test.ts, which fails if they have another shape
  const yaml = async <T>(base: string) => Bun.YAML.parse((await file(base)) ?? 'null') as T | null;
  const { metadata } = (await yaml<{ metadata: Metadata }>('namespace.yaml')) ?? {};
  const template = (await yaml<PodManifest>('pod.yaml')) ?? { metadata: { name }, spec: {} };
  const { name: inNamespace, ...labelled } = metadata ?? { name: 'default' };
  const isOwn = inNamespace === 'gke-metadata-server';
  const { metadata: account } = (await yaml<{ metadata: Metadata }>('service-account.yaml')) ?? {};
  const { serviceAccountName } = template.spec;
  const accounts = serviceAccountName === undefined ? [] : [{ name: serviceAccountName }];
  const namespace = isOwn
    ? injecting.world.namespace
    : await injecting.addNamespace(labelled, account === undefined ? accounts : [account]);
  const here = (text: string) =>
    text
      .replaceAll(`Namespace ${inNamespace}`, `Namespace ${namespace}`)
      .replaceAll(`ServiceAccount ${inNamespace}/`, `ServiceAccount ${namespace}/`)
      // AWS_ROLE_SESSION_NAME
      .replaceAll(`value: ${inNamespace}.`, `value: ${namespace}.`);
  const podHere = async (base: string) =>
    Bun.YAML.parse(here((await file(base)) ?? 'null')) as PodManifest | null;
  const pod = (await podHere('pod.yaml')) ?? template;
  const want = await podHere('want.yaml');
  return {
    name,
    namespace,
    pod: withoutToken(pod),
    wanted: want === null ? undefined : await injecting.create(namespace, withoutToken(want)),
    refusal: here((await file('refused.txt')) ?? '').trim() || undefined,
    warnings: ((await yaml<string[]>('warnings.yaml')) ?? []).map(here),
  };
}

/** The volume of a ServiceAccount's token has a random name. */
function withoutToken(pod: PodManifest): PodManifest {
  return { ...pod, spec: { ...pod.spec, automountServiceAccountToken: false } as PodManifest['spec'] };
}

/** Without what is another of each object. */
export function comparable({ status, message, pod }: Creation): unknown {
  const {
    uid: _uid,
    creationTimestamp: _,
    managedFields: _fields,
    name,
    ...metadata
  } = pod.metadata as Record<string, unknown>;
  const named = metadata['generateName'] === undefined ? { name } : {};
  return { status, message, pod: { ...pod, metadata: { ...metadata, ...named } } };
}
