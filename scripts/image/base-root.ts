import { mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { runOrThrow } from '../run.ts';
import { ARCHITECTURES, type Architecture } from './architecture.ts';
import { type DebianPackage, downloadDebianPackages } from './debian-packages.ts';

/** Who runs the program: an account that no other image has, for processes of one UID on the host network can share a port. */
export const NONROOT = 16_321;

const STATUS = 'var/lib/dpkg/status.d';
const CERTIFICATES = 'usr/share/ca-certificates';

/** What is kept of each Debian package, beside its licence; no more is downloaded, so these are all they need. */
function keptFiles(architecture: Architecture): Readonly<Record<string, readonly string[]>> {
  const { triplet, loader } = ARCHITECTURES[architecture];
  const libraries = (...names: readonly string[]) => names.map((name) => `usr/lib/${triplet}/${name}`);
  return {
    // scanners tell by these which advisories to look at; the licences refer to the common ones
    'base-files': ['etc/debian_version', 'etc/os-release', 'usr/lib/os-release', 'usr/share/common-licenses'],
    'ca-certificates': [CERTIFICATES],
    iptables: [
      'usr/sbin/xtables-*-multi',
      'usr/sbin/ip*tables-nft*',
      'usr/sbin/ip*tables-legacy*',
      // all extensions: what lists the rules of a network namespace must be able to read anybody's
      ...libraries('xtables'),
    ],
    libc6: [loader, ...libraries('ld-linux-*', 'libc.so.6', 'libm.so.6', 'libdl.so.2', 'libpthread.so.0')],
    libip4tc2: libraries('libip4tc.so.2*'),
    libip6tc2: libraries('libip6tc.so.2*'),
    libmnl0: libraries('libmnl.so.0*'),
    'libnetfilter-conntrack3': libraries('libnetfilter_conntrack.so.3*'),
    libnfnetlink0: libraries('libnfnetlink.so.0*'),
    libnftnl11: libraries('libnftnl.so.11*'),
    libxtables12: libraries('libxtables.so.12*'),
  };
}

const GENERATED: Readonly<Record<string, string>> = {
  'etc/passwd': [
    'root:x:0:0:root:/:/usr/sbin/nologin',
    'nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin',
    `nonroot:x:${NONROOT}:${NONROOT}:nonroot:/nonexistent:/usr/sbin/nologin`,
    '',
  ].join('\n'),
  'etc/group': `root:x:0:\nnogroup:x:65534:\nnonroot:x:${NONROOT}:\n`,
  // without it a Node's or Pod's /etc/hosts is not looked at before the DNS
  'etc/nsswitch.conf': 'hosts: files dns\n',
};

/**
 * Makes `root` what the program needs around it: the C library, iptables for both of the kernel's packet filters,
 * CA certificates. No shell, no package manager. `var/lib/dpkg/status.d` tells scanners the packages it is made of,
 * in the way of distroless images.
 */
export async function makeBaseRoot(root: string, architecture: Architecture): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'debian-packages-'));
  try {
    const kept = keptFiles(architecture);
    const packages = await downloadDebianPackages(folder, Object.keys(kept), architecture);
    await mkdir(join(root, 'usr'), { recursive: true });
    // Debian's merged /usr; what the loader's path needs of it
    for (const name of ['lib', dirname(ARCHITECTURES[architecture].loader).slice('usr/'.length)]) {
      await symlink(`usr/${name}`, join(root, name)).catch(ignoreExisting);
    }
    for (const each of packages) await unpack(each, root, kept[each.name] ?? []);
    await bundleCertificates(root);
    for (const each of packages) await describe(each, root);
    for (const [path, content] of Object.entries(GENERATED)) await Bun.write(join(root, path), content);
    // iptables-legacy locks a file there
    await mkdir(join(root, 'run'), { recursive: true });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The packages of a root that {@link makeBaseRoot} made, as `NAME=VERSION`, sorted. */
export async function packagesOf(root: string): Promise<readonly string[]> {
  const folder = join(root, STATUS);
  const names = (await readdir(folder)).filter((name) => !name.endsWith('.md5sums')).sort();
  return Promise.all(
    names.map(async (name) => {
      const version = /^Version: (.+)$/m.exec(await Bun.file(join(folder, name)).text())?.[1];
      return `${name}=${version}`;
    }),
  );
}

/** Fails if a package has no file for one of the patterns. */
async function unpack({ name, file }: DebianPackage, root: string, patterns: readonly string[]) {
  const content = Bun.spawn(['dpkg-deb', '--fsys-tarfile', file]);
  const wanted = [...patterns, `usr/share/doc/${name}/copyright`].map((pattern) => `./${pattern}`);
  await runOrThrow(
    ['tar', '--extract', '--directory', root, '--wildcards', '--no-wildcards-match-slash', ...wanted],
    {
      stdin: content.stdout,
    },
  );
  if ((await content.exited) !== 0) throw new Error(`dpkg-deb cannot read ${file}`);
}

/** The package's description and the sums of those of its files that are here. */
async function describe({ name, file }: DebianPackage, root: string) {
  const control = await runOrThrow(['dpkg-deb', '--field', file]);
  const controlFiles = Bun.spawn(['dpkg-deb', '--ctrl-tarfile', file]);
  const sums = await runOrThrow(['tar', '--extract', '--to-stdout', './md5sums'], {
    stdin: controlFiles.stdout,
  });
  const present: string[] = [];
  for (const line of sums.trimEnd().split('\n')) {
    if (await Bun.file(join(root, line.slice(line.indexOf(' ')).trim())).exists()) present.push(line);
  }
  const description = join(root, STATUS, name);
  await Bun.write(description, control);
  await Bun.write(`${description}.md5sums`, `${present.join('\n')}\n`);
}

/** What the package's scripts and update-ca-certificates do: the certificates, sorted, one after the other. */
async function bundleCertificates(root: string) {
  const folder = join(root, CERTIFICATES);
  const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.crt'));
  const texts = await Promise.all(names.sort().map((name) => Bun.file(join(folder, name)).text()));
  const bundle = texts.map((text) => (text.endsWith('\n') ? text : `${text}\n`)).join('');
  await Bun.write(join(root, 'etc/ssl/certs/ca-certificates.crt'), bundle);
  await rm(folder, { recursive: true });
}

function ignoreExisting(error: unknown) {
  if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
}
