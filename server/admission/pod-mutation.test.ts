import { describe, expect, test } from 'bun:test';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { applyPatch } from 'rfc6902';
import { Fault } from '../core/fault.ts';
import type { Namespace } from '../kubernetes/objects.ts';
import { INJECTION_SETTINGS } from '../testing/injection-settings.ts';
import type { InjectionSettings } from './injection.ts';
import type { JsonPatchOperation } from './json-patch.ts';
import { mutatePod } from './pod-mutation.ts';
import type { AdmissionRequest, Answer } from './review.ts';

// Each folder of testdata is a case: pod.yaml becomes want.yaml, or is refused as refused.txt says. Beside
// them, if the case needs it: namespace.yaml, settings.yaml (over INJECTION_SETTINGS), warnings.yaml.
const TESTDATA = join(import.meta.dir, 'testdata');
const KNOWN_FILES = [
  'pod.yaml',
  'want.yaml',
  'refused.txt',
  'namespace.yaml',
  'settings.yaml',
  'warnings.yaml',
];

const PLAIN_NAMESPACE = { metadata: { name: 'default' } };

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
): Promise<Answer> {
  const namespace: Namespace = { labels: {}, annotations: {}, ...metadata };
  return mutatePod(request(pod, namespace.name), {
    settings: { ...INJECTION_SETTINGS, ...settings },
    namespace: async () => namespace,
  });
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
      const untouched = structuredClone(pod);
      const answer = await mutate(pod, namespace, settings);
      expect(pod).toEqual(untouched);
      if (!answer.allowed) {
        expect(answer.message).toBe(((await text('refused.txt')) ?? 'a case without refusal').trim());
        return;
      }
      const once = patched(pod, answer.patch);
      expect(once).toEqual(await yaml('want.yaml'));
      expect<unknown>(answer.warnings).toEqual((await yaml('warnings.yaml')) ?? []);

      const again = await mutate(once, namespace, settings);
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
    });
    const answer = await mutate(many(200), undefined, environment);
    // init-network, and the variables of each
    expect(answer.allowed && answer.patch.length).toBe(201);
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
      namespace: () => Promise.reject(new Error('must not be asked')),
    });
    expect(answer).toEqual({ allowed: true, patch: [], warnings: [] });
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
      namespace: () => Promise.reject(unavailable),
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
      namespace: () => Promise.reject(unavailable),
    });
    expect(answer).toEqual({ allowed: true, patch: [], warnings: [] });
  });
});
