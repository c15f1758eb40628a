import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { join } from 'node:path';
import { generatedSchemas } from '../../scripts/module/schemas.ts';
import { SigningFailed } from '../../scripts/publish/cosign.ts';
import { Registry, RegistryError } from '../../scripts/publish/registry.ts';
import {
  NotVerified,
  publishRelease,
  type ReleaseOrder,
  VersionTaken,
} from '../../scripts/publish/release.ts';
import { ARTIFACT_NAMES, repositoryOf } from '../../scripts/publish/release-names.ts';
import { verifyRelease } from '../../scripts/publish/verification.ts';
import { Cache } from '../../scripts/tools/cache.ts';
import { goProgram } from '../../scripts/tools/go-program.ts';
import { LocalRegistry, type RegistryRequest } from './local-registry.ts';
import { cosign, type Key, makeKey, orderOf, scratchFolder, smallParts } from './small-release.ts';

// each runs a hundred programs, on a machine that may have other things to do
setDefaultTimeout(600_000);

let local: LocalRegistry;
let registry: Registry;
let schemas: string;
let folder: Awaited<ReturnType<typeof scratchFolder>>;
let key: Key;

beforeAll(async () => {
  const cache = new Cache();
  local = await LocalRegistry.start();
  registry = new Registry(await goProgram('crane', cache));
  schemas = await generatedSchemas(cache);
  folder = await scratchFolder();
  key = await makeKey(folder.path, 'release');
});

