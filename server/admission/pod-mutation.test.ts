import { describe, expect, test } from 'bun:test';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { applyPatch } from 'rfc6902';
import { Fault } from '../core/fault.ts';
import { ConfigMap, type Namespace } from '../kubernetes/objects.ts';
import { INJECTION_SETTINGS } from '../testing/injection-settings.ts';
import type { InjectionSettings } from './injection.ts';
import type { JsonPatchOperation } from './json-patch.ts';
import { type InjectionReader, mutatePod } from './pod-mutation.ts';
import type { AdmissionRequest, ReviewResponse } from './review.ts';

// Each folder of testdata is a case: pod.yaml becomes want.yaml, or is refused as refused.txt says. Beside
// them, if the case needs it: namespace.yaml, service-account.yaml (empty: it does not exist), config-map.yaml,
// settings.yaml (over INJECTION_SETTINGS), warnings.yaml.
const TESTDATA = join(import.meta.dir, 'testdata');
const KNOWN_FILES = [
  'pod.yaml',
  'want.yaml',
  'refused.txt',
  'namespace.yaml',
  'service-account.yaml',
  'config-map.yaml',
  'settings.yaml',
  'warnings.yaml',
];

const PLAIN_NAMESPACE = { metadata: { name: 'default' } };

interface Manifest {
  metadata: { namespace?: string; name: string; annotations?: Record<string, string> };
}

interface NamespaceManifest {
  metadata: { name: string; labels?: Record<string, string>; annotations?: Record<string, string> };
}

function request(object: unknown, namespace: string, more: Partial<AdmissionRequest> = {}): AdmissionRequest {
  return {
    uid: 'review-1',
    operation: 'CREATE',
    resource: 'pods',
    namespace,
    name: '',
    username: 'system:serviceaccount:kube-system:replicaset-controller',
    extra: new Map(),
    object,
    ...more,
  };
}

function mutate(
  pod: unknown,
  { metadata }: NamespaceManifest = PLAIN_NAMESPACE,
  settings: Partial<InjectionSettings> = {},
  read: Partial<InjectionReader> = {},
): Promise<ReviewResponse> {
  const namespace: Namespace = { labels: {}, annotations: {}, ...metadata };
  return mutatePod(request(pod, namespace.name), {
    settings: { ...INJECTION_SETTINGS, ...settings },
    read: {
      namespace: async () => namespace,
      serviceAccount: async (name) => ({ ...name, uid: 'service-account-uid', annotations: {} }),
      configMap: async () => undefined,
      ...read,
    },
    random: () => 0,
  });
}

/** What a case says of the API server's objects; undefined for an ordinary ServiceAccount, null for none. */
function readerOf(serviceAccount: unknown, configMap: unknown): Partial<InjectionReader> {
  const account = serviceAccount as Manifest | null | undefined;
  const { metadata, data } = (configMap ?? {}) as Partial<Manifest & { data: Record<string, string> }>;
  return {
    ...(account === undefined
      ? {}
      : {
          serviceAccount: async ({ namespace, name }) => {
            if (account === null) return undefined;
            expect(account.metadata).toMatchObject({ namespace, name });
            return {
              namespace,
              name,
              uid: 'service-account-uid',
              annotations: account.metadata.annotations ?? {},
            };
          },
        }),
    configMap: async ({ namespace, name }) =>
      data !== undefined && metadata?.namespace === namespace && metadata?.name === name
        ? new ConfigMap(data)
        : undefined,
  };
}

/** An API server of which nothing can be read. */
function unreadable(error: Error): InjectionReader {
  const fail = () => Promise.reject(error);
  return { namespace: fail, serviceAccount: fail, configMap: fail };
}

/** What an API server makes of a Pod by this patch, applied by a library that knows nothing of who wrote it. */
function patched(pod: unknown, patch: readonly JsonPatchOperation[]): unknown {
  const copy = structuredClone(pod);
  expect(applyPatch(copy, structuredClone([...patch]))).toEqual(patch.map(() => null));
  return copy;
}

