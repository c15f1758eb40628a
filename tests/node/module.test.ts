import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { installer } from '../install-module.ts';
import { waitUntil } from '../wait-until.ts';
import { NAME, SYSTEM } from './installation.ts';
import { NodeWorld } from './node-world.ts';
import { type PodOptions, Pods } from './pods.ts';

setDefaultTimeout(300_000);

const TOKEN = 'http://169.254.169.254/computeMetadata/v1/instance/service-accounts/default/token';
const SYSTEM_PATH = `/namespaces/${SYSTEM}`;
const ADMISSION = '/apis/admissionregistration.k8s.io/v1';

/** The API server's paths of what the module installs, one for each kind. */
const OBJECTS = {
  serviceAccount: `/api/v1${SYSTEM_PATH}/serviceaccounts/${NAME}`,
  clusterRole: `/apis/rbac.authorization.k8s.io/v1/clusterroles/${NAME}-server`,
  daemonSet: `/apis/apps/v1${SYSTEM_PATH}/daemonsets/${NAME}`,
  tokenRequestPolicy: `${ADMISSION}/validatingadmissionpolicies/${NAME}-token-requests`,
  nodeIdentityPolicy: `${ADMISSION}/validatingadmissionpolicies/${NAME}-node-identity`,
} as const;
const WEBHOOK_OBJECTS = {
  issuer: `/apis/cert-manager.io/v1${SYSTEM_PATH}/issuers/${NAME}-ca`,
  certificate: `/apis/cert-manager.io/v1${SYSTEM_PATH}/certificates/${NAME}-webhook`,
  deployment: `/apis/apps/v1${SYSTEM_PATH}/deployments/${NAME}-webhook`,
  service: `/api/v1${SYSTEM_PATH}/services/${NAME}-webhook`,
  podInjection: `${ADMISSION}/mutatingwebhookconfigurations/${NAME}-pods`,
  tokenRequestGuard: `${ADMISSION}/validatingwebhookconfigurations/${NAME}-token-requests`,
} as const;
const MONITORING_OBJECTS = {
  podMonitor: `/apis/monitoring.coreos.com/v1${SYSTEM_PATH}/podmonitors/${NAME}-server`,
  prometheusRule: `/apis/monitoring.coreos.com/v1${SYSTEM_PATH}/prometheusrules/${NAME}-alerts`,
} as const;

let world: NodeWorld;
let pods: Pods;
beforeAll(async () => {
  world = await NodeWorld.start();
  pods = new Pods(world.api);
});
afterAll(() => world?.[Symbol.asyncDispose]());

/** The version of each object, undefined if there is none. */
async function versions<Name extends string>(paths: Readonly<Record<Name, string>>) {
  const found = Object.entries<string>(paths).map(async ([name, path]) => {
    const response = await world.api.fetch('GET', path);
    // an object or a Status, told apart by the HTTP status
    const { metadata } = (await response.json()) as { metadata: { resourceVersion: string } };
    return [name, response.ok ? metadata.resourceVersion : undefined];
  });
  return Object.fromEntries(await Promise.all(found));
}

const absent = (paths: object) => Object.fromEntries(Object.keys(paths).map((name) => [name, undefined]));

describe(installer(), () => {
  test('a Pod that asks for it by its label gets the tokens of its ServiceAccount', async () => {
    const email = await world.addServiceAccount('reader');
    const command = ['curl', '--silent', '--fail', '--header', 'Metadata-Flavor:Google', TOKEN];
    const pod: PodOptions = { name: 'labelled', serviceAccountName: 'reader', command };
    expect(world.accountOf(JSON.parse(await pods.run(pod)).access_token)).toBe(email);
  });

  test('applied again, nothing changes', async () => {
    const all = { ...OBJECTS, ...WEBHOOK_OBJECTS };
    // what controllers are still at may change meanwhile, but not for long
    await waitUntil('applying changes nothing', async () => {
      const before = await versions(all);
      expect(Object.values(before)).not.toContain(undefined);
      await world.install();
      expect(await versions(all)).toEqual(before);
      return true;
    });
  });

  test("the module's own test gets a token and its email; its Job goes when it is switched off", async () => {
    const googleServiceAccount = world.addGoogleAccount(`${NAME}-test`);
    const job = { job: `/apis/batch/v1/namespaces/default/jobs/${NAME}-test` };
    await world.install({ test: { enabled: true, namespace: 'default', googleServiceAccount } });
    const { status } = await world.api.json<{ status: { succeeded: number } }>('GET', job.job);
    expect(status.succeeded).toBe(1);
    await world.install();
    expect(await versions(job)).toEqual(absent(job));
  });

  test('what watches it goes when it is switched off', async () => {
    const [podMonitor, prometheusRule] = [{ enabled: true }, { enabled: true }];
    await world.install({ monitoring: { podMonitor, prometheusRule } });
    expect(Object.values(await versions(MONITORING_OBJECTS))).not.toContain(undefined);
    await world.install();
    expect(await versions(MONITORING_OBJECTS)).toEqual(absent(MONITORING_OBJECTS));
  });

  test('without the webhook nothing of it is left, its certificates neither; the server is as it was', async () => {
    const before = await versions(OBJECTS);
    await world.install({ webhook: { enabled: false } });
    expect(await versions(WEBHOOK_OBJECTS)).toEqual(absent(WEBHOOK_OBJECTS));
    expect(await versions(OBJECTS)).toEqual(before);
    const command = ['true'];
    await pods.create({ name: 'not-asked', serviceAccountName: 'reader', command });
    expect(await pods.get('not-asked')).not.toHaveProperty('spec.initContainers');
  });
});
