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
