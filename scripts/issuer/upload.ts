import { join } from 'node:path';
import { KEY_SET_PATH } from '../../server/kubernetes/cluster-keys.ts';
import { DISCOVERY_PATH } from '../provider/cluster-issuer.ts';
import { shellLine } from '../provider/command-line.ts';
import { discoveryURL, keySetURL } from './issuer-url.ts';

const TYPE = 'application/json';
/** Short, so that a new key is seen soon. */
const CACHE = 'max-age=300';

/** A file and the path of its object in the bucket. */
type Upload = (file: string, object: string) => readonly string[];

/** The bucket that serves an issuer, if its host is one of a cloud's, and the path below which the objects lie. */
function bucketOf(issuer: string): { readonly prefix: string; readonly upload: Upload } | undefined {
  const { hostname, pathname } = new URL(issuer);
  const path = pathname.split('/').filter((part) => part !== '');
  const flags = [`--content-type=${TYPE}`, `--cache-control=${CACHE}`];
  // the bucket is part of the host, or the first part of the path
  const [, inHost, cloud] =
    /^(?:(.+)\.)?(s3(?=(?:[.-][a-z0-9-]+)*\.amazonaws\.com(?:\.cn)?$)|storage(?=\.googleapis\.com$))/.exec(
      hostname,
    ) ?? [];
  if (cloud !== undefined) {
    const [bucket = 'BUCKET', ...rest] = inHost === undefined ? path : [inHost, ...path];
    const copy = cloud === 's3' ? ['aws', 's3', 'cp'] : ['gcloud', 'storage', 'cp'];
    const scheme = cloud === 's3' ? 's3' : 'gs';
    return {
      prefix: rest.join('/'),
      upload: (file, object) => [...copy, file, `${scheme}://${bucket}/${object}`, ...flags],
    };
  }
  const [, account, service] =
    /^([a-z0-9]+)(?:\.z\d+)?\.(blob|web)\.core\.windows\.net$/.exec(hostname) ?? [];
  if (account === undefined) return undefined;
  const [container = '$web', ...rest] = service === 'web' ? ['$web', ...path] : path;
  return {
    prefix: rest.join('/'),
    upload: (file, object) => [
      ...['az', 'storage', 'blob', 'upload', '--auth-mode=login', '--overwrite'],
      ...[`--account-name=${account}`, `--container-name=${container}`, `--name=${object}`, `--file=${file}`],
      ...[`--content-type=${TYPE}`, `--content-cache-control=${CACHE}`],
    ],
  };
}

/** How to bring the documents in `folder` to the issuer's URL, the keys first: lines for a shell. */
export function uploadLines(issuer: string, folder: string): string[] {
  const bucket = bucketOf(issuer);
  if (bucket === undefined) {
    return [
      `# Serve these two with the Content-Type ${TYPE}, readable by everybody:`,
      `# ${join(folder, KEY_SET_PATH)} at ${keySetURL(issuer)}`,
      `# ${join(folder, DISCOVERY_PATH)} at ${discoveryURL(issuer)}`,
    ];
  }
  return [KEY_SET_PATH, DISCOVERY_PATH].map((path) =>
    shellLine(bucket.upload(join(folder, path), `${bucket.prefix}${path}`.replace(/^\//, ''))),
  );
}
