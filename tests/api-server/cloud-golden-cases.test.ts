import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { Cluster } from '../cluster/cluster.ts';
import { startCluster } from '../cluster/start-cluster.ts';
import { waitUntil } from '../wait-until.ts';
import { comparable, type GoldenCase, goldenCaseNames, prepareGoldenCase } from './golden-cases.ts';
import { type Creation, InjectingWebhook } from './injecting-webhook.ts';

const longest = 180_000;

const TENANT_ID = '11111111-1111-1111-1111-111111111111';
const PROVIDER =
  'projects/123456789012/locations/global/workloadIdentityPools/clusters/providers/this-cluster';

/** The webhooks of most golden cases of a cloud: its flags, and the values of the module that have it asked. */
const WEBHOOKS = [
  { flags: ['--inject-aws=true'], values: { aws: { enabled: true } } },
  {
    flags: ['--inject-aws-pod-identity=true'],
    values: { aws: { podIdentity: { enabled: true } } },
  },
  {
    flags: ['--inject-aws=true', '--inject-aws-pod-identity=true'],
    values: { aws: { enabled: true, podIdentity: { enabled: true } } },
  },
  {
    flags: ['--inject-azure=true', `--azure-tenant-id=${TENANT_ID}`],
    values: { azure: { enabled: true, tenantID: TENANT_ID } },
  },
  {
    flags: ['--inject-aws=true', '--aws-credentials=MetadataServer'],
    values: { aws: { enabled: true, credentials: 'MetadataServer' } },
  },
  {
    flags: ['--inject-azure=true', '--azure-credentials=MetadataServer', `--azure-tenant-id=${TENANT_ID}`],
    values: { azure: { enabled: true, credentials: 'MetadataServer', tenantID: TENANT_ID } },
  },
  { flags: ['--inject-google-to-aws=true'], values: { googleToAws: { enabled: true } } },
  {
    flags: ['--inject-external-account=true', `--external-account-provider=${PROVIDER}`],
    values: { externalAccount: { enabled: true, provider: PROVIDER } },
  },
];

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster({ mode: 'api', certManager: true });
}, longest);
afterAll(async () => {
  await cluster?.stop();
});

describe.each(WEBHOOKS)('a webhook with $flags', ({ flags, values }) => {
  let injecting: InjectingWebhook;
  /** Each case, in a Namespace of its own, and what its want.yaml becomes with no webhook. */
  let cases: readonly GoldenCase[];

  beforeAll(async () => {
    injecting = await InjectingWebhook.start(cluster, { flags, values });
    cases = await Promise.all(goldenCaseNames(flags).map((name) => prepareGoldenCase(name, injecting)));
    await injecting.register();
    const namespace = await injecting.addNamespace();
    const labels = { 'azure.workload.identity/use': 'true', 'admission.token-injector/enabled': 'true' };
    const probe = {
      metadata: { name: 'probe', labels },
      spec: { containers: [{ name: 'a', image: 'none' }] },
    };
    await waitUntil('the webhook may read ServiceAccounts', async () => {
      const { message = '' } = await injecting.create(namespace, probe);
      return !message.includes('cannot read');
    });
  }, longest);
  afterAll(async () => {
    await injecting?.[Symbol.asyncDispose]();
  });

  test.each(goldenCaseNames(flags))('%s', async (name) => {
    const found = cases.find((one) => one.name === name);
    if (found === undefined) throw new Error(`the case ${name} was not prepared`);
    const { namespace, pod, wanted, refusal, warnings } = found;
    const created = await injecting.create(namespace, pod);
    if (refusal !== undefined || wanted === undefined) {
      expect([created.status, created.message]).toEqual([
        403,
        expect.stringContaining(refusal ?? 'a refusal'),
      ]);
      return;
    }
    expect(withoutJitter(created)).toEqual(withoutJitter(wanted));
    expect(created.warnings.filter((text) => !wanted.warnings.includes(text))).toEqual([...warnings]);
    if (created.status !== 201) return;
    // copied from a live Pod: the second time changes nothing
    expect(comparable(await injecting.create(namespace, created.pod))).toEqual(comparable(created));
  });
});

/** EKS Pod Identity draws the default expiration of its token from a range: golden cases have its lower end. */
function withoutJitter(creation: Creation): unknown {
  const text = JSON.stringify(comparable(creation));
  return JSON.parse(
    text.replaceAll(/"expirationSeconds":(\d+),("path":"eks-pod-identity-token")/g, (all, seconds, path) =>
      Number(seconds) >= 79_200 && Number(seconds) <= 86_400 ? `"expirationSeconds":79200,${path}` : all,
    ),
  );
}
