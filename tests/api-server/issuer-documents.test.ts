import { expect, test } from 'bun:test';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { createLocalJWKSet, decodeJwt, type JSONWebKeySet, jwtVerify } from 'jose';
import { StandInBucket } from '../../scripts/issuer/bucket-stand-in.ts';
import { Programs } from '../../scripts/provider/programs.ts';
import { OPENSSL_MISSING, selfSigned } from '../../server/testing/certificate-folder.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { startCluster } from '../cluster/start-cluster.ts';

const SCRIPT = join(import.meta.dir, '../../scripts/issuer-documents.ts');
const ACCOUNT = '/api/v1/namespaces/default/serviceaccounts/app';

/** A token for these audiences; for the API server itself by default. */
async function tokenOf({ api }: Cluster, ...audiences: readonly string[]): Promise<string> {
  const { status } = await api.json<{ status: { token: string } }>('POST', `${ACCOUNT}/token`, {
    body: {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { audiences, expirationSeconds: 3600 },
    },
  });
  return status.token;
}

/** Whether the API server takes a token as one of its own. */
async function isAccepted({ api }: Cluster, token: string): Promise<boolean> {
  const { status } = await api.json<{ status: { authenticated?: boolean } }>(
    'POST',
    '/apis/authentication.k8s.io/v1/tokenreviews',
    { body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token } } },
  );
  return status.authenticated === true;
}

test.skipIf(OPENSSL_MISSING)(
  'a real API server gets the issuer of a bucket, whose documents verify its tokens; tokens of before stay valid',
  async () => {
    await using bucket = await StandInBucket.start(await selfSigned('bucket'));
    await using cluster = await startCluster({ mode: 'api' });
    const body = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'app' } };
    await cluster.api.json('POST', '/api/v1/namespaces/default/serviceaccounts', { body });
    await using programs = await Programs.start(
      await Bun.file(cluster.kubeconfig).text(),
      'http://127.0.0.1:1',
    );
    const issuer = `${bucket.url}/my-cluster`;
    const output = join(programs.folder, 'out');
    const script = (...args: string[]) =>
      programs.run(
        [process.execPath, SCRIPT, `--kubeconfig=${programs.kubeconfig}`, `--issuer=${issuer}`, ...args],
        { NODE_EXTRA_CA_CERTS: bucket.certificateFile },
      );

    const before = await tokenOf(cluster);
    const refused = await script(`--output=${output}`);
    expect([refused.exitCode, refused.stdout]).toEqual([1, '']);
    const flags = refused.stderr.match(/^ {2}--service-account-\S+$/gm)?.map((flag) => flag.trim()) ?? [];
    expect(flags).toHaveLength(3);

    // the last of them, the issuer until now, is among the API server's own
    await cluster.restartApiServer(flags.slice(0, 2));
    const written = await script(`--output=${output}`);
    expect([written.exitCode, written.stderr]).toEqual([0, expect.stringContaining('wrote ')]);
    await cp(output, join(bucket.folder, 'my-cluster'), { recursive: true });
    const check = await script('--check');
    expect([check.exitCode, check.stdout]).toEqual([0, '']);

    // as a cloud verifies: from the issuer in the token to the document, and on to the keys
    const token = await tokenOf(cluster, 'sts.amazonaws.com');
    const ca = await Bun.file(bucket.certificateFile).text();
    const discovery = await get<{ jwks_uri: string }>(
      `${decodeJwt(token).iss}/.well-known/openid-configuration`,
      ca,
    );
    const keys = createLocalJWKSet(await get<JSONWebKeySet>(discovery.jwks_uri, ca));
    const { payload } = await jwtVerify(token, keys, { issuer, audience: 'sts.amazonaws.com' });
    expect(payload.sub).toBe('system:serviceaccount:default:app');

    expect(decodeJwt(before).iss).not.toBe(issuer);
    expect(await isAccepted(cluster, before)).toBe(true);
    expect(await isAccepted(cluster, await tokenOf(cluster))).toBe(true);
  },
  180_000,
);

async function get<Document>(url: string, ca: string): Promise<Document> {
  // what the script has written
  return (await (await fetch(url, { tls: { ca } })).json()) as Document;
}
