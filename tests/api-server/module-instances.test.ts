import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { ModuleValues } from '../../scripts/module/render.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { Objects, describe as words } from '../cluster/objects.ts';
import { startCluster } from '../cluster/start-cluster.ts';
import { installer, installModule, uninstallModule } from '../install-module.ts';
import { ModuleInstance } from '../module-instance.ts';

const longest = 180_000;
const VALUES = {
  image: { repository: 'registry.example.com/gke-metadata-server', tag: '1.2.3' },
  settings: {
    projectID: 'example-project',
    workloadIdentityProvider:
      'projects/123456789012/locations/global/workloadIdentityPools/pool/providers/cluster',
  },
};
const WITH_TEST = {
  ...VALUES,
  policy: { nodeIdentity: { enabled: true } },
  test: { enabled: true, googleServiceAccount: 'test@example-project.iam.gserviceaccount.com' },
};

let cluster: Cluster;
let objects: Objects;
beforeAll(async () => {
  cluster = await startCluster({ mode: 'api', certManager: true });
  objects = new Objects(cluster.api);
}, longest);
afterAll(() => cluster?.stop());

/** An instance of one name, in the Namespace given. */
function instance(namespace: string) {
  const installation = { name: 'metadata', namespace, hasNodes: false };
  const uids = async (values: ModuleValues) => {
    const { sets } = await ModuleInstance.render(values, installation);
    const found = sets
      .flatMap((set) => set.objects)
      .map(async (object) => {
        return [words(object), (await objects.get(object))?.metadata['uid']] as const;
      });
    return new Map(await Promise.all(found));
  };
  return {
    install: (values: ModuleValues) => installModule(cluster, { ...installation, values }),
    uninstall: () => uninstallModule(cluster, installation),
    /** Of its objects by their names, undefined if it does not exist. */
    uids,
  };
}

describe(installer(), () => {
  test(
    'an update runs the test again if the configuration is another, and only then',
    async () => {
      const { install, uninstall, uids } = instance('tested');
      const job = async (values: ModuleValues) => {
        const [found] = [...(await uids(values))].filter(([name]) => name.startsWith('Job '));
        return found;
      };
      await install(WITH_TEST);
      const first = await job(WITH_TEST);
      expect(first).toEqual([expect.stringMatching(/^Job default\/metadata-test-/), expect.any(String)]);
      await install(WITH_TEST);
      expect(await job(WITH_TEST)).toEqual(first);

      const changed = { ...WITH_TEST, settings: { ...VALUES.settings, logLevel: 'debug' } };
      await install(changed);
      const second = await job(changed);
      expect(second).toEqual([first?.[0] ?? '', expect.any(String)]);
      expect(second).not.toEqual(first);
      await uninstall();
    },
    longest,
  );

  test(
    'two instances of one name in two Namespaces share nothing: one is removed, and the other is as it was',
    async () => {
      const [one, other] = [instance('first'), instance('second')];
      await one.install(WITH_TEST);
      const before = await one.uids(WITH_TEST);
      await other.install(WITH_TEST);
      expect(await one.uids(WITH_TEST)).toEqual(before);

      const others = await other.uids(WITH_TEST);
      expect([...before.keys(), ...others.keys()].length).toBe(
        new Set([...before.keys(), ...others.keys()]).size,
      );
      expect([...others.values()]).not.toContain(undefined);
      await one.uninstall();
      expect(await other.uids(WITH_TEST)).toEqual(others);
      expect(new Set((await one.uids(WITH_TEST)).values())).toEqual(new Set([undefined]));
      await other.uninstall();
    },
    longest,
  );
});
