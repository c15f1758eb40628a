import { expect, test } from 'bun:test';
import { uploadLines } from './upload.ts';

const FLAGS = '--content-type=application/json --cache-control=max-age=300';

test.each([
  ['https://bucket.s3.eu-central-1.amazonaws.com', 'aws s3 cp', 's3://bucket/'],
  ['https://my.bucket.s3.amazonaws.com/team/a', 'aws s3 cp', 's3://my.bucket/team/a/'],
  ['https://s3.eu-central-1.amazonaws.com/bucket/a/', 'aws s3 cp', 's3://bucket/a/'],
  ['https://s3-eu-west-1.amazonaws.com/bucket', 'aws s3 cp', 's3://bucket/'],
  ['https://bucket.s3.cn-north-1.amazonaws.com.cn', 'aws s3 cp', 's3://bucket/'],
  ['https://storage.googleapis.com/bucket', 'gcloud storage cp', 'gs://bucket/'],
  ['https://bucket.storage.googleapis.com/a', 'gcloud storage cp', 'gs://bucket/a/'],
])('%s: %s', (issuer, copy, base) => {
  expect(uploadLines(issuer, '/out')).toEqual([
    `${copy} /out/openid/v1/jwks ${base}openid/v1/jwks ${FLAGS}`,
    `${copy} /out/.well-known/openid-configuration ${base}.well-known/openid-configuration ${FLAGS}`,
  ]);
});

test.each([
  ['https://account.blob.core.windows.net/container', '--container-name=container --name=openid/v1/jwks'],
  ['https://account.blob.core.windows.net/container/a', '--container-name=container --name=a/openid/v1/jwks'],
  ['https://account.z6.web.core.windows.net', `--container-name='$web' --name=openid/v1/jwks`],
  ['https://account.z6.web.core.windows.net/a', `--container-name='$web' --name=a/openid/v1/jwks`],
])('%s: Azure', (issuer, place) => {
  const [keys = ''] = uploadLines(issuer, '/out');
  const words = keys.replaceAll("'--container-name=$web'", "--container-name='$web'");
  expect(words).toContain(
    `az storage blob upload --auth-mode=login --overwrite --account-name=account ${place}`,
  );
});

test.each([
  'https://oidc.example.com/a',
  'https://s3.example.com',
  'https://storage.googleapis.com.example.com',
])('%s: what to serve where', (issuer) => {
  expect(uploadLines(issuer, '/out').join('\n')).toContain(
    `# /out/openid/v1/jwks at ${issuer}/openid/v1/jwks`,
  );
});
