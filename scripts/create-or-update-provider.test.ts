import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type SandboxWorld, startSandboxWorld } from '../server/sandbox/sandbox-world.ts';
import { StandInIAM } from './provider/iam-stand-in.ts';
import { ATTRIBUTE_MAPPING } from './provider/plan.ts';
import { Programs } from './provider/programs.ts';

// each starts programs, on a machine that may have other things to do
setDefaultTimeout(120_000);

const SLOW_MACHINE = 120_000;
const POOL = 'pool';
const PROVIDER = 'pool/cluster';
const NAME = 'projects/123456789012/locations/global/workloadIdentityPools/pool/providers/cluster';

let world: SandboxWorld;
let iam: StandInIAM;
let programs: Programs;
beforeEach(async () => {
  world = await startSandboxWorld();
  iam = new StandInIAM();
  programs = await Programs.start(world.kubeconfig, iam.url);
});
afterEach(async () => {
  await programs[Symbol.asyncDispose]();
  iam[Symbol.dispose]();
  await world[Symbol.asyncDispose]();
});

/** The keys that the provider has, by name. */
function uploaded(): string[] {
  const { oidc } = iam.get(PROVIDER);
  const { jwksJson } = oidc as { jwksJson: string }; // as the script has uploaded it
  return JSON.parse(jwksJson).keys.map(({ kid }: { kid: string }) => kid);
}

const kids = () => world.kubernetes.jwks.keys.map(({ kid }) => kid ?? '');

test(
  'from nothing, then again: nothing changes, and it says so',
  async () => {
    const first = await programs.script();
    expect(first.stderr).toContain('there is no pool pool');
    expect(first.exitCode).toBe(0);
    expect(first.stdout).toContain('settings: projectID:                "project"\n');
    expect(first.stdout).toContain(`settings: workloadIdentityProvider: "${NAME}"\n`);
    expect(iam.get(PROVIDER)).toMatchObject({
      state: 'ACTIVE',
      attributeMapping: ATTRIBUTE_MAPPING,
      oidc: { issuerUri: world.kubernetes.issuer },
    });
    expect(uploaded()).toEqual(kids());
    expect(iam.changes).toHaveLength(2);

    const second = await programs.script();
    expect([second.exitCode, second.stdout]).toEqual([0, first.stdout]);
    expect(second.stderr).toContain('nothing was changed');
    expect(iam.changes).toHaveLength(2);
  },
  SLOW_MACHINE,
);

test(
  'a rotation: --check fails and names the key, a run uploads it, --check is silent',
  async () => {
    await programs.script();
    const kid = await world.kubernetes.addKey();
    const check = await programs.script(['--check']);
    expect([check.exitCode, check.stdout]).toEqual([
      1,
      `the provider lacks the cluster's key ${kid}: Google refuses what it signs\n`,
    ]);
    expect(uploaded()).not.toContain(kid);

    const run = await programs.script();
    expect([run.exitCode, uploaded()]).toEqual([0, kids()]);
    const after = await programs.script(['--check']);
    expect([after.exitCode, after.stdout]).toEqual([0, '']);
  },
  SLOW_MACHINE,
);

test(
  '--dry-run changes nothing, and its commands do in a shell what a run does',
  async () => {
    const dry = await programs.script(['--dry-run']);
    expect(dry.exitCode).toBe(0);
    expect(iam.changes).toEqual([]);
    const file = join(programs.folder, 'commands.sh');
    await Bun.write(file, dry.stdout);
    const shell = await programs.run(['sh', '-e', file]);
    expect([shell.exitCode, shell.stderr]).toEqual([0, '']);
    const check = await programs.script(['--check']);
    expect([check.exitCode, check.stdout]).toEqual([0, '']);
    const again = await programs.script(['--dry-run']);
    expect([again.exitCode, again.stdout]).toEqual([0, '']);
  },
  SLOW_MACHINE,
);

