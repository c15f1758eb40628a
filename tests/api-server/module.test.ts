import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { X509Certificate } from 'node:crypto';
import type { ModuleValues } from '../../scripts/module/render.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { type ObjectReference, Objects, describe as words } from '../cluster/objects.ts';
import { startCluster } from '../cluster/start-cluster.ts';
import { installer, installModule } from '../install-module.ts';
import { ModuleInstance } from '../module-instance.ts';
import { waitUntil } from '../wait-until.ts';
import { issueAnew } from './certificate-requests.ts';

const longest = 180_000;
const INSTANCE = { name: 'gke-metadata-server', namespace: 'metadata' };
const VALUES = {
  image: { repository: 'registry.example.com/gke-metadata-server', tag: '1.2.3' },
  settings: {
    projectID: 'example-project',
    workloadIdentityProvider:
      'projects/123456789012/locations/global/workloadIdentityPools/pool/providers/cluster',
  },
};
const WEBHOOK_CONFIGURATIONS = ['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration'];

let cluster: Cluster;
let objects: Objects;
let module: ModuleInstance;
beforeAll(async () => {
  cluster = await startCluster({ mode: 'api', certManager: true });
  objects = new Objects(cluster.api);
  module = await ModuleInstance.render(VALUES, INSTANCE);
  expect(await install()).toEqual([]);
}, longest);
afterAll(() => cluster?.stop());

/** With values beside those that are required; returns what the API server warned of. */
function install(values: ModuleValues = {}): Promise<readonly string[]> {
  return installModule(cluster, { ...INSTANCE, values: { ...VALUES, ...values }, hasNodes: false });
}

/** Of type kubernetes.io/tls, with cert-manager's addition. */
interface TlsSecret {
  readonly data: Readonly<Record<'tls.crt' | 'tls.key' | 'ca.crt', string>>;
}

/** A key pair as cert-manager keeps it. */
interface Issued {
  readonly certificate: X509Certificate;
  readonly authority: X509Certificate;
  readonly privateKey: string;
}

/** What is in the Secret of a Certificate of the module, once it is there. */
function issued(name: 'ca' | 'webhook'): Promise<Issued> {
  const metadata = { name: module.nameOf(name), namespace: INSTANCE.namespace };
  return waitUntil(`${name} is issued`, async () => {
    const secret = await objects.get({ apiVersion: 'v1', kind: 'Secret', metadata });
    if (secret === undefined) return undefined;
    const { data } = secret as unknown as TlsSecret;
    return {
      certificate: new X509Certificate(Buffer.from(data['tls.crt'], 'base64')),
      authority: new X509Certificate(Buffer.from(data['ca.crt'], 'base64')),
      privateKey: data['tls.key'],
    };
  });
}

function issuedAfter(name: 'ca' | 'webhook', before: Issued): Promise<Issued> {
  return waitUntil(`${name} is issued again`, async () => {
    const now = await issued(name);
    return now.certificate.serialNumber !== before.certificate.serialNumber && now;
  });
}

/** Whether the API server knows the webhook by this authority, whichever of its webhooks it asks. */
async function isTrusted({ fingerprint256 }: X509Certificate): Promise<boolean> {
  const configurations = WEBHOOK_CONFIGURATIONS.map((kind) => objects.get(module.object(kind)));
  return (await Promise.all(configurations)).every((configuration) => {
    const { webhooks } = configuration as unknown as WebhookConfiguration;
    return webhooks.every(({ clientConfig: { caBundle = '' } }) =>
      certificatesIn(atob(caBundle)).some((one) => one.fingerprint256 === fingerprint256),
    );
  });
}

/** cert-manager adds the authorities that come to those that it has injected before. */
function certificatesIn(bundle: string): X509Certificate[] {
  const certificates = bundle.match(/-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----/gs) ?? [];
  return certificates.map((pem) => new X509Certificate(pem));
}

/** As the API server has it, of either kind. */
interface WebhookConfiguration {
  readonly webhooks: readonly { readonly clientConfig: { readonly caBundle?: string } }[];
}

/** Resolves when it is. */
async function untilTrusted(authority: X509Certificate): Promise<void> {
  await waitUntil('the authority is injected', () => isTrusted(authority));
}

function isSignedBy({ certificate }: Issued, authority: X509Certificate): boolean {
  return certificate.checkIssued(authority) && certificate.verify(authority.publicKey);
}

const days = ({ validFromDate, validToDate }: X509Certificate) =>
  (validToDate.getTime() - validFromDate.getTime()) / 86_400_000;

