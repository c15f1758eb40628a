import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { StandInIAM } from '../../../scripts/provider/iam-stand-in.ts';
import { ATTRIBUTE_MAPPING } from '../../../scripts/provider/plan.ts';
import { Programs } from '../../../scripts/provider/programs.ts';
import { startSandboxWorld } from '../../../server/sandbox/sandbox-world.ts';

const PROVIDER = 'pool/cluster';
const NAME = 'projects/123456789012/locations/global/workloadIdentityPools/pool/providers/cluster';
const GCLOUD = Bun.which('gcloud');
// gcloud starts a dozen times
const SLOW_MACHINE = 300_000;

test.skipIf(GCLOUD === null)(
  'create-or-update-provider does the same by the real gcloud as by its stand-in',
  async () => {
    await using world = await startSandboxWorld();
    using iam = new StandInIAM();
    using other = new StandInIAM();
    await using programs = await Programs.start(world.kubeconfig, iam.url);
    await programs.script();
    await Bun.write(join(programs.folder, 'bin/gcloud'), `#!/bin/sh\nexec '${GCLOUD}' "$@"\n`);
    const real = (...args: string[]) =>
      programs.script(args, { CLOUDSDK_API_ENDPOINT_OVERRIDES_IAM: other.url });

    const created = await real();
    expect([created.exitCode, created.stdout]).toEqual([0, expect.stringContaining(NAME)]);
    expect(other.get(PROVIDER)).toEqual(iam.get(PROVIDER));

    other.set(PROVIDER, {
      attributeMapping: { 'google.subject': 'assertion.sub', 'attribute.own': 'f(a, b)' },
    });
    other.set(PROVIDER, {
      oidc: { issuerUri: 'https://other', jwksJson: '{}', allowedAudiences: ['other'] },
    });
    other.delete(PROVIDER);
    other.delete('pool');
    const restored = await real();
    expect([restored.exitCode, restored.stdout]).toEqual([0, created.stdout]);
    expect(other.get(PROVIDER)).toMatchObject({
      state: 'ACTIVE',
      attributeMapping: { ...ATTRIBUTE_MAPPING, 'attribute.own': 'f(a, b)' },
      oidc: {
        issuerUri: world.kubernetes.issuer,
        allowedAudiences: ['other', `//iam.googleapis.com/${NAME}`],
      },
    });
    expect((await real('--public-issuer')).exitCode).toBe(0);
    expect(other.get(PROVIDER)).toMatchObject({ oidc: { jwksJson: '' } });
    other.refusal = 'SERVICE_DISABLED';
    expect((await real('--check')).stderr).toContain('gcloud services enable');
  },
  SLOW_MACHINE,
);
