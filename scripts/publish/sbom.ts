import { join } from 'node:path';
import { Enums, Models, Serialize, Spec } from '@cyclonedx/cyclonedx-library';
import { PackageURL } from 'packageurl-js';
import type { ReleaseSource } from './artifacts.ts';
import {
  type BunLock,
  type ImagePackage,
  imagePackages,
  type LockedPackage,
  productionPackages,
} from './packages.ts';
import type { Subject } from './verification.ts';

const BUN_LOCK = join(import.meta.dir, '../../bun.lock');

/** The bill of materials of an artifact that was made as `layout`. */
export async function billOfMaterials(
  subject: Subject,
  image: Subject,
  layout: string,
  { version, created }: ReleaseSource,
): Promise<object> {
  const billed = ({ repository, digest }: Subject) => ({
    name: 'gke-metadata-server',
    version,
    repository,
    digest,
    created,
  });
  if (subject.name !== 'image') return deploymentSbom(billed(subject), billed(image));
  const lock = Bun.JSONC.parse(await Bun.file(BUN_LOCK).text());
  return imageSbom(billed(subject), {
    debian: await imagePackages(layout),
    // Bun writes it, and the tests read this one
    npm: productionPackages(lock as BunLock),
    // scripts/bun runs this with the one that package.json pins, which is what it compiles into the program
    bun: Bun.version,
  });
}

/** The artifact that a bill of materials is of. */
export interface BilledArtifact {
  readonly name: string;
  readonly version: string;
  /** `HOST/PATH` of its repository. */
  readonly repository: string;
  /** `sha256:HEX`. */
  readonly digest: string;
  readonly created: Date;
}

/** The image's: Debian's packages in each platform, Bun, and the packages of npm that are compiled into the program. */
export function imageSbom(
  image: BilledArtifact,
  packages: {
    readonly debian: readonly ImagePackage[];
    readonly npm: readonly LockedPackage[];
    readonly bun: string;
  },
): object {
  return bill(image, [
    ...packages.debian.map(debianComponent),
    // its runtime is the program's own
    component('bun', packages.bun, new PackageURL('npm', null, 'bun', packages.bun, null, null)),
    ...packages.npm.map(npmComponent),
  ]);
}

/** That of an artifact which holds no program: the image that it makes run. */
export function deploymentSbom(artifact: BilledArtifact, image: BilledArtifact): object {
  return bill(artifact, [containerComponent(image)]);
}

/** CycloneDX 1.6 as JSON; the same for the same artifact. */
function bill(artifact: BilledArtifact, components: readonly Models.Component[]): object {
  // what two platforms share is there once, as nothing may have another's name in a bill
  const distinct = new Map(components.map((each) => [each.purl, each]));
  const bom = new Models.Bom({
    metadata: new Models.Metadata({ component: containerComponent(artifact), timestamp: artifact.created }),
    components: new Models.ComponentRepository(distinct.values()),
  });
  const factory = new Serialize.JSON.Normalize.Factory(Spec.Spec1dot6);
  return JSON.parse(new Serialize.JsonSerializer(factory).serialize(bom, { sortLists: true }));
}

function containerComponent({ name, version, repository, digest }: BilledArtifact): Models.Component {
  const purl = new PackageURL('oci', null, name, digest, { repository_url: repository }, null);
  return component(name, version, purl, Enums.ComponentType.Container);
}

function debianComponent({ name, version, architecture, distribution }: ImagePackage): Models.Component {
  const qualifiers = { arch: architecture, distro: distribution };
  return component(name, version, new PackageURL('deb', 'debian', name, version, qualifiers, null));
}

function npmComponent({ name, version, integrity }: LockedPackage): Models.Component {
  const [own = '', scope] = name.split('/').reverse();
  const made = component(own, version, new PackageURL('npm', scope, own, version, null, null));
  if (scope !== undefined) made.group = scope;
  const sha512 = /^sha512-(.+)$/.exec(integrity)?.[1];
  if (sha512 !== undefined) {
    made.hashes.set(Enums.HashAlgorithm['SHA-512'], Buffer.from(sha512, 'base64').toString('hex'));
  }
  return made;
}

function component(
  name: string,
  version: string,
  purl: PackageURL,
  type: Enums.ComponentType = Enums.ComponentType.Library,
): Models.Component {
  return new Models.Component(type, name, { version, purl: purl.toString(), bomRef: purl.toString() });
}