afterAll(async () => {
  await local[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

interface Changes {
  readonly password?: string;
  readonly parts?: (parts: ReturnType<typeof smallParts>) => ReturnType<typeof smallParts>;
}

async function publish(order: ReleaseOrder, { password, parts = (same) => same }: Changes = {}) {
  await using work = await scratchFolder();
  const tools = { registry, cosign: await cosign(password) };
  return publishRelease(order, parts(smallParts(order, schemas)), work.path, tools, () => {});
}

/** A place of its own in the registry. */
const place = (name: string) => `${local.host}/${name}`;

/** The tags of a release, without those of digests: what users could find. */
async function tagsAt(at: string): Promise<Record<string, readonly string[]>> {
  const found: Record<string, readonly string[]> = {};
  for (const name of ARTIFACT_NAMES) {
    const tags = await registry.tagsOf(repositoryOf(name, at));
    found[name] = tags.filter((tag) => !tag.startsWith('sha256-')).sort();
  }
  return found;
}

const nothing = { image: [], module: [], manifests: [], chart: [] };
const all = (...tags: string[]) => Object.fromEntries(ARTIFACT_NAMES.map((name) => [name, tags]));

async function problems(at: string, order: ReleaseOrder) {
  const { version, url: sourceURL } = order.source;
  const tools = { registry, cosign: await cosign() };
  const checks = await verifyRelease(at, { version, sourceURL, signer: order.signer }, tools);
  return checks.filter(({ isGood }) => !isGood).map(({ artifact, what }) => `${artifact}: ${what}`);
}

describe('a release', () => {
  test('is found by its version and by latest, and verifies; again, it changes nothing', async () => {
    const at = place('whole');
    const order = orderOf(at, '1.0.0', key);
    const first = await publish(order);
    expect(await tagsAt(at)).toEqual(all('1.0.0', 'latest'));
    expect(await problems(at, order)).toEqual([]);

    local.requests.length = 0;
    const again = await publish(order);
    const digests = (artifacts: typeof first) => artifacts.map(({ name, digest }) => [name, digest]);
    expect(digests(again)).toEqual(digests(first));
    const tagged = local.requests.filter(
      ({ method, path }) => method === 'PUT' && /\/(1\.0\.0|latest)$/.test(path),
    );
    expect(tagged).toEqual([]);
  });

  test('that is older than the latest does not move latest', async () => {
    const at = place('older');
    await publish(orderOf(at, '1.1.0', key));
    await publish(orderOf(at, '1.0.1', key));
    await publish(orderOf(at, '2.0.0-rc.1', key));
    const image = repositoryOf('image', at);
    expect(await registry.digestOf(image, 'latest')).toBe(await registry.digestOf(image, '1.1.0'));
    expect(await tagsAt(at)).toEqual(all('1.0.1', '1.1.0', '2.0.0-rc.1', 'latest'));
  });

  test('tags nothing where signing fails, and goes on when run again', async () => {
    const at = place('unsigned');
    const order = orderOf(at, '1.0.0', key);
    await expect(publish(order, { password: 'wrong' })).rejects.toThrow(SigningFailed);
    expect(await tagsAt(at)).toEqual(nothing);
    await publish(order);
    expect(await tagsAt(at)).toEqual(all('1.0.0', 'latest'));
    expect(await problems(at, order)).toEqual([]);
  });

  test('refuses a version that another key signed', async () => {
    const at = place('other-key');
    const other = await makeKey(folder.path, 'other');
    await publish(orderOf(at, '1.0.0', other));
    await expect(publish(orderOf(at, '1.0.0', key))).rejects.toThrow(VersionTaken);
  });
});

describe('a registry that dies', () => {
  const puts = (part: string) => (request: RegistryRequest) =>
    request.method === 'PUT' && request.path.includes(part);
  let dead: boolean;
  /** Refuses everything from the first request on that is such. */
  function dieAt(isLast: (request: RegistryRequest) => boolean) {
    dead = false;
    local.refuse = (request) => {
      dead ||= isLast(request);
      return dead;
    };
  }
  const revive = () => {
    local.refuse = () => false;
  };

  const beforeTags: readonly [string, (at: string) => string][] = [
    ['at its first manifest', () => '/manifests/sha256'],
    ['at the signatures of the image', () => '/gke-metadata-server/manifests/sha256-'],
    ['half way, at the module', (at) => `/${at}/modules/gke-metadata-server/manifests/`],
    ['at the last artifact', (at) => `/${at}/charts/gke-metadata-server/manifests/`],
    ['at the first tag', () => '/manifests/1.0.0'],
  ];
  test.each(beforeTags)('%s leaves nothing tagged, and the same command finishes', async (name, where) => {
    const path = `dies-${name.replaceAll(/\W+/g, '-')}`;
    const order = orderOf(place(path), '1.0.0', key);
    dieAt(puts(where(path)));
    const failure = publish(order);
    await expect(failure).rejects.toThrow(/DENIED|403/);
    expect(dead).toBe(true);
    revive();
    expect(await tagsAt(place(path))).toEqual(nothing);
    await publish(order);
    expect(await tagsAt(place(path))).toEqual(all('1.0.0', 'latest'));
    expect(await problems(place(path), order)).toEqual([]);
  });

  test('between tags leaves whole artifacts tagged, and the same command finishes, with newer Debian packages too', async () => {
    const at = place('dies-between-tags');
    const order = orderOf(at, '1.0.0', key);
    dieAt(puts('/manifests/gke-metadata-server/manifests/1.0.0'));
    await expect(publish(order)).rejects.toThrow(RegistryError);
    revive();
    expect(await tagsAt(at)).toEqual({ ...nothing, image: ['1.0.0'], module: ['1.0.0'] });
    await publish(order, {
      parts: (parts) => ({ ...parts, writeImage: () => Promise.reject(new Error('it was built again')) }),
    });
    expect(await tagsAt(at)).toEqual(all('1.0.0', 'latest'));
    expect(await problems(at, order)).toEqual([]);
  });
});

describe('a version', () => {
  test('that exists is refused to another commit, and does not change', async () => {
    const at = place('taken');
    const order = orderOf(at, '1.0.0', key);
    await publish(order);
    const before = await registry.digestOf(repositoryOf('image', at), '1.0.0');
    await expect(publish(orderOf(at, '1.0.0', key, 'b'.repeat(40)))).rejects.toThrow(VersionTaken);
    expect(await registry.digestOf(repositoryOf('image', at), '1.0.0')).toBe(before);
    expect(await problems(at, order)).toEqual([]);
  });

  test('of which one artifact exists with other content is refused, before anything is pushed', async () => {
    const at = place('partly-taken');
    await publish(orderOf(at, '0.9.0', key));
    const chart = repositoryOf('chart', at);
    await registry.tag(`${chart}:0.9.0`, '1.0.0');
    local.requests.length = 0;
    await expect(publish(orderOf(at, '1.0.0', key))).rejects.toThrow(VersionTaken);
    expect(local.requests.filter(({ method }) => method !== 'GET' && method !== 'HEAD')).toEqual([]);
  });

  test('is not tagged if the module runs another image than the signed one', async () => {
    const at = place('other-image');
    const order = orderOf(at, '1.0.0', key);
    const failure = publish(order, {
      parts: (parts) => ({
        ...parts,
        others: parts.others.map((part) =>
          part.name === 'module'
            ? {
                ...part,
                write: (layout, image) =>
                  part.write(layout, { ...image, digest: `sha256:${'0'.repeat(64)}` }),
              }
            : part,
        ),
      }),
    });
    await expect(failure).rejects.toThrow(NotVerified);
    await expect(failure).rejects.toThrow(/^module: image: it runs .*@sha256:0000/);
    expect(await tagsAt(at)).toEqual(nothing);
  });
});

test('a registry that does not respond is not mistaken for one without the version', async () => {
  local.refuse = () => true;
  try {
    await expect(registry.digestOf(join(local.host, 'anything'), '1.0.0')).rejects.toThrow(RegistryError);
    await expect(registry.tagsOf(join(local.host, 'anything'))).rejects.toThrow(RegistryError);
  } finally {
    local.refuse = () => false;
  }
  expect(await registry.digestOf(join(local.host, 'anything'), '1.0.0')).toBeUndefined();
  expect(await registry.tagsOf(join(local.host, 'anything'))).toEqual([]);
});
