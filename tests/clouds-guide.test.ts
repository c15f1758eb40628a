import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT } from 'jose';
import { runOrThrow } from '../scripts/run.ts';
import { StandInAws } from '../server/sandbox/stand-in-aws.ts';

// each starts programs, on a machine that may have other things to do
setDefaultTimeout(120_000);

const CLOUDS = join(import.meta.dir, '../docs/clouds');
const ISSUER = 'https://my-issuers.s3.eu-central-1.amazonaws.com/my-cluster';
const ACCOUNT = '111122223333';
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
  const { publicKey, privateKey } = await generateKeyPair('RS256');
  const kid = await calculateJwkThumbprint(publicKey);
  aws.issuers.publish(ISSUER, { keys: [{ ...(await exportJWK(publicKey)), kid, use: 'sig', alg: 'RS256' }] });
  aws.iam.putOpenIDConnectProvider({ accountID: ACCOUNT, url: ISSUER, clientIDs: [clientID] });
  aws.iam.putRole({ arn: ROLE, trustPolicy: await Bun.file(join(folder, 'trust.json')).json() });
  const assume = async (subject: string, audience = 'sts.amazonaws.com') => {
    const token = await new SignJWT({})
      .setProtectedHeader({ alg: 'RS256', kid })
      .setIssuer(ISSUER)
      .setSubject(subject)
      .setAudience([audience])
      .setIssuedAt()
      .setExpirationTime('1h')
      .sign(privateKey);
    const form = { Action: 'AssumeRoleWithWebIdentity', Version: '2011-06-15', RoleArn: ROLE };
    const body = new URLSearchParams({ ...form, RoleSessionName: 'app', WebIdentityToken: token });
    const response = await fetch(aws.url, { method: 'POST', body });
    return [response.status, await response.text()] as const;
  };
  expect((await assume('system:serviceaccount:default:app'))[0]).toBe(200);
  for (const other of ['system:serviceaccount:default:other', 'system:serviceaccount:other:app']) {
    const [status, text] = await assume(other);
    expect([status, text]).toEqual([
      403,
      expect.stringContaining('Not authorized to perform sts:AssumeRoleWithWebIdentity'),
    ]);
  }
  const [status, text] = await assume('system:serviceaccount:default:app', 'other');
  expect([status, text]).toEqual([400, expect.stringContaining('Incorrect token audience')]);
});

const PAGES = [...new Bun.Glob('*.md').scanSync(CLOUDS)].map((file) => file.replace('.md', '')).sort();

test.each(PAGES)('%s.md: its commands are those of a shell', async (name) => {
  for (const block of await shellBlocks(name))
    await shell(`sh -n <<'BLOCK_OF_THE_PAGE'\n${block}\nBLOCK_OF_THE_PAGE`);
});

/** Texts of SDKs and clouds that the stand-ins do not say, and where they are from. */
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

/** What stands where the sources have a value in its place. */
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

test.each([
  ['aws', 'eks.amazonaws.com'],
  ['azure', 'azure.workload.identity'],
  ['google-external-account', 'cloud.google.com'],
])('%s.md: it explains the annotations and labels that the webhook reads', async (name, prefix) => {
  const injections = join(import.meta.dir, '../server/admission/injections');
  const sources = await Promise.all(
    [...new Bun.Glob('*.ts').scanSync(injections)].map((file) => Bun.file(join(injections, file)).text()),
  );
  const ofPrefix = sources.filter((source) => source.includes(prefix));
  expect(ofPrefix).not.toBeEmpty();
  const keys = new Set(
    ofPrefix.flatMap((source) => [...source.matchAll(/PREFIX\}\/([a-z-]+)/g)].map(([, key = '']) => key)),
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