describe('golden cases', () => {
  const cases = readdirSync(TESTDATA, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const used = new Set<string>();

  for (const { name } of cases) {
    const text = async (file: string) => {
      used.add(join(name, file));
      const content = Bun.file(join(TESTDATA, name, file));
      return (await content.exists()) ? content.text() : undefined;
    };
    const yaml = async (file: string) => Bun.YAML.parse((await text(file)) ?? 'null');

    test(name, async () => {
      // the folder's files have these shapes, or the case fails
      const pod = await yaml('pod.yaml');
      const namespace = ((await yaml('namespace.yaml')) ?? undefined) as NamespaceManifest | undefined;
      const settings = ((await yaml('settings.yaml')) ?? {}) as Partial<InjectionSettings>;
      const read = readerOf(
        (await text('service-account.yaml')) === undefined ? undefined : await yaml('service-account.yaml'),
        await yaml('config-map.yaml'),
      );
      const untouched = structuredClone(pod);
      const answer = await mutate(pod, namespace, settings, read);
      expect(pod).toEqual(untouched);
      if (!answer.allowed) {
        expect(answer.message).toBe(((await text('refused.txt')) ?? 'a case without refusal').trim());
        return;
      }
      const once = patched(pod, answer.patch);
      expect(once).toEqual(await yaml('want.yaml'));
      expect<unknown>(answer.warnings).toEqual((await yaml('warnings.yaml')) ?? []);

      const again = await mutate(once, namespace, settings, read);
      expect(again).toMatchObject({ allowed: true, patch: [] });
    });
  }

  // the last, when all others have run
  test('every file of a case is used by it', () => {
    const files = cases.flatMap(({ name }) =>
      readdirSync(join(TESTDATA, name)).map((file) => ({ file, path: join(name, file) })),
    );
    const unused = files.filter(({ file, path }) => !KNOWN_FILES.includes(file) || !used.has(path));
    expect(unused.map(({ path }) => path)).toEqual([]);
  });
});

const OPTED_IN = { 'gke-metadata-server.matheuscscp.io/webhook': 'Mutate' };
const pod = (labels: Record<string, string>) => ({
  metadata: { labels },
  spec: { containers: [{ name: 'app' }] },
});

describe('mutatePod', () => {
  test('refuses a Pod of more containers than any has, with a text', async () => {
    const many = (count: number) => ({
      metadata: { labels: OPTED_IN },
      spec: { containers: Array.from({ length: count }, () => ({ name: 'x' })) },
    });
    const environment = { mode: 'Environment' } as const;
    expect(await mutate(many(18_500), undefined, environment)).toEqual({
      allowed: false,
      code: 403,
      message: 'the Pod has 18500 containers, and at most 200 can be injected: split it up',
      refusedBy: 'google',
    });
    const answer = await mutate(many(200), undefined, environment);
    // init-network, and the variables of each
    expect(answer.allowed && answer.patch.length).toBe(201);
  });

  test('says which injection refused', async () => {
    const mode = { 'gke-metadata-server.matheuscscp.io/mode': 'Magic' };
    const answer = await mutate({
      metadata: { labels: OPTED_IN, annotations: mode },
      spec: { containers: [] },
    });
    expect(answer).toMatchObject({ allowed: false, code: 403, refusedBy: 'google' });
  });

  test('never replaces a whole list of what was there', async () => {
    const before = {
      metadata: { labels: OPTED_IN },
      spec: {
        containers: [{ name: 'app', env: [{ name: 'A' }] }],
        initContainers: [{ name: 'a', env: [{ name: 'A' }] }],
        hostAliases: [{ ip: '1.1.1.1' }],
      },
    };
    const answer = await mutate(before);
    expect(answer.allowed && answer.patch.map(({ op, path }) => `${op} ${path}`)).toEqual([
      ...[1, 2, 3].map((index) => `add /spec/containers/0/env/${index}`),
      ...[1, 2, 3].map((index) => `add /spec/initContainers/0/env/${index}`),
      'add /spec/initContainers/0',
      'add /spec/hostAliases/1',
    ]);
  });

  test.each<[string, Partial<AdmissionRequest>]>([
    ['another resource', { resource: 'apps/deployments' }],
    ["a Pod's subresource", { resource: 'pods/ephemeralcontainers' }],
    ['an update', { operation: 'UPDATE' }],
  ])('lets %s through', async (_, more) => {
    const answer = await mutatePod(request(pod(OPTED_IN), 'default', more), {
      settings: INJECTION_SETTINGS,
      read: unreadable(new Error('must not be asked')),
      random: () => 0,
    });
    expect(answer).toEqual({ allowed: true, patch: [], warnings: [], injected: [] });
  });

  test.each([
    [null],
    ['pod'],
    [{}],
    [{ metadata: {}, spec: {} }],
    [{ metadata: {}, spec: { containers: {} } }],
  ])('refuses %j in the place of a Pod', async (object) => {
    expect(await mutate(object)).toEqual({
      allowed: false,
      code: 403,
      message: 'request.object is not a Pod',
    });
  });

  const unavailable = new Fault('kubernetes-unavailable', 'no answer in 10 s', { remedy: '' });

  test('refuses temporarily if the Namespace cannot be read, as Pods are not reviewed twice', async () => {
    const answer = await mutatePod(request(pod({}), 'default'), {
      settings: INJECTION_SETTINGS,
      read: unreadable(unavailable),
      random: () => 0,
    });
    expect(answer).toEqual({
      allowed: false,
      code: 503,
      message: 'cannot read Namespace default: no answer in 10 s; retry',
    });
  });

  test('needs no Namespace for a Pod that skips, so that it starts in any case', async () => {
    const skip = pod({ 'gke-metadata-server.matheuscscp.io/webhook': 'Skip' });
    const answer = await mutatePod(request(skip, 'default'), {
      settings: INJECTION_SETTINGS,
      read: unreadable(unavailable),
      random: () => 0,
    });
    expect(answer).toEqual({ allowed: true, patch: [], warnings: [], injected: [] });
  });
});
