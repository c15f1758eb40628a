import { expect, setDefaultTimeout, test } from 'bun:test';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ATTRIBUTE_MAPPING } from '../scripts/provider/plan.ts';
import { run } from '../scripts/run.ts';

// each starts programs, on a machine that may have other things to do
setDefaultTimeout(120_000);

const FOLDER = join(import.meta.dir, '../docs/terraform');

test('the Terraform example maps the attributes that the script maps', async () => {
  const main = await Bun.file(join(FOLDER, 'google/main.tf')).text();
  const [, block = ''] = /attribute_mapping = \{\n(.*?)\n {2}\}/s.exec(main) ?? [];
  const pairs = [...block.matchAll(/"(.+?)" *= "(.+?)"/g)].map(([, key, value]) => [key, value]);
  expect(Object.fromEntries(pairs)).toEqual(ATTRIBUTE_MAPPING);
});

test.skipIf(Bun.which('terraform') === null)('they are HCL, formatted as Terraform formats it', async () => {
  const { exitCode, stdout } = await run(['terraform', 'fmt', '-check', '-diff', '-recursive', FOLDER]);
  expect([exitCode, stdout]).toEqual([0, '']);
});

/** What `terraform plan` says of an example's variables alone, which need no provider. */
async function planVariables(cloud: string, variables: Readonly<Record<string, unknown>>) {
  const folder = await mkdtemp(join(tmpdir(), 'gkems-terraform-'));
  try {
    await copyFile(join(FOLDER, cloud, 'variables.tf'), join(folder, 'variables.tf'));
    await Bun.write(join(folder, 'terraform.tfvars.json'), JSON.stringify(variables));
    const { exitCode, stderr } = await run(['terraform', 'plan', '-input=false', '-no-color'], {
      cwd: folder,
    });
    return { exitCode, text: stderr.replaceAll(/\s*\n[│╷╵ ]*/g, ' ') };
  } finally {
    await rm(folder, { recursive: true });
  }
}

const ISSUER = 'https://bucket.s3.eu-central-1.amazonaws.com/my-cluster';
const AWS = { issuer: ISSUER, roles: { app: { service_accounts: ['default/app'] } } };
const AZURE = {
  ...{ cluster: 'my-cluster', issuer: ISSUER, resource_group_name: 'g', location: 'westeurope' },
  identities: { app: { service_accounts: ['default/app'], roles: [{ name: 'Reader', scope: '/' }] } },
};
const GOOGLE = { project_id: 'p', pool_id: 'pool', issuer: ISSUER };
const GOOGLE_TO_AWS = {
  ...{ project_id: 'p', project_number: '123456789012', pool_id: 'pool' },
  roles: { 'app-reader': { service_accounts: ['team/app'] } },
};
const twentyOne = Array.from({ length: 21 }, (_, number) => `default/app-${number}`);

test.skipIf(Bun.which('terraform') === null).each([
  ['google', GOOGLE, undefined],
  ['google', { ...GOOGLE, issuer: 'http://issuer' }, 'Google takes https issuers only.'],
  ['google', { ...GOOGLE, allowed_audiences: ['sts.googleapis.com'] }, "The provider's own name is missing"],
  ['aws', AWS, undefined],
  ['aws', { ...AWS, issuer: `${ISSUER}/` }, undefined],
  ['aws', { ...AWS, issuer: 'https://10.0.0.1:6443' }, 'AWS takes https URLs with no port'],
  ['aws', { ...AWS, roles: { app: { service_accounts: [] } } }, 'at least one ServiceAccount'],
  ['aws', { ...AWS, roles: { app: { service_accounts: ['default/*'] } } }, 'as NAMESPACE/NAME'],
  ['google-to-aws', GOOGLE_TO_AWS, undefined],
  ['google-to-aws', { ...GOOGLE_TO_AWS, project_number: 'p' }, 'not its ID'],
  ['google-to-aws', { ...GOOGLE_TO_AWS, roles: { app: { service_accounts: ['team/app'] } } }, '6 to 30'],
  [
    'google-to-aws',
    { ...GOOGLE_TO_AWS, roles: { 'app-reader': { service_accounts: ['app'] } } },
    'as NAMESPACE/NAME',
  ],
  ['azure', AZURE, undefined],
  ['azure', { ...AZURE, cluster: 'my cluster' }, '1 to 30 of letters'],
  ['azure', { ...AZURE, issuer: 'http://issuer' }, 'Entra takes https issuers only.'],
  ['azure', { ...AZURE, identities: { app: { service_accounts: ['app'] } } }, 'Each is NAMESPACE/NAME'],
  ['azure', { ...AZURE, identities: { app: { service_accounts: twentyOne } } }, 'Azure allows 20'],
] as const)('%s, variables %#', async (cloud, variables, refusal) => {
  const { exitCode, text } = await planVariables(cloud, variables);
  expect(exitCode === 0).toBe(refusal === undefined);
  if (refusal !== undefined) expect(text).toContain(refusal);
});
