import { describe, expect, test } from 'bun:test';
import { applyPatch } from 'rfc6902';
import { PodEditor } from './pod-editor.ts';
import { type PodManifest, readPod } from './pod-manifest.ts';

/** The Pod after `edit`, by an independent library, and the paths of the patch. */
function edited(pod: object, edit: (pod: PodEditor) => void) {
  const raw = readPod(pod);
  if (raw === undefined) throw new Error('not a Pod');
  const before = structuredClone(raw);
  const editor = new PodEditor(raw);
  edit(editor);
  const patch = editor.patch();
  expect(raw).toEqual(before);
  const after = structuredClone(raw);
  expect(applyPatch(after, structuredClone(patch))).toEqual(patch.map(() => null));
  return { after, paths: patch.map(({ op, path }) => `${op} ${path}`) };
}

const minimal = () => ({ metadata: {}, spec: { containers: [{ name: 'app' }] } });
const full = () => ({
  metadata: { labels: { a: '1' }, annotations: null, fieldOfTomorrow: [null] },
  spec: {
    containers: [
      { name: 'app', env: [{ name: 'A', value: '1' }], volumeMounts: null },
      { name: 'second', restartPolicyRules: [{ action: 'Restart' }] },
    ],
    initContainers: [{ name: 'own', env: [] }],
    volumes: [{ name: 'data', emptyDir: {} }],
    hostAliases: [{ ip: '10.0.0.1', hostnames: ['db'] }, { ip: '10.0.0.2' }],
    nodeSelector: { 'disk/type': 'ssd', zone: 'a' },
  },
});

/** Everything that an injection can do. */
function everything(pod: PodEditor): void {
  pod.labels.set('example.com/in', 'yes');
  pod.annotations.set('example.com/a~b', 'yes');
  pod.nodeSelector.remove('disk/type');
  pod.nodeSelector.set('zone', 'b');
  pod.addVolume({ name: 'token', projected: {} }, 'first');
  pod.addVolume({ name: 'memory', emptyDir: {} }, 'last');
  pod.addInitContainer({ name: 'one' }, 'first');
  pod.addInitContainer({ name: 'two' }, 'first');
  pod.addInitContainer({ name: 'sidecar', restartPolicy: 'Always' }, 'last');
  for (const container of pod.allContainers) {
    container.addVariable({ name: 'A', value: '2' });
    container.addVariable({ name: 'B', value: '$(A)' });
    container.addVolumeMount({ name: 'token', mountPath: '/token', readOnly: true });
  }
  pod.addHostname('10.0.0.1', 'other');
  pod.addHostname('10.0.0.2', 'cache');
  pod.addHostname('10.0.0.3', 'new');
  pod.addHostname('10.0.0.3', 'newer');
}

const mount = { volumeMounts: [{ name: 'token', mountPath: '/token', readOnly: true }] };
const variables = {
  env: [
    { name: 'A', value: '2' },
    { name: 'B', value: '$(A)' },
  ],
};

