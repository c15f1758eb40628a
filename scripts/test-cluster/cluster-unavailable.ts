/** This machine, or the cluster it was given, cannot do what was asked: a test run reports it as not run, never as passed. */
export class ClusterUnavailable extends Error {
  constructor(reason: string, cause?: unknown) {
    super(reason, { cause });
    this.name = 'ClusterUnavailable';
  }
}

/** The exit status of `scripts/cluster` where the machine cannot. */
export const unavailableStatus = 3;

/** Throws {@link ClusterUnavailable} naming the first thing that is missing. */
export function requireMachine(mode: 'api' | 'node'): void {
  if (process.platform !== 'linux') throw new ClusterUnavailable(`this is ${process.platform}, not Linux`);
  const programs = ['go', 'openssl', 'apt-get', 'dpkg-deb', 'tar', 'nice', 'flock'];
  if (mode === 'node') {
    if (process.getuid?.() !== 0) throw new ClusterUnavailable('a Node needs root');
    programs.push('unshare', 'nsenter', 'ip', 'mount', 'pivot_root');
  }
  const missing = programs.filter((program) => Bun.which(program) === null);
  if (missing.length > 0) throw new ClusterUnavailable(`this machine lacks ${missing.join(', ')}`);
}
