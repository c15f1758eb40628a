import { readdirSync } from 'node:fs';
import { join } from 'node:path';
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

/** The cases of the default settings; those of other settings would each want a webhook of its own. */
export function goldenCaseNames(): string[] {
  return readdirSync(TESTDATA, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .filter((name) => !readdirSync(join(TESTDATA, name)).includes('settings.yaml'));
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
  const pod = (await yaml<PodManifest>('pod.yaml')) ?? { metadata: { name }, spec: {} };
  const { name: inNamespace, ...labelled } = metadata ?? { name: 'default' };
  const isOwn = inNamespace === 'gke-metadata-server';
  const accounts = pod.spec.serviceAccountName === undefined ? [] : [pod.spec.serviceAccountName];
  const namespace = isOwn ? injecting.world.namespace : await injecting.addNamespace(labelled, accounts);
  const want = await yaml<PodManifest>('want.yaml');
  return {
    name,
    namespace,
    pod: withoutToken(pod),
    wanted: want === null ? undefined : await injecting.create(namespace, withoutToken(want)),
    refusal: (await file('refused.txt'))
      ?.trim()
      .replace(`Namespace ${inNamespace}`, `Namespace ${namespace}`),
    warnings: (await yaml<string[]>('warnings.yaml')) ?? [],
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
    ...metadata
  } = pod.metadata as Record<string, unknown>;
  return { status, message, pod: { ...pod, metadata } };
}
