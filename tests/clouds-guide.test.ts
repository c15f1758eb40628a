import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT } from 'jose';
import { runOrThrow } from '../scripts/run.ts';
import { StandInAws } from '../server/sandbox/stand-in-aws.ts';
import { StandInEntra } from '../server/sandbox/stand-in-entra.ts';

// each starts programs, on a machine that may have other things to do
setDefaultTimeout(120_000);

const CLOUDS = join(import.meta.dir, '../docs/clouds');
const ISSUER = 'https://my-issuers.s3.eu-central-1.amazonaws.com/my-cluster';
const ACCOUNT = '111122223333';
const TENANT = '11111111-1111-1111-1111-111111111111';
const CLIENT = '22222222-2222-2222-2222-222222222222';
const ROLE = `arn:aws:iam::${ACCOUNT}:role/app`;

const page = (name: string) => Bun.file(join(CLOUDS, `${name}.md`)).text();

async function shellBlocks(name: string): Promise<string[]> {
  return [...(await page(name)).matchAll(/^```sh\n(.*?)^```/gms)].map(([, text = '']) => text);
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gkems-clouds-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** A cluster's key, published as at its issuer, and tokens of its ServiceAccounts. */
async function newIssuer() {
  const { publicKey, privateKey } = await generateKeyPair('RS256');
  const kid = await calculateJwkThumbprint(publicKey);
  return {
    jwks: { keys: [{ ...(await exportJWK(publicKey)), kid, use: 'sig', alg: 'RS256' }] },
    token: (subject: string, audience: string) =>
      new SignJWT({})
        .setProtectedHeader({ alg: 'RS256', kid })
        .setIssuer(ISSUER)
        .setSubject(subject)
        .setAudience([audience])
        .setIssuedAt()
        .setNotBefore('0s')
        .setExpirationTime('1h')
        .sign(privateKey),
  };
}

async function post(url: string, form: Record<string, string>): Promise<[number, string]> {
  const response = await fetch(url, { method: 'POST', body: new URLSearchParams(form) });
  return [response.status, await response.text()];
}

/** A program on the PATH of {@link shell} that writes each of its command lines down and answers with a script. */
async function program(name: string, answer: string): Promise<void> {
  const file = join(folder, 'bin', name);
  await Bun.write(file, `#!/bin/sh\nprintf '%s\\n' "$*" >> '${folder}/${name}.calls'\n${answer}\n`);
  await chmod(file, 0o755);
}

function shell(script: string): Promise<string> {
  return runOrThrow(['sh', '-e', '-c', script], {
    cwd: folder,
    env: { PATH: `${folder}/bin:/usr/bin:/bin` },
  });
}

const calls = async (name: string) =>
  (await Bun.file(join(folder, `${name}.calls`)).text()).trim().split('\n');

test('the commands for AWS make a role that the one ServiceAccount can assume', async () => {
  await program('kubectl', `echo '{"issuer":"${ISSUER}","jwks_uri":"https://other"}'`);
  await program('aws', `case "$*" in *get-caller-identity*) echo ${ACCOUNT};; esac`);
  const blocks = await shellBlocks('aws');
  const setup = blocks.filter((block) =>
    /^aws iam create-(open-id|role)|create-open-id-connect/m.test(block),
  );
  expect(setup).toHaveLength(2);
  await shell(setup.join('\n'));

  const commands = (await calls('aws')).join('\n');
  const [, url, clientID = ''] =
    /create-open-id-connect-provider --url (\S+) --client-id-list (\S+)/.exec(commands) ?? [];
  expect([url, clientID]).toEqual([ISSUER, 'sts.amazonaws.com']);
  expect(await calls('kubectl')).toContain(`annotate serviceaccount app eks.amazonaws.com/role-arn=${ROLE}`);

  await using aws = await new StandInAws().start();
  const cluster = await newIssuer();
  aws.issuers.publish(ISSUER, cluster.jwks);
  aws.iam.putOpenIDConnectProvider({ accountID: ACCOUNT, url: ISSUER, clientIDs: [clientID] });
  aws.iam.putRole({ arn: ROLE, trustPolicy: await Bun.file(join(folder, 'trust.json')).json() });
  const assume = async (subject: string, audience = 'sts.amazonaws.com') => {
    const form = { Action: 'AssumeRoleWithWebIdentity', Version: '2011-06-15', RoleArn: ROLE };
    const token = await cluster.token(subject, audience);
    return post(aws.url, { ...form, RoleSessionName: 'app', WebIdentityToken: token });
  };
  expect((await assume('system:serviceaccount:default:app'))[0]).toBe(200);
  const denied = expect.stringContaining('Not authorized to perform sts:AssumeRoleWithWebIdentity');
  for (const other of ['system:serviceaccount:default:other', 'system:serviceaccount:other:app']) {
    expect(await assume(other)).toEqual([403, denied]);
  }
  const wrong = expect.stringContaining('Incorrect token audience');
  expect(await assume('system:serviceaccount:default:app', 'other')).toEqual([400, wrong]);
});

test('the commands for Azure make a managed identity that the one ServiceAccount can use', async () => {
  await program('kubectl', `echo '{"issuer":"${ISSUER}","jwks_uri":"https://other"}'`);
  await program('az', `case "$*" in *principalId*) echo ${TENANT};; *clientId*) echo ${CLIENT};; esac`);
  const setup = (await shellBlocks('azure')).filter((block) => block.includes('az identity create'));
  expect(setup).toHaveLength(1);
  await shell(setup.join('\n'));

  const commands = (await calls('az')).join('\n');
  const [, issuer = '', subject = '', audience = ''] =
    /federated-credential create .*--issuer (\S+) --subject (\S+) --audiences (\S+)/.exec(commands) ?? [];
  expect(issuer).toBe(ISSUER);
  expect(commands).toContain(`--assignee-object-id ${TENANT} --assignee-principal-type ServicePrincipal`);
  const annotated = `annotate serviceaccount app azure.workload.identity/client-id=${CLIENT}`;
  expect(await calls('kubectl')).toContain(annotated);

  await using entra = await new StandInEntra().start();
  const cluster = await newIssuer();
  entra.issuers.publish(ISSUER, cluster.jwks);
  entra.directory.addTenant({ id: TENANT, name: 'tenant' });
  entra.directory.addIdentity({ tenantID: TENANT, clientID: CLIENT, kind: 'managed identity' });
  entra.directory.addFederatedCredential(TENANT, CLIENT, { issuer, subject, audience });
  const signIn = async (sub: string, aud = 'api://AzureADTokenExchange') =>
    post(`${entra.url}/${TENANT}/oauth2/v2.0/token`, {
      grant_type: 'client_credentials',
      client_id: CLIENT,
      scope: 'https://vault.azure.net/.default',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: await cluster.token(sub, aud),
    });
  expect((await signIn('system:serviceaccount:default:app'))[0]).toBe(200);
  const refused = (code: string): [number, string] => [expect.any(Number), expect.stringContaining(code)];
  expect(await signIn('system:serviceaccount:default:other')).toEqual(refused('AADSTS700213'));
  expect(await signIn('system:serviceaccount:default:app', 'other')).toEqual(refused('AADSTS700212'));
});

const PAGES = [...new Bun.Glob('*.md').scanSync(CLOUDS)].map((file) => file.replace('.md', '')).sort();

test.each(PAGES)('%s.md: its commands are those of a shell', async (name) => {
  for (const block of await shellBlocks(name))
    await shell(`sh -n <<'BLOCK_OF_THE_PAGE'\n${block}\nBLOCK_OF_THE_PAGE`);
});

/** Texts of SDKs and clouds that the stand-ins do not have, and their sources. */
const OF_OTHERS = [
  // issues of aws-actions/configure-aws-credentials, and of alphagov/gsp
  "OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint",
  // botocore, @aws-sdk/credential-provider-node
  'Unable to locate credentials',
  'Could not load credentials from any providers',
  'You must specify a region',
  'Region is missing',
  'AccessDenied',
  '403',
  // Azure/azure-workload-identity, docs/book/src/troubleshooting.md
  'AADSTS70021: No matching federated identity record found for presented assertion',
  'AADSTS90061',
  'AADSTS50166',
  // azure-identity for Python and JavaScript
  'The workload options are not fully configured',
  'CredentialUnavailableError',
  'AuthorizationFailed',
  'AuthorizationPermissionMismatch',
  // google-auth for Python
  'Unable to acquire impersonated credentials',
  'was not found.',
];

/** Placeholders in the page for values in the sources. */
const VALUE = /…|https:\/\/|iam\.serviceAccounts\.\w+|3600|86400|assertion (?=issuer|audience|subject)/;

test.each(['aws', 'azure', 'google-external-account'])(
  "%s.md: the texts that it explains are shown, by the webhook or the stand-ins, or are others' words",
  async (name) => {
    const sources: string[] = [];
    for await (const file of new Bun.Glob('server/**/*.ts').scan(join(import.meta.dir, '..'))) {
      if (!file.endsWith('.test.ts')) sources.push(await Bun.file(join(import.meta.dir, '..', file)).text());
    }
    const shown = sources
      .join('\n')
      .replaceAll("\\'", "'")
      // strings over several lines
      .replaceAll(/['"`] \+\n\s*['"`]/g, '');
    const [, troubleshooting = ''] = (await page(name)).split('\n## Troubleshooting\n');
    const texts = [...troubleshooting.matchAll(/^### (.*)$/gm)].flatMap(([, heading = '']) =>
      [...heading.matchAll(/`(.+?)`/g)].map(([, text = '']) => text),
    );
    expect(texts.length).toBeGreaterThan(5);
    const fragments = texts
      .filter((text) => !OF_OTHERS.some((words) => text.includes(words)))
      .flatMap((text) => text.replace(/^AADSTS(\d+): /, '$1…').split(VALUE))
      .map((fragment) => fragment.trim().replace(/^AADSTS/, ''))
      .filter((fragment) => fragment.length > 3);
    const plain = (text: string) => text.replaceAll(/[_\s]+/g, ' ');
    expect(fragments.filter((fragment) => !plain(shown).includes(plain(fragment)))).toEqual([]);
  },
);

test.each(['aws', 'azure', 'google-external-account'])(
  '%s.md: the values that it names are those of the module',
  async (name) => {
    const module = Bun.file(join(import.meta.dir, '../timoni/gke-metadata-server/README.md'));
    const values = [...(await module.text()).matchAll(/^\| `([\w.]+)` \|/gm)].map(([, path = '']) => path);
    const text = await page(name);
    const named = [...text.matchAll(/`((?:aws|azure|externalAccount|settings)\.[A-Za-z.]+)`/g)].map(
      ([, path = '']) => path,
    );
    // in blocks of CUE
    const blocks = [...text.matchAll(/^```cue\n(.*?)^```/gms)].map(([, block = '']) => block);
    const inBlocks = blocks.flatMap((block) => {
      const [, parent = ''] = /^(\w+):/.exec(block) ?? [];
      return [...block.matchAll(/(\w+):\s+(?=true|")/g)].map(([, value = '']) => `${parent}.${value}`);
    });
    expect(inBlocks.length).toBeGreaterThan(0);
    const missing = [...new Set([...named, ...inBlocks])].filter((path) => !values.includes(path));
    expect(missing).toEqual([]);
  },
);

test.each([
  ['aws', 'eks.amazonaws.com'],
  ['azure', 'azure.workload.identity'],
  ['google-external-account', 'cloud.google.com'],
])('%s.md: it explains the annotations and labels that the webhook reads', async (name, prefix) => {
  const server = join(import.meta.dir, '../server');
  const sources = await Promise.all(
    ['admission/injections', 'aws', 'azure']
      .flatMap((folder) => [...new Bun.Glob(`${folder}/*.ts`).scanSync(server)])
      .filter((file) => !file.endsWith('.test.ts'))
      .map((file) => Bun.file(join(server, file)).text()),
  );
  const ofPrefix = sources.filter((source) => source.includes(prefix));
  expect(ofPrefix).not.toBeEmpty();
  const keys = new Set(
    ofPrefix.flatMap((source) =>
      [...source.matchAll(/(?:PREFIX\}|'(?:azure\.workload\.identity|eks\.amazonaws\.com))\/([a-z-]+)/g)].map(
        ([, key = '']) => key,
      ),
    ),
  );
  expect(keys.size).toBeGreaterThan(4);
  const text = await page(name);
  expect([...keys].filter((key) => !text.includes(key))).toEqual([]);
  const [, section = ''] = text.split('\n## Annotations and values\n');
  const [table = ''] = section.trimStart().split('\n\n');
  const explained = [...table.matchAll(/^\| `(?:[\w.]+\/)?([a-z-]+)/gm)].map(([, key = '']) => key);
  expect(explained.length).toBeGreaterThan(4);
  expect(explained.filter((key) => !keys.has(key) && !/^(annotation|key)$/.test(key))).toEqual([]);
});

test.each([
  ['Annotations and values', 'aws-role-arn'],
  ['EKS Pod Identity', 'aws-pod-identity'],
])('aws.md, %s: what containers get is what they get in the golden case %s', async (heading, folder) => {
  const [, section = ''] = (await page('aws')).split(`\n## ${heading}\n`);
  const [, block = ''] = /^```yaml\n(containers:.*?)^```/ms.exec(section) ?? [];
  const golden = join(import.meta.dir, '../server/admission/testdata', folder, 'want.yaml');
  // the case's shape is checked by the webhook's own tests
  const { spec } = Bun.YAML.parse(await Bun.file(golden).text()) as {
    spec: { containers: readonly { image: string }[]; volumes: readonly { name: string }[] };
  };
  const said = JSON.stringify(Bun.YAML.parse(block))
    .replace('role/app', 'role/s3-reader')
    .replace('82417', '79200');
  expect(JSON.parse(said)).toEqual({
    containers: spec.containers.map(({ image: _, ...rest }) => rest),
    volumes: spec.volumes.filter(({ name }) => name !== 'data'),
  });
});
