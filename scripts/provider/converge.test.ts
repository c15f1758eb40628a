import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { join } from 'node:path';
import { type SandboxWorld, startSandboxWorld } from '../../server/sandbox/sandbox-world.ts';
import { readClusterIssuer } from './cluster-issuer.ts';
import { converge } from './converge.ts';
import { Gcloud } from './gcloud.ts';
import { gcloud } from './gcloud-stand-in.ts';
import { StandInIAM } from './iam-stand-in.ts';
import { Programs } from './programs.ts';

// each starts programs, on a machine that may have other things to do
setDefaultTimeout(120_000);

const SLOW_MACHINE = 120_000;
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

describe('Google takes some seconds to show a change', () => {
  const run = (command: readonly string[]) =>
    command[0] === 'kubectl'
      ? programs.run(command)
      : gcloud(command.slice(1), {
          CLOUDSDK_API_ENDPOINT_OVERRIDES_IAM: iam.url,
          CLOUDSDK_AUTH_ACCESS_TOKEN_FILE: 'token',
        });
  async function converged(lag: number) {
    iam.lag = lag;
    const cluster = await readClusterIssuer(run, [`--kubeconfig=${programs.kubeconfig}`]);
    const jwksFile = join(programs.folder, 'jwks.json');
    await Bun.write(jwksFile, cluster.jwks);
    const names = { project: 'project', pool: 'pool', provider: 'cluster' };
    const pauses: number[] = [];
    const effects = {
      tell: () => {},
      sleep: async (milliseconds: number) => {
        pauses.push(milliseconds);
      },
    };
    const wanted = { names, cluster, publicIssuer: false, jwksFile };
    return { pauses, outcome: await converge(new Gcloud(run, 'project'), wanted, effects).catch(String) };
  }

  test(
    'each is waited for, and asked for once',
    async () => {
      const { outcome, pauses } = await converged(3);
      expect(outcome).toMatchObject({ steps: 2, provider: { name: NAME } });
      expect(iam.changes).toHaveLength(2);
      expect(pauses.length).toBeGreaterThan(2);
    },
    SLOW_MACHINE,
  );

  test(
    'for a minute at most',
    async () => {
      const { outcome, pauses } = await converged(1000);
      expect(outcome).toContain('does not show its effect: there is no pool pool');
      expect(pauses.reduce((sum, pause) => sum + pause)).toBe(60_000);
    },
    SLOW_MACHINE,
  );
});
