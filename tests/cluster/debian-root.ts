import { mkdir, readdir, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { runOrThrow } from '../../scripts/run.ts';

/**
 * Makes `folder` a root file system of the named packages and all they depend on, in the versions of this
 * machine's own distribution release and with its signature checks. Nothing of the machine is changed and no
 * root is needed: apt gets a state of its own, and no maintainer script runs; what the scripts of the packages
 * used here would do is done below.
 */
export async function makeDebianRoot(folder: string, packages: readonly string[]): Promise<void> {
  const apt = `${folder}.apt`;
  for (const path of ['state/lists/partial', 'cache/archives/partial']) {
    await mkdir(join(apt, path), { recursive: true });
  }
  await Bun.write(join(apt, 'status'), ''); // nothing installed: the whole closure is wanted
  const aptGet = [
    'apt-get',
    ...['-o', `Dir::State=${apt}/state`, '-o', `Dir::State::status=${apt}/status`],
    ...['-o', `Dir::Cache=${apt}/cache`, '-o', 'APT::Sandbox::User='],
    ...['--quiet=2', '--assume-yes', '--no-install-recommends'],
  ];
  await runOrThrow([...aptGet, 'update']);
  await runOrThrow([...aptGet, 'install', '--download-only', ...packages]);

  // Debian's merged /usr, which the packages of one release may still ship split
  await mkdir(join(folder, 'usr'), { recursive: true });
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
    await mkdir(join(folder, 'usr', name), { recursive: true });
    await symlink(`usr/${name}`, join(folder, name));
  }
  const archives = join(apt, 'cache/archives');
  for (const archive of (await readdir(archives)).filter((name) => name.endsWith('.deb')).sort()) {
    const content = Bun.spawn(['dpkg-deb', '--fsys-tarfile', join(archives, archive)]);
    await runOrThrow(['tar', '--extract', '--keep-directory-symlink', '--directory', folder], {
      stdin: content.stdout,
    });
    if ((await content.exited) !== 0) throw new Error(`dpkg-deb cannot read ${archive}`);
  }
  await rm(apt, { recursive: true, force: true });
  for (const documentation of ['doc', 'man', 'info', 'locale', 'lintian', 'bash-completion']) {
    await rm(join(folder, 'usr/share', documentation), { recursive: true, force: true });
  }
  await mkdir(join(folder, 'tmp'), { mode: 0o1777, recursive: true });
  await runOrThrow(['chmod', '1777', join(folder, 'tmp')]);
  await Bun.write(join(folder, 'etc/passwd'), 'root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n');
  await Bun.write(join(folder, 'etc/group'), 'root:x:0:\nnogroup:x:65534:\n');
  await Bun.write(join(folder, 'etc/nsswitch.conf'), 'hosts: files dns\n');
  await linkFirewall(folder);
  await linkBusybox(folder);
  await bundleCertificates(folder);
}

/** What update-alternatives does for iptables; the nft kind, as Debian has it. */
async function linkFirewall(folder: string): Promise<void> {
  const programs = await readdir(join(folder, 'usr/sbin'));
  for (const program of programs.filter((name) => /^ip6?tables-nft(-save|-restore)?$/.test(name))) {
    await symlink(program, join(folder, 'usr/sbin', program.replace('-nft', '')));
  }
}

/** Every program of busybox that no other package brought. */
async function linkBusybox(folder: string): Promise<void> {
  const busybox = join(folder, 'bin/busybox');
  if (!(await Bun.file(busybox).exists())) return;
  const present = new Set(
    (await Promise.all(['bin', 'sbin'].map((name) => readdir(join(folder, name))))).flat(),
  );
  for (const program of (await runOrThrow([busybox, '--list'])).trim().split('\n')) {
    if (!present.has(program)) await symlink('busybox', join(folder, 'bin', program));
  }
}

/** What update-ca-certificates does. */
async function bundleCertificates(folder: string): Promise<void> {
  const certificates = join(folder, 'usr/share/ca-certificates/mozilla');
  const names = await readdir(certificates).catch(() => []);
  if (names.length === 0) return;
  const texts = await Promise.all(names.sort().map((name) => Bun.file(join(certificates, name)).text()));
  await Bun.write(join(folder, 'etc/ssl/certs/ca-certificates.crt'), texts.join(''));
}
