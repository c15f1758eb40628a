import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { installClients } from './client-programs.ts';
import { AUDIENCE, SCOPES, sandboxPods, TIMEOUT, testClients, tokenInfo, verified } from './client-suite.ts';
import { choosePodNetwork } from './pod-network.ts';
import type { SandboxPod } from './sandbox-pods.ts';

setDefaultTimeout(TIMEOUT);

const network = await choosePodNetwork();
const clients = await installClients();
const podOf = sandboxPods(network);

testClients(`Google's client libraries, ${network.description}`, clients, podOf);

/** What curl prints of a request with the flavor header: the body, then the code and the URL it ended at. */
async function curl(pod: SandboxPod, path: string): Promise<{ status: string; url: string; body: string }> {
  const origin = pod.place.origin;
  const flags = ['--silent', '--show-error', '--location', '--header', 'Metadata-Flavor: Google'];
  const command = ['curl', ...flags, '--write-out', '\n%{http_code}\n%{url_effective}', `${origin}${path}`];
  const { exitCode, stdout, stderr } = await pod.place.run(command);
  if (exitCode !== 0) throw new Error(`curl ${path}: ${exitCode ?? 'killed'} ${stderr}`);
  const lines = stdout.split('\n');
  const [status = '', url = ''] = lines.splice(-2);
  return { status, url: url.slice(origin.length), body: lines.join('\n') };
}

describe.skipIf(Bun.which('curl') === null)(`curl, ${network.description}`, () => {
  const V1 = '/computeMetadata/v1';
  const ACCOUNTS = `${V1}/instance/service-accounts`;

  test('follows a directory without its slash, and keeps the query', async () => {
    const pod = podOf('annotated');
    const email = pod.inhabitant.googleAccount;
    const { status, url, body } = await curl(pod, `${ACCOUNTS}/default?recursive=true`);
    expect({ status, url }).toEqual({ status: '200', url: `${ACCOUNTS}/default/?recursive=true` });
    expect(JSON.parse(body)).toMatchObject({ aliases: ['default'], email });
  });

  test('gets a token that Google takes, without a scope and with one', async () => {
    const pod = podOf('annotated');
    const email = pod.inhabitant.googleAccount;
    for (const [query, scope] of [
      ['', expect.stringContaining('cloud-platform')],
      [`?scopes=${SCOPES[0]}`, SCOPES[0]],
    ]) {
      const { access_token, token_type } = JSON.parse(
        (await curl(pod, `${ACCOUNTS}/default/token${query}`)).body,
      );
      expect(token_type).toBe('Bearer');
      expect(await tokenInfo(pod, access_token)).toMatchObject({ email, scope });
    }
  });

  test('makes the requests that gcloud makes', async () => {
    const pod = podOf('annotated');
    const email = pod.inhabitant.googleAccount;
    const get = async (path: string) => (await curl(pod, path)).body;
    expect({
      number: await get(`${V1}/project/numeric-project-id`),
      project: await get(`${V1}/project/project-id`),
      accounts: await get(`${ACCOUNTS}/`),
      email: await get(`${ACCOUNTS}/default/email`),
      zone: await get(`${V1}/instance/zone`),
      universe: await get(`${V1}/universe/universe-domain`),
    }).toEqual({
      number: '123456789012',
      project: 'sandbox-project',
      accounts: `default/\n${email}/\n`,
      email: `${email}`,
      zone: 'projects/123456789012/zones/europe-west1-b',
      universe: 'googleapis.com',
    });
    expect(JSON.parse(await get(`${ACCOUNTS}/${email}/?recursive=true`))).toMatchObject({ email });
    const { access_token } = JSON.parse(await get(`${ACCOUNTS}/${email}/token`));
    expect(await tokenInfo(pod, access_token)).toMatchObject({ email });
    const query = `audience=${encodeURIComponent(AUDIENCE)}&format=standard&licenses=FALSE`;
    expect(await verified(pod, await get(`${ACCOUNTS}/default/identity?${query}`))).toMatchObject({ email });
  });
});
