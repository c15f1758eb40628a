import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { runOrThrow } from '../run.ts';
import type { Cache } from './cache.ts';
import { requireGo } from './go-build.ts';

/** Programs that one package of one version of a Go module is, whose checksum Go's checksum database vouches for. */
const programs = {
  cosign: 'github.com/sigstore/cosign/v3/cmd/cosign@v3.1.2',
  crane: 'github.com/google/go-containerregistry/cmd/crane@v0.21.9',
  cue: 'cuelang.org/go/cmd/cue@v0.17.1',
  helm: 'helm.sh/helm/v3/cmd/helm@v3.22.0',
} as const;

/** The path of a program, compiled once for each version and kept: up to two minutes when cold, cosign up to eight. */
export async function goProgram(name: keyof typeof programs, cache: Cache): Promise<string> {
  const source = programs[name];
  const version = source.slice(source.indexOf('@') + 1);
  const folder = await cache.get(`${name}-${version}`, async (path) => {
    requireGo();
    await mkdir(path);
    // no more eager than what else this machine does meanwhile
    await runOrThrow(['nice', '-n', '10', 'go', 'install', '-trimpath', '-ldflags=-s -w', source], {
      cwd: '/',
      env: { ...process.env, CGO_ENABLED: '0', GOWORK: 'off', GOFLAGS: '', GOBIN: path },
      timeout: 1_800_000,
    });
  });
  return join(folder, name);
}
