import { expect, test } from 'bun:test';
import type { Caller } from '../../caller/caller.ts';
import { Ec2Api } from './ec2-api.ts';

const ROLE = 'arn:aws:iam::111122223333:role/path/app';
const CALLER: Caller = {
  serviceAccount: { namespace: 'ns', name: 'app', uid: 'sa-uid', annotations: {} },
  boundTo: { kind: 'Pod', name: 'pod', uid: 'pod-uid' },
};

async function ask(path: string): Promise<readonly [status: number, body: string]> {
  const api = new Ec2Api(
    {
      credentials: {
        roleOf: () => ROLE as never,
        cached: () => undefined,
        of: () => {
          throw new Error('not asked for');
        },
      },
      sessionKey: new Uint8Array(32),
      allowVersion1: true,
      region: 'eu-central-1',
    },
    () => ({ labels: { 'topology.kubernetes.io/zone': 'eu-central-1b' } }) as never,
    { now: () => 0 },
  );
  const request = { method: 'GET', path, tokenSeconds: null, token: null };
  const { response } = await api.respond(request, async () => CALLER);
  return [response.status, response.body];
}

// botocore asks for the zone with the slash, AWS's other SDKs without
test.each([
  ['/latest/meta-data/placement/availability-zone', 'eu-central-1b'],
  ['/latest/meta-data/placement/region', 'eu-central-1'],
  ['/latest/meta-data/iam/security-credentials', 'app'],
])('%s is the same with a slash at its end', async (path, body) => {
  expect(await ask(path)).toEqual([200, body]);
  expect(await ask(`${path}/`)).toEqual([200, body]);
  expect((await ask(`${path}//`))[0]).toBe(404);
});