describe(installer(), () => {
  test(
    'the webhook gets a certificate for its Service, from an authority that the API server trusts',
    async () => {
      const [authority, webhook] = [await issued('ca'), await issued('webhook')];
      expect(isSignedBy(webhook, authority.certificate)).toBe(true);
      expect(webhook.certificate.subjectAltName).toBe('DNS:gke-metadata-server-webhook.metadata.svc');
      expect([authority.certificate.ca, webhook.certificate.ca]).toEqual([true, false]);
      expect([authority, webhook].map(({ certificate }) => days(certificate))).toEqual([3650, 90]);
      expect(webhook.certificate.publicKey.asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' });
      await untilTrusted(authority.certificate);
    },
    longest,
  );

  test(
    "a deleted Secret is made again, with another key; the API server's trust does not change",
    async () => {
      const before = await issued('webhook');
      const metadata = { name: module.nameOf('webhook'), namespace: INSTANCE.namespace };
      await objects.delete({ apiVersion: 'v1', kind: 'Secret', metadata });
      const now = await issuedAfter('webhook', before);
      expect(now.privateKey).not.toBe(before.privateKey);
      expect(isSignedBy(now, before.authority)).toBe(true);
      expect(await isTrusted(now.authority)).toBe(true);
    },
    longest,
  );

  test(
    'the authority is renewed with the key that it has: certificates from before and after are good under both',
    async () => {
      const [authority, webhook] = [await issued('ca'), await issued('webhook')];
      await issueAnew(cluster.api, INSTANCE.namespace, module.nameOf('ca'));
      const renewed = await issuedAfter('ca', authority);
      expect(renewed.privateKey).toBe(authority.privateKey);
      // the signer may not have seen the renewed one yet
      const now = await waitUntil('the webhook has the renewed authority', async () => {
        const before = await issued('webhook');
        await issueAnew(cluster.api, INSTANCE.namespace, module.nameOf('webhook'));
        const after = await issuedAfter('webhook', before);
        return after.authority.serialNumber === renewed.certificate.serialNumber && after;
      });
      for (const one of [authority, renewed]) {
        expect([isSignedBy(webhook, one.certificate), isSignedBy(now, one.certificate)]).toEqual([
          true,
          true,
        ]);
      }
      await untilTrusted(renewed.certificate);
    },
    longest,
  );

  test(
    'applied again, nothing changes',
    async () => {
      const metadata = async () => {
        const all = module.sets.flatMap((set) => set.objects);
        return Promise.all(all.map(async (object) => [words(object), (await objects.get(object))?.metadata]));
      };
      // what cert-manager is still at may change meanwhile, but not for long
      await waitUntil('applying changes nothing', async () => {
        const before = await metadata();
        expect(before.map(([, found]) => found)).not.toContain(undefined);
        expect(await install()).toEqual([]);
        expect(await metadata()).toEqual(before);
        return true;
      });
    },
    longest,
  );

  test(
    'the certificate is renewed the configured time before expiry, again and again, each time with another key',
    async () => {
      // cert-manager issues none for less than an hour: these are to be renewed after two seconds
      await install({ certificates: { duration: '1h', renewBefore: '59m58s' } });
      const first = await issued('webhook');
      const second = await issuedAfter('webhook', first);
      const third = await issuedAfter('webhook', second);
      expect(new Set([first, second, third].map(({ privateKey }) => privateKey)).size).toBe(3);
      expect(days(third.certificate) * 24).toBe(1);
      expect(isSignedBy(third, first.authority)).toBe(true);
      await install();
    },
    longest,
  );

  test(
    'what is switched off is pruned, and comes back when it is switched on',
    async () => {
      const ofWebhook = ['certificates', 'webhook', 'admission'].flatMap((name) => [...module.set(name)]);
      const ofPolicies = module.set('policy');
      expect(await present(...ofWebhook, ...ofPolicies)).toHaveLength(ofWebhook.length + ofPolicies.length);
      await install({ webhook: { enabled: false }, policy: { tokenRequests: { enabled: false } } });
      expect(await present(...ofWebhook, ...ofPolicies)).toEqual([]);
      expect(await present(...module.set('server'))).toHaveLength(module.set('server').length);
      await install();
      expect(await present(...ofWebhook, ...ofPolicies)).toHaveLength(ofWebhook.length + ofPolicies.length);
      // of the Secret that was left behind, as cert-manager's are
      await untilTrusted((await issued('ca')).certificate);
    },
    longest,
  );
});

/** Those of them that are there. */
async function present(...references: readonly ObjectReference[]): Promise<string[]> {
  const found = references.map(async (reference) => (await objects.get(reference)) && words(reference));
  return (await Promise.all(found)).filter((name) => name !== undefined);
}