describe('PodEditor', () => {
  test('adds everything to a Pod that has nothing of it', () => {
    expect<unknown>(edited(minimal(), everything).after).toEqual({
      metadata: { labels: { 'example.com/in': 'yes' }, annotations: { 'example.com/a~b': 'yes' } },
      spec: {
        containers: [{ name: 'app', ...variables, ...mount }],
        initContainers: [
          { name: 'one', ...variables, ...mount },
          { name: 'two', ...variables, ...mount },
          { name: 'sidecar', restartPolicy: 'Always', ...variables, ...mount },
        ],
        nodeSelector: { zone: 'b' },
        volumes: [
          { name: 'token', projected: {} },
          { name: 'memory', emptyDir: {} },
        ],
        hostAliases: [
          { ip: '10.0.0.1', hostnames: ['other'] },
          { ip: '10.0.0.2', hostnames: ['cache'] },
          { ip: '10.0.0.3', hostnames: ['new', 'newer'] },
        ],
      },
    });
  });

  test('adds one element at a time to a Pod that has some, and keeps what is there', () => {
    const { after, paths } = edited(full(), everything);
    expect<unknown>(after).toEqual({
      metadata: {
        labels: { a: '1', 'example.com/in': 'yes' },
        annotations: { 'example.com/a~b': 'yes' },
        fieldOfTomorrow: [null],
      },
      spec: {
        containers: [
          {
            name: 'app',
            env: [
              { name: 'A', value: '1' },
              { name: 'B', value: '$(A)' },
            ],
            ...mount,
          },
          { name: 'second', restartPolicyRules: [{ action: 'Restart' }], ...variables, ...mount },
        ],
        initContainers: [
          { name: 'one', ...variables, ...mount },
          { name: 'two', ...variables, ...mount },
          { name: 'own', ...variables, ...mount },
          { name: 'sidecar', restartPolicy: 'Always', ...variables, ...mount },
        ],
        nodeSelector: { zone: 'b' },
        volumes: [
          { name: 'token', projected: {} },
          { name: 'data', emptyDir: {} },
          { name: 'memory', emptyDir: {} },
        ],
        hostAliases: [
          { ip: '10.0.0.1', hostnames: ['db', 'other'] },
          { ip: '10.0.0.2', hostnames: ['cache'] },
          { ip: '10.0.0.3', hostnames: ['new', 'newer'] },
        ],
      },
    });
    expect(paths).toEqual([
      'add /metadata/labels/example.com~1in',
      'add /metadata/annotations',
      'remove /spec/nodeSelector/disk~1type',
      'add /spec/nodeSelector/zone',
      'add /spec/volumes/0',
      'add /spec/volumes/2',
      'add /spec/containers/0/env/1',
      'add /spec/containers/0/volumeMounts',
      'add /spec/containers/1/env',
      'add /spec/containers/1/volumeMounts',
      'add /spec/initContainers/0/env/0',
      'add /spec/initContainers/0/env/1',
      'add /spec/initContainers/0/volumeMounts',
      'add /spec/initContainers/0',
      'add /spec/initContainers/1',
      'add /spec/initContainers/3',
      'add /spec/hostAliases/2',
      'add /spec/hostAliases/0/hostnames/1',
      'add /spec/hostAliases/1/hostnames',
      'add /spec/hostAliases/2/hostnames/1',
    ]);
  });

  test.each([
    ['minimal', minimal()],
    ['full', full()],
  ])('adds nothing the second time to the %s Pod', (_, pod) => {
    expect(edited(edited(pod, everything).after, everything).paths).toEqual([]);
  });

  test('has an empty patch if what is set or removed is so already', () => {
    const { paths } = edited(full(), (pod) => {
      pod.labels.set('a', '1');
      pod.nodeSelector.remove('none');
      pod.annotations.set('x', '1');
      pod.annotations.remove('x');
      pod.addVolume({ name: 'data', hostPath: {} }, 'first');
      pod.addInitContainer({ name: 'own', image: 'other' }, 'last');
      pod.addHostname('10.0.0.1', 'db');
    });
    expect(paths).toEqual([]);
  });

  test('shows what was added before', () => {
    edited(full(), (pod) => {
      everything(pod);
      expect(pod.initContainers.map(({ name }) => name)).toEqual(['one', 'two', 'own', 'sidecar']);
      expect(pod.containers.map((container) => container.hasVariable('B'))).toEqual([true, true]);
      expect(pod.containers.map((container) => container.mounts('token'))).toEqual([true, true]);
      expect([pod.labels.get('a'), pod.labels.get('example.com/in')]).toEqual(['1', 'yes']);
      expect([pod.nodeSelector.get('disk/type'), pod.nodeSelector.get('zone')]).toEqual([undefined, 'b']);
      expect([pod.hasVolume('memory'), pod.hasVolume('data'), pod.hasVolume('x')]).toEqual([
        true,
        true,
        false,
      ]);
      expect(pod.addressesOf('newer')).toEqual(['10.0.0.3']);
    });
  });

  test('does not mount a second volume at a path', () => {
    const { paths } = edited(full(), ({ containers: [app] }) => {
      app?.addVolumeMount({ name: 'one', mountPath: '/token' });
      app?.addVolumeMount({ name: 'two', mountPath: '/token/' });
      expect([app?.volumeAt('/token/'), app?.mounts('two')]).toEqual(['one', false]);
    });
    expect(paths).toEqual(['add /spec/containers/0/volumeMounts']);
  });

  test('cuts a warning that a name makes long, and keeps it on one line', () => {
    edited(full(), (pod) => {
      pod.warn(`container ${'x'.repeat(100_000)}`);
      pod.warn('container a\nb');
      expect(pod.warnings.map(({ length }) => length)).toEqual([512, 'container a'.length]);
    });
  });

  test('keeps no more warnings than are passed on', () => {
    edited(full(), (pod) => {
      for (let index = 0; index < 100_000; index++) pod.warn(`warning ${index}`);
      expect([pod.warnings.length, pod.warnings[0]]).toEqual([40, 'warning 0']);
    });
  });

  test('replaces a volume where it is, and not if only defaults were added to it', () => {
    const volume = { name: 'data', projected: { sources: [{ serviceAccountToken: { path: 'token' } }] } };
    const set = edited(full(), (pod) => pod.setVolume(volume));
    expect(set.paths).toEqual(['replace /spec/volumes/0']);
    expect(set.after.spec.volumes).toEqual([volume]);

    const live = full();
    const projected = { ...volume.projected, defaultMode: 420 };
    live.spec.volumes = [{ ...volume, projected } as never, { name: 'other', emptyDir: {} }];
    expect(edited(live, (pod) => pod.setVolume(volume)).paths).toEqual([]);

    const added = edited(full(), (pod) => {
      pod.addVolume({ name: 'first', emptyDir: {} }, 'first');
      pod.setVolume({ name: 'new', emptyDir: {} });
      pod.setVolume({ name: 'new', configMap: {} });
      pod.setVolume(volume);
    });
    expect(added.after.spec.volumes).toEqual([
      { name: 'first', emptyDir: {} },
      volume,
      { name: 'new', configMap: {} },
    ]);
  });

  test('mounts a volume at a second path, and nothing where another is mounted', () => {
    const pod = full();
    pod.spec.containers[0] = { name: 'app', volumeMounts: [{ name: 'data', mountPath: '/data' }] } as never;
    const { after } = edited(pod, (editor) => {
      const [app] = editor.containers;
      app?.addVolumeMountAt({ name: 'data', mountPath: '/again' });
      app?.addVolumeMountAt({ name: 'data', mountPath: '/again/' });
      app?.addVolumeMountAt({ name: 'other', mountPath: '/data' });
    });
    expect(after.spec.containers[0]?.volumeMounts).toEqual([
      { name: 'data', mountPath: '/data' },
      { name: 'data', mountPath: '/again' },
    ]);
  });

  test('keys of every object are keys like others', () => {
    const pod = JSON.parse('{"metadata":{"labels":{"__proto__":"x"}},"spec":{"containers":[]}}');
    const { after } = edited(pod, ({ labels }) => {
      expect([labels.get('constructor'), labels.get('__proto__')]).toEqual([undefined, 'x']);
      labels.set('toString', 'y');
    });
    expect(Object.entries(after.metadata.labels ?? {})).toEqual([
      ['__proto__', 'x'],
      ['toString', 'y'],
    ]);
  });
});

test.each<[string, object]>([
  ['a container', { containers: [null] }],
  ['an init container', { containers: [], initContainers: ['a'] }],
  ['env', { containers: [{ env: {} }] }],
  ['a variable', { containers: [{ env: [1] }] }],
  ['volumeMounts', { containers: [{ volumeMounts: [[]] }] }],
  ['volumes', { containers: [], volumes: 'a' }],
  ['hostAliases', { containers: [], hostAliases: [{ hostnames: 'a' }] }],
  ['nodeSelector', { containers: [], nodeSelector: [] }],
])('readPod refuses %s of another type than the API server knows', (_, spec) => {
  expect<PodManifest | undefined>(readPod({ metadata: {}, spec })).toBeUndefined();
});
