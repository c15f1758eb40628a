import { expect, test } from 'bun:test';
import { StandInIAM } from '../../scripts/provider/iam-stand-in.ts';
import { Programs } from '../../scripts/provider/programs.ts';
import { anyCluster } from '../cluster/any-cluster.ts';

test("scripts/create-or-update-provider gives Google what a real cluster says of itself, and finds that it's equal", async () => {
  await using cluster = await anyCluster({ mode: 'api' });
  using iam = new StandInIAM();
  await using programs = await Programs.start(await Bun.file(cluster.kubeconfig).text(), iam.url);
  const { exitCode, stderr } = await programs.script();
  expect([exitCode, stderr]).toEqual([0, expect.stringContaining('there is no provider cluster')]);
  const { issuer } = await cluster.api.json<{ issuer: string }>('GET', '/.well-known/openid-configuration');
  const jwksJson = await cluster.api.text('GET', '/openid/v1/jwks');
  expect(iam.get('pool/cluster')).toMatchObject({ oidc: { issuerUri: issuer, jwksJson } });
  expect((await programs.script(['--check'])).exitCode).toBe(0);
}, 180_000);
