/** A processor as Debian, Go and OCI name it. */
export type Architecture = 'amd64' | 'arm64';

/** The one of this machine. */
export function hostArchitecture(): Architecture {
  return process.arch === 'arm64' ? 'arm64' : 'amd64';
}

interface ArchitectureFacts {
  /** What Bun calls it. */
  readonly target: Bun.Build.CompileTarget;
  /** The folder of its libraries in /usr/lib. */
  readonly triplet: string;
  /** Where programs expect the loader of shared libraries: a link that libc6 brings. */
  readonly loader: string;
}

export const ARCHITECTURES: Readonly<Record<Architecture, ArchitectureFacts>> = {
  amd64: {
    target: 'bun-linux-x64',
    triplet: 'x86_64-linux-gnu',
    loader: 'usr/lib64/ld-linux-x86-64.so.2',
  },
  arm64: {
    target: 'bun-linux-arm64',
    triplet: 'aarch64-linux-gnu',
    loader: 'usr/lib/ld-linux-aarch64.so.1',
  },
};
