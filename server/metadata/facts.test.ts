import { describe, expect, test } from 'bun:test';
import { PRINCIPAL_AS_EMAIL_ANNOTATION } from '../google/google-account.ts';
import { annotated, EMAIL, FakeMetadata } from '../testing/fake-metadata.ts';
import { isRegionOrZone, UNKNOWN_LOCATION, warnOfLocation } from './facts.ts';

const V1 = '/computeMetadata/v1/';
const SA = `${V1}instance/service-accounts/`;

describe('the account', () => {
  test('without an annotation is the workload identity pool', async () => {
    const metadata = new FakeMetadata();
    metadata.annotations = annotated();
    expect(await metadata.text(`${SA}default/email`)).toEqual([200, 'my-project.svc.id.goog']);
    expect(await metadata.text(SA)).toEqual([200, 'default/\nmy-project.svc.id.goog/\n']);
    expect((await metadata.get(`${SA}my-project.svc.id.goog/token`)).status).toBe(200);
    expect((await metadata.get(`${SA}${EMAIL}/token`)).status).toBe(404);
  });

  test('has the principal as its email if the annotation asks for it, and may be named by it', async () => {
    const metadata = new FakeMetadata();
    metadata.annotations = { [PRINCIPAL_AS_EMAIL_ANNOTATION]: 'true' };
    const principal =
      'principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/pool/subject/system:serviceaccount:shop:checkout';
    expect(await metadata.text(`${SA}default/email`)).toEqual([200, principal]);
    expect(await metadata.text(SA)).toEqual([200, 'default/\nmy-project.svc.id.goog/\n']);
    expect(await (await metadata.get(`${SA}default/?recursive=true`)).json()).toMatchObject({
      email: principal,
    });
    for (const name of [principal, encodeURIComponent(principal), 'my-project.svc.id.goog']) {
      expect((await metadata.get(`${SA}${name}/token`)).status).toBe(200);
      expect((await metadata.get(`${SA}${name}/?recursive=true`)).status).toBe(200);
    }
    expect((await metadata.get(`${SA}${principal}x/token`)).status).toBe(404);
    metadata.annotations = { ...annotated(EMAIL), [PRINCIPAL_AS_EMAIL_ANNOTATION]: 'true' };
    expect(await metadata.text(`${SA}default/email`)).toEqual([200, EMAIL]);
    expect((await metadata.get(`${SA}${principal}/token`)).status).toBe(404);
  });

  test('may be named by its email, encoded or not; any other is nothing, whoever has it', async () => {
    const metadata = new FakeMetadata();
    for (const name of [EMAIL, EMAIL.replace('@', '%40')]) {
      expect((await metadata.get(`${SA}${name}/token`)).status).toBe(200);
      const redirect = await metadata.get(`${SA}${name}?recursive=true`);
      expect([redirect.status, redirect.headers.get('location')]).toEqual([
        301,
        `${SA}${name}/?recursive=true`,
      ]);
    }
    for (const name of [
      'other@my-project.iam.gserviceaccount.com',
      ':account',
      '__proto__',
      '',
      'default%00',
    ]) {
      expect(await metadata.text(`${SA}${name}/token`)).toEqual([404, 'Not Found\n']);
    }
  });

  test('annotated with something other than an email is refused, naming the ServiceAccount', async () => {
    const metadata = new FakeMetadata();
    metadata.annotations = annotated('not an email');
    const [status, body] = await metadata.text(`${SA}default/email`);
    expect([status, body]).toEqual([404, expect.stringContaining('(shop/checkout)')]);
  });
});

