import { LayoutReader } from './layout-reader.ts';

/** What this project reads of a bun.lock (https://bun.com/docs/pm/lockfile), version 1 and 2. */
export interface BunLock {
  readonly workspaces: Readonly<Record<string, { readonly dependencies?: Dependencies }>>;
  /** By the path of a package: its name, after those of the packages that have a version of their own of it. */
  readonly packages: Readonly<Record<string, LockEntry>>;
}

type Dependencies = Readonly<Record<string, string>>;

type LockEntry = readonly [
  nameAndVersion: string,
  registry: string,
  facts: {
    readonly dependencies?: Dependencies;
    readonly optionalDependencies?: Dependencies;
    readonly peerDependencies?: Dependencies;
    readonly optionalPeers?: readonly string[];
  },
  integrity: string,
];

export interface LockedPackage {
  readonly name: string;
  readonly version: string;
  /** As in Subresource Integrity: `sha512-BASE64`. */
  readonly integrity: string;
}

/** The packages that the dependencies of the workspace's root bring, all of which a user may run; none for development. */
export function productionPackages(lock: BunLock): readonly LockedPackage[] {
  const found = new Map<string, LockedPackage>();
  const add = (path: string) => {
    const entry = lock.packages[path];
    if (entry === undefined || found.has(path)) return;
    const [nameAndVersion, , facts, integrity] = entry;
    const at = nameAndVersion.lastIndexOf('@');
    found.set(path, {
      name: nameAndVersion.slice(0, at),
      version: nameAndVersion.slice(at + 1),
      integrity,
    });
    const peers = Object.keys(facts.peerDependencies ?? {}).filter(
      (name) => !facts.optionalPeers?.includes(name),
    );
    const names = [facts.dependencies, facts.optionalDependencies].flatMap((each) => Object.keys(each ?? {}));
    for (const name of [...names, ...peers]) add(nearest(name, path, lock));
  };
  for (const name of Object.keys(lock.workspaces['']?.dependencies ?? {})) add(name);
  const packages = new Map([...found.values()].map((each) => [`${each.name}@${each.version}`, each]));
  return [...packages].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, each]) => each);
}

/** The path of the package that `name` is for the one at `path`: its own, that of one above it, or everybody's. */
function nearest(name: string, path: string, { packages }: BunLock): string {
  const above = path.match(/(@[^/]+\/)?[^/]+/g) ?? [];
  const candidates = above.map((_, index) => [...above.slice(0, above.length - index), name].join('/'));
  return candidates.find((candidate) => candidate in packages) ?? name;
}

/** A package of Debian in an image. */
export interface ImagePackage {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  /** As package URLs have it: `debian-13`. */
  readonly distribution: string;
}

const STATUS = 'var/lib/dpkg/status.d/*';
const RELEASE = 'usr/lib/os-release';

/** What an image's own package database says, of all its platforms: what a scanner would find there. */
export async function imagePackages(layout: string): Promise<readonly ImagePackage[]> {
  const reader = await LayoutReader.open(layout);
  const packages: ImagePackage[] = [];
  for (const { layers } of await reader.manifests()) {
    const descriptions: string[] = [];
    let distribution = 'debian';
    for (const layer of layers) {
      for (const [path, text] of await reader.files(layer, STATUS)) {
        if (!path.endsWith('.md5sums')) descriptions.push(text);
      }
      const release = (await reader.files(layer, RELEASE)).get(RELEASE);
      const version = /^VERSION_ID="?([^"\n]+)/m.exec(release ?? '')?.[1];
      if (version !== undefined) distribution = `debian-${version}`;
    }
    packages.push(...descriptions.map((text) => ({ ...described(text), distribution })));
  }
  return packages;
}

/** From a package's control file (https://www.debian.org/doc/debian-policy/ch-controlfields.html). */
function described(control: string): Omit<ImagePackage, 'distribution'> {
  const field = (name: string) => {
    const value = new RegExp(`^${name}: (.+)$`, 'm').exec(control)?.[1];
    if (value === undefined) throw new Error(`a package of the image has no ${name}: ${control}`);
    return value;
  };
  return { name: field('Package'), version: field('Version'), architecture: field('Architecture') };
}
