import { LayoutReader } from './layout-reader.ts';

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
