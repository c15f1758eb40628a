import { afterAll, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Inhabitant } from '../../../server/sandbox/inhabitants.ts';
import { type SandboxWorld, startSandboxWorld } from '../../../server/sandbox/sandbox-world.ts';
import { redirectingProxy } from '../../redirecting-proxy.ts';
import { standInCertificate, variablesTrusting } from '../../stand-in-certificate.ts';
import { TIMEOUT } from '../client-suite.ts';
import { CleanHome } from '../pod-place.ts';
import { installOthers, type OtherProgram } from './other-programs.ts';

setDefaultTimeout(TIMEOUT);

const HOST = '127.0.0.1';
const AWS_AUDIENCE = 'sts.amazonaws.com';
const AZURE_AUDIENCE = 'api://AzureADTokenExchange';
const PUBLIC_AUTHORITY = 'login.microsoftonline.com';

const installed = await installOthers();
const programs = installed.flatMap((program) => ('notRun' in program ? [] : [program]));
const missing = installed.flatMap((program) => ('notRun' in program ? [program] : []));
const awsCli = programs.flatMap(({ awsCli }) => awsCli ?? [])[0];

interface Seen {
  readonly arn?: string;
  readonly token?: string;
  readonly error?: string;
}

/** AWS's and Azure's clients as they are, with the variables and the token file that their webhooks give a Pod. */
describe.skipIf(Bun.which('openssl') === null)('a token of the cluster in a file', () => {
  const stack = new AsyncDisposableStack();
  let world: SandboxWorld;
  let home: CleanHome;
  let folder: string;
  let proxy: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gkems-tokens-'));
    stack.defer(() => rm(folder, { recursive: true, force: true }));
    home = stack.use(await CleanHome.create());
    const { tls, authority } = await standInCertificate([HOST, PUBLIC_AUTHORITY]);
    await Bun.write(join(folder, 'ca.crt'), authority);
    world = stack.use(await startSandboxWorld({ tls }));
    proxy = stack.use(await redirectingProxy(HOST, world.entra.url)).url;
  }, TIMEOUT);
  afterAll(() => stack.disposeAsync(), TIMEOUT);
  beforeEach(() => {
    world.aws.journal.clear();
    world.entra.journal.clear();
  });

  function inhabitant(name: Inhabitant['name']): Inhabitant {
    const found = world.inhabitants.find((candidate) => candidate.name === name);
    if (found === undefined) throw new Error(`the sandbox has no '${name}'`);
    return found;
  }

  /** A file with a token of the inhabitant's ServiceAccount; with a bad signature if `forged`. */
  async function tokenFile(
    { namespace, serviceAccountName }: Inhabitant,
    audience: string,
    forged = false,
  ): Promise<string> {
    const account = { namespace, name: serviceAccountName };
    const token = await world.kubernetes.projectedToken(account, audience);
    const path = join(folder, crypto.randomUUID());
    await Bun.write(path, forged ? `${token.slice(0, token.lastIndexOf('.'))}.AAAA` : token);
    return path;
  }

  async function run(command: readonly string[], variables: Readonly<Record<string, string>>) {
    const all = { ...variablesTrusting(join(folder, 'ca.crt')), ...variables };
    const { exitCode, stdout, stderr } = await home.run(command, all);
    return { exitCode, stdout, output: stdout + stderr };
  }

  async function look(
    program: OtherProgram,
    client: string,
    variables: Record<string, string>,
  ): Promise<Seen> {
    const { exitCode, stdout, output } = await run([...program.command, client], variables);
    if (exitCode !== 0) throw new Error(`${program.name} ${client}: ${exitCode ?? 'killed'}\n${output}`);
    return JSON.parse(stdout);
  }

  async function awsVariables(of: Inhabitant, audience = AWS_AUDIENCE, forged = false) {
    return {
      AWS_ROLE_ARN: of.awsRole ?? '',
      AWS_WEB_IDENTITY_TOKEN_FILE: await tokenFile(of, audience, forged),
      AWS_REGION: 'eu-west-1',
      // Python's clients read this one
      AWS_DEFAULT_REGION: 'eu-west-1',
      AWS_ENDPOINT_URL_STS: world.aws.url,
    };
  }

  async function azureVariables(of: Inhabitant, audience = AZURE_AUDIENCE, forged = false) {
    return {
      AZURE_CLIENT_ID: of.azureClientID ?? '',
      AZURE_TENANT_ID: world.azureTenantID,
      AZURE_FEDERATED_TOKEN_FILE: await tokenFile(of, audience, forged),
    };
  }

  const actions = () => world.aws.journal.calls.map(({ action, status }) => [action, status]);
  const ASSUMED = /^arn:aws:sts::111122223333:assumed-role\/reader\/.+/;

  for (const { name, notRun } of missing) test.skip(`not run: ${name} (${notRun})`, () => undefined);

  for (const program of programs) {
    describe(program.name, () => {
      test('AWS: the SDK assumes the role, and its credentials work', async () => {
        const seen = await look(program, 'aws-caller', await awsVariables(inhabitant('annotated')));
        expect(seen.arn).toMatch(ASSUMED);
        expect(actions()).toEqual([
          ['AssumeRoleWithWebIdentity', 200],
          ['GetCallerIdentity', 200],
        ]);
      });

      test('AWS: the SDK retries if it is throttled', async () => {
        world.aws.faults.sts.failWith(429, 1);
        const seen = await look(program, 'aws-caller', await awsVariables(inhabitant('annotated')));
        expect(seen.arn).toMatch(ASSUMED);
        expect(actions()).toEqual([
          ['AssumeRoleWithWebIdentity', 400],
          ['AssumeRoleWithWebIdentity', 200],
          ['GetCallerIdentity', 200],
        ]);
      });

      test('AWS: the SDK shows why STS refuses', async () => {
        const [annotated, denied] = [inhabitant('annotated'), inhabitant('denied')];
        const errors = [
          await look(program, 'aws-caller', await awsVariables(denied)),
          await look(program, 'aws-caller', await awsVariables(annotated, 'https://kubernetes.default.svc')),
          await look(program, 'aws-caller', await awsVariables(annotated, AWS_AUDIENCE, true)),
        ].map(({ error }) => error);
        expect(errors).toEqual([
          expect.stringContaining('Not authorized to perform sts:AssumeRoleWithWebIdentity'),
          expect.stringContaining('Incorrect token audience'),
          expect.stringContaining('could not be validated by AWS'),
        ]);
        // Go asks again after the latter
        const codes = new Set(world.aws.journal.calls.map(({ code }) => code));
        expect([...codes]).toEqual(['AccessDenied', 'InvalidIdentityToken']);
      });

      test('Azure: WorkloadIdentityCredential gets a token, with no option but its variables', async () => {
        const of = inhabitant('annotated');
        // the authority is Microsoft's own name, which here leads to the stand-in
        const variables = { ...(await azureVariables(of)), HTTPS_PROXY: proxy };
        const { token = '' } = await look(program, 'azure-workload', variables);
        expect(await world.entra.describe(token)).toMatchObject({
          tenantID: world.azureTenantID,
          clientID: of.azureClientID,
          resource: 'https://vault.azure.net',
        });
      });

      test('Azure: WorkloadIdentityCredential gets a token of the authority in AZURE_AUTHORITY_HOST', async () => {
        const of = inhabitant('annotated');
        const variables = { ...(await azureVariables(of)), AZURE_AUTHORITY_HOST: world.entra.url };
        const { token = '' } = await look(program, 'azure-workload-anywhere', variables);
        expect(await world.entra.describe(token)).toMatchObject({ clientID: of.azureClientID });
      });

      test('Azure: WorkloadIdentityCredential shows why Entra refuses', async () => {
        const [annotated, denied] = [inhabitant('annotated'), inhabitant('denied')];
        const errors: unknown[] = [];
        for (const variables of [
          await azureVariables(denied),
          await azureVariables(annotated, AWS_AUDIENCE),
          await azureVariables(annotated, AZURE_AUDIENCE, true),
          { ...(await azureVariables(annotated)), AZURE_CLIENT_ID: '00000000-0000-0000-0000-000000000000' },
        ]) {
          const { error } = await look(program, 'azure-workload', { ...variables, HTTPS_PROXY: proxy });
          errors.push(/AADSTS\d+/.exec(error ?? '')?.[0]);
        }
        expect(errors).toEqual(['AADSTS70025', 'AADSTS700212', 'AADSTS700027', 'AADSTS700016']);
      });
    });
  }

  describe.skipIf(awsCli === undefined)('AWS CLI', () => {
    const command = awsCli ?? 'aws';

    test('finds its credentials by the variables', async () => {
      const variables = await awsVariables(inhabitant('annotated'));
      const { stdout, output } = await run([command, 'sts', 'get-caller-identity'], variables);
      expect(output).toContain('Account');
      expect(JSON.parse(stdout).Arn).toMatch(ASSUMED);
    });

    test('assume-role-with-web-identity, and assume-role refused with those credentials', async () => {
      const of = inhabitant('annotated');
      const { AWS_ENDPOINT_URL_STS, AWS_DEFAULT_REGION, ...variables } = await awsVariables(of);
      const endpoint = { AWS_ENDPOINT_URL_STS, AWS_DEFAULT_REGION };
      const token = await Bun.file(variables.AWS_WEB_IDENTITY_TOKEN_FILE).text();
      const session = ['--role-arn', variables.AWS_ROLE_ARN, '--role-session-name', 'cli'];
      const assumed = await run(
        [command, 'sts', 'assume-role-with-web-identity', ...session, '--web-identity-token', token],
        endpoint,
      );
      const { Credentials, AssumedRoleUser } = JSON.parse(assumed.stdout);
      expect(AssumedRoleUser.Arn).toBe('arn:aws:sts::111122223333:assumed-role/reader/cli');
      const refused = await run([command, 'sts', 'assume-role', ...session], {
        ...endpoint,
        AWS_ACCESS_KEY_ID: Credentials.AccessKeyId,
        AWS_SECRET_ACCESS_KEY: Credentials.SecretAccessKey,
        AWS_SESSION_TOKEN: Credentials.SessionToken,
      });
      expect(refused.output).toContain(
        `User: ${AssumedRoleUser.Arn} is not authorized to perform: sts:AssumeRole on resource: ${of.awsRole}`,
      );
    });
  });
});
