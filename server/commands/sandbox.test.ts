import { expect, test } from 'bun:test';
import { systemEffects } from '../core/effects.ts';
import { sandboxSettings, startSandboxWorld } from '../sandbox/sandbox-world.ts';
import { tour } from '../sandbox/tour.ts';
import { startServing } from './serve.ts';

const SLOW_MACHINE = 60_000;

test(
  'the tour shows a Pod that is somebody in all three clouds, and one that each of them refuses',
  async () => {
    await using world = await startSandboxWorld();
    const cluster = { server: world.kubernetes.url, authenticate: async () => ({ headers: {}, tls: {} }) };
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    await using serving = await startServing(sandboxSettings(world), {
      ...{ cluster, effects: systemEffects, log },
    });
    const lines: string[] = [];
    const print = (line: string) => lines.push(line);
    await tour({ world, serverPort: serving.serverPort, clock: () => performance.now(), print });
    const [, annotated = '', direct = '', denied = '', , webhook = ''] = lines
      .join('\n')
      .split('── ')
      .filter((_, i) => i % 2 === 0);
    expect(annotated).toContain('gets         200, an access token of serviceAccount:reader@');
    expect(annotated).toContain(
      'gets         200, credentials of arn:aws:sts::111122223333:assumed-role/reader/',
    );
    expect(annotated).toMatch(/gets {9}200, a token of client [0-9a-f-]+ for \d+ s/);
    expect(direct).not.toContain('security-credentials');
    expect(denied).toContain('gets         403 ');
    expect(denied).toContain('gets         200, AssumeRoleUnauthorizedAccess: ');
    expect(webhook).toMatch(/\n {3}google +\S+ → container init-network/);
    expect(webhook).toMatch(/\n {3}aws +\S+ → AWS_ROLE_ARN, AWS_WEB_IDENTITY_TOKEN_FILE/);
    expect(webhook).toMatch(
      /\n {3}aws-pod-identity +gke-metadata-server\.matheuscscp\.io\/aws-pod-identity → AWS_CONTAINER_CREDENTIALS_FULL_URI, /,
    );
    expect(webhook).toMatch(/\n {3}azure +\S+ → AZURE_CLIENT_ID, AZURE_TENANT_ID, /);
    expect(webhook).toMatch(/\n {3}google-to-aws +\S+ → .*AWS_ROLE_ARN/);
    expect(webhook).toMatch(/\n {3}external-account +\S+ → .*GOOGLE_APPLICATION_CREDENTIALS/);
    expect(denied).toContain('gets         400 {"error":"invalid_client"');
  },
  SLOW_MACHINE,
);