describe('the instance', () => {
  test('has the configured location, else the zone, else the region of the Node, else one that is unknown', async () => {
    const metadata = new FakeMetadata();
    const location = async (clusterLocation = '') => {
      const request = new Request(`http://metadata${V1}instance/zone`, {
        headers: { 'Metadata-Flavor': 'Google' },
      });
      return (await metadata.app({ clusterLocation }).handle(request)).text();
    };
    expect(await location('here')).toBe('projects/123456789012/zones/here');
    expect(await location()).toBe('projects/123456789012/zones/eu-west-1b');
    const node = metadata.node;
    if (node === undefined) throw new Error('the Node is known here');
    metadata.node = { ...node, labels: { 'topology.kubernetes.io/region': 'eu-west-1' } };
    expect(await location()).toBe('projects/123456789012/zones/eu-west-1');
    for (const labels of [{}, { 'topology.kubernetes.io/zone': '', 'topology.kubernetes.io/region': '' }]) {
      metadata.node = { ...node, labels };
      expect(await location()).toBe('projects/123456789012/zones/unknown-location');
    }
  });

  test('has an id below 2^53, another for another Node', async () => {
    const ids = new Set<number>();
    for (const uid of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']) {
      const metadata = new FakeMetadata();
      metadata.node = { name: 'node-1', uid, addresses: [], podRanges: [], labels: {}, annotations: {} };
      const [, id] = await metadata.text(`${V1}instance/id`);
      expect(String(Number(id))).toBe(id);
      expect(Number.isSafeInteger(Number(id))).toBe(true);
      ids.add(Number(id));
    }
    expect(ids.size).toBe(8);
  });

  test('is 503 while the Node is not known, for what comes from it alone', async () => {
    const metadata = new FakeMetadata();
    metadata.node = undefined;
    const response = await metadata.get(`${V1}instance/id`);
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1']);
    expect((await metadata.get(`${V1}instance/hostname`)).status).toBe(200);
  });
});

test.each([
  [UNKNOWN_LOCATION, true],
  ['europe-west1', true],
  ['europe-west1-b', true],
  ['eu-west-1a', true],
  ['nova', false],
  ['a-b-c-d', false],
  ['europe-', false],
  ['-west1', false],
  ['', false],
])('%p is a region or a zone: %p', (location, expected) => {
  expect(isRegionOrZone(location)).toBe(expected);
});

const ZONE = 'topology.kubernetes.io/zone';

/** What is logged of a Node with these labels, that is known after it was looked for twice. */
async function logged(labels: Record<string, string>, clusterLocation = ''): Promise<object[]> {
  const lines: object[] = [];
  let looked = 0;
  await warnOfLocation(
    {
      settings: { clusterLocation },
      node: () => (++looked < 3 ? undefined : { labels }),
      effects: { sleep: async () => {} },
      log: { warn: (fields, message) => lines.push({ ...fields, message }) },
    },
    new AbortController().signal,
  );
  return lines;
}

describe('the location of the cluster', () => {
  test('that nobody has set is warned of once, with a remedy', async () => {
    expect(await logged({})).toEqual([
      {
        location: 'unknown-location',
        message: 'the location of the cluster is unknown',
        remedy: expect.stringContaining('--cluster-location'),
      },
    ]);
  });

  test('that clients treat as neither a region nor a zone is warned of', async () => {
    const message = 'the location of the cluster is neither a region nor a zone';
    expect(await logged({ [ZONE]: 'nova' })).toMatchObject([{ location: 'nova', message }]);
    expect(await logged({ [ZONE]: 'europe-west1-b' }, 'attic')).toMatchObject([
      { location: 'attic', message },
    ]);
  });

  test('that is a zone or a region is not warned of', async () => {
    expect(await logged({ [ZONE]: 'eu-west-1a' })).toEqual([]);
    expect(await logged({}, 'europe-west1')).toEqual([]);
  });

  test('is no longer waited for once the server shuts down', async () => {
    const ending = new AbortController();
    const options = {
      settings: { clusterLocation: '' },
      node: () => undefined,
      effects: { sleep: () => Promise.reject(new Error('aborted')) },
      log: { warn: () => expect.unreachable() },
    };
    await warnOfLocation(options, ending.signal);
  });
});