test.each([
  ['nobody is logged in', { CLOUDSDK_AUTH_ACCESS_TOKEN_FILE: undefined }],
  ['there is no gcloud', { PATH: 'kubectl alone' }],
])(
  '--dry-run if %s: the commands that somebody else runs',
  async (_, environment) => {
    const path = join(programs.folder, 'kubectl-alone');
    await mkdir(path);
    await copyFile(join(programs.folder, 'bin/kubectl'), join(path, 'kubectl'));
    const without = 'PATH' in environment ? { PATH: path } : environment;
    const dry = await programs.script(['--dry-run'], without);
    expect(dry).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('cannot ask Google') });
    const file = join(programs.folder, 'commands.sh');
    await Bun.write(file, dry.stdout);
    const shell = await programs.run(['sh', '-e', file]);
    expect([shell.exitCode, shell.stderr]).toEqual([0, '']);
    expect((await programs.script(['--check'])).exitCode).toBe(0);
  },
  SLOW_MACHINE,
);

test(
  'what somebody has deleted is restored; what somebody has disabled is not',
  async () => {
    await programs.script();
    iam.delete(POOL);
    iam.delete(PROVIDER);
    const check = await programs.script(['--check']);
    expect([check.exitCode, check.stdout]).toEqual([
      1,
      'the pool pool was deleted\nthe provider cluster was deleted\n',
    ]);
    expect((await programs.script()).exitCode).toBe(0);
    expect([iam.get(POOL).state, iam.get(PROVIDER).state]).toEqual(['ACTIVE', 'ACTIVE']);

    iam.set(PROVIDER, { disabled: true });
    const disabled = await programs.script();
    expect([disabled.exitCode, disabled.stdout]).toEqual([1, '']);
    expect(disabled.stderr).toContain('providers update-oidc cluster --project=project');
    expect(iam.get(PROVIDER)).toMatchObject({ disabled: true });
  },
  SLOW_MACHINE,
);

describe('its errors', () => {
  test.each([
    ['no kubectl', { PATH: '/nowhere' }, 'kubectl is not on PATH'],
    ['nobody logged in', { CLOUDSDK_AUTH_ACCESS_TOKEN_FILE: undefined }, 'Log in: gcloud auth login'],
  ])(
    '%s',
    async (_, environment, text) => {
      const { exitCode, stderr } = await programs.script([], environment);
      expect([exitCode, stderr]).toEqual([1, expect.stringContaining(text)]);
    },
    SLOW_MACHINE,
  );

  test.each([
    ['SERVICE_DISABLED', 'gcloud services enable iam.googleapis.com sts.googleapis.com'],
    ['IAM_PERMISSION_DENIED', 'roles/iam.workloadIdentityPoolAdmin'],
  ] as const)(
    '%s',
    async (refusal, text) => {
      iam.refusal = refusal;
      const { exitCode, stderr } = await programs.script(['--check']);
      expect([exitCode, stderr]).toEqual([1, expect.stringContaining(text)]);
    },
    SLOW_MACHINE,
  );

  test(
    'a cluster that is away, or may not be asked',
    async () => {
      world.kubernetes.faults.openid.failWith(403);
      expect((await programs.script()).stderr).toContain('system:service-account-issuer-discovery');
      await world.kubernetes.stop();
      expect((await programs.script()).stderr).toContain('Choose the cluster with --kubeconfig');
    },
    SLOW_MACHINE,
  );

  test(
    'bad use is 2, and --help is 0',
    async () => {
      for (const args of [['--pool=gcp-x'], ['--provider=Upper'], ['--check', '--dry-run'], ['--unknown']]) {
        expect((await programs.script(args)).exitCode).toBe(2);
      }
      expect((await programs.script(['--help'])).exitCode).toBe(0);
      expect(iam.changes).toEqual([]);
    },
    SLOW_MACHINE,
  );
});
