import { afterAll, beforeAll, expect, test } from 'bun:test';
import type { KubernetesObject } from '../../scripts/module/render.ts';
import { ARTIFACT_NAMES, releaseIdentity, repositoryOf } from '../../scripts/publish/release-names.ts';
import { Cache } from '../../scripts/tools/cache.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { Objects } from '../cluster/objects.ts';
import { startCluster } from '../cluster/start-cluster.ts';
import { applyExampleKinds } from './example-kinds.ts';
import { example, exampleNames } from './examples.ts';

// no name that anybody could have: who copies an example has to say whom they trust
const SOURCE = 'https://github.com/OWNER/gke-metadata-server';
const REGISTRY = 'ghcr.io/OWNER/gke-metadata-server';

const longest = 180_000;
const keyless = exampleNames().filter((name) => !/with-key|cert-manager/.test(name));

let cluster: Cluster;
let objects: Objects;
beforeAll(async () => {
  cluster = await startCluster({ mode: 'api' });
  objects = new Objects(cluster.api);
  await applyExampleKinds(objects, new Cache());
  for (const name of ['flux-system', 'gke-metadata-server', 'cert-manager']) {
    await objects.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  }
}, longest);
afterAll(() => cluster?.stop());

test('there are examples for Flux and for policies, keyless and with a key', () => {
  expect(exampleNames()).toEqual([
    'flux/cert-manager.yaml',
    'flux/chart-with-key.yaml',
    'flux/chart.yaml',
    'flux/manifests-with-key.yaml',
    'flux/manifests.yaml',
    'flux/module-with-key.yaml',
    'flux/module.yaml',
    'policies/kyverno-with-key.yaml',
    'policies/kyverno.yaml',
    'policies/policy-controller.yaml',
  ]);
});

test.each(exampleNames())('the API server takes %s, and warns of nothing', async (name) => {
  for (const object of await example(name)) await objects.apply(object, { dryRun: true });
  expect(objects.warnings).toEqual([]);
});

test('it takes no field that the kinds do not have', async () => {
  for (const name of exampleNames()) {
    for (const object of (await example(name)).filter((each) => each['spec'] !== undefined)) {
      const mistyped = { ...object, spec: { ...Object(object['spec']), verifi: {} } };
      await expect(objects.apply(mistyped, { dryRun: true }), object.kind).rejects.toThrow('verifi');
    }
  }
});

test.each(exampleNames().filter((name) => name.startsWith('flux/')))(
  'Flux reads the layers of %s to their end',
  async (name) => {
    const sources = (await example(name)).filter(({ kind }) => kind === 'OCIRepository');
    const selectors = sources.map((object) => Object(object['spec']).layerSelector);
    expect(selectors).toEqual([
      { mediaType: expect.stringMatching(/\.content\.v1\.tar\+gzip$/), operation: 'copy' },
    ]);
  },
);

test.each(keyless)(
  '%s trusts the release workflow at the tag of a release, and nobody else',
  async (name) => {
    const { identity, issuer } = releaseIdentity('1.2.3', SOURCE);
    const [workflow = ''] = identity.split('@');
    const trusted = (await example(name)).flatMap((object) => identitiesIn(object));
    expect(trusted).not.toEqual([]);
    for (const { isIssuer, isSubject } of trusted) {
      expect(isIssuer(issuer)).toBe(true);
      expect(isSubject(identity)).toBe(true);
      for (const other of [
        'https://accounts.google.com',
        `${issuer}.example.com`,
        issuer.replace('.', 'x'),
      ]) {
        expect([other, isIssuer(other)]).toEqual([other, false]);
      }
      const others = [
        `${workflow}@refs/heads/main`,
        `${workflow}@refs/tags/v1.2.3-rc.1`,
        `${workflow}@refs/tags/v1.2.3/../../heads/main`,
        identity.replace('release.yml', 'ci.yml'),
        identity.replace('github.com/', 'github.com/somebody/'),
        identity.replace('github.com', 'githubxcom'),
        identity.replace('gke-metadata-server/', 'gke-metadata-serverx/'),
        `https://example.com/?${identity}`,
      ];
      for (const other of others) expect([other, isSubject(other)]).toEqual([other, false]);
    }
  },
);

test.each(keyless)('%s names what is released', async (name) => {
  const repositories = ARTIFACT_NAMES.map((each) => repositoryOf(each, REGISTRY));
  const named = (await example(name)).flatMap(
    (object) => JSON.stringify(object).match(/ghcr\.io\/[^"*]+/g) ?? [],
  );
  expect(named.length).toBeGreaterThan(0);
  for (const repository of named) expect(repositories).toContain(repository);
});

interface TrustedIdentity {
  isIssuer(issuer: string): boolean;
  isSubject(subject: string): boolean;
}

/** Whom an object of any of the kinds trusts: Flux takes expressions alone, the policies both. */
function identitiesIn(object: KubernetesObject): readonly TrustedIdentity[] {
  const found: Record<string, string>[] = [];
  JSON.stringify(object, (key, value) => {
    if (key === 'matchOIDCIdentity') {
      for (const { issuer, subject } of value) found.push({ issuerRegExp: issuer, subjectRegExp: subject });
    } else if (key === 'identities') found.push(...value);
    return value;
  });
  return found.map((identity) => ({
    isIssuer: (issuer) => matches(identity, 'issuer', issuer),
    isSubject: (subject) => matches(identity, 'subject', subject),
  }));
}

function matches(identity: Readonly<Record<string, string>>, name: string, value: string): boolean {
  const expression = identity[`${name}RegExp`];
  // of what RE2 and JavaScript both know, and like RE2 anywhere in the text
  return expression === undefined ? identity[name] === value : new RegExp(expression).test(value);
}
