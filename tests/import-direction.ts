import { posix } from 'node:path';

/** The floors of server/: a folder imports from those below its own, never from one beside or above it. */
const FLOORS: readonly (readonly string[])[] = [
  ['core'],
  ['telemetry', 'http'],
  ['kubernetes'],
  ['caller', 'network'],
  ['credentials', 'token-file'],
  ['google', 'aws', 'azure'],
  ['metadata', 'admission'],
  ['settings'],
  ['sandbox'],
  ['explain'],
  ['commands'],
  ['main.ts'],
];

/** The only files that know the HTTP framework, beside what http/ gives them. */
const KNOW_ELYSIA = ['metadata/routes.ts', 'admission/routes.ts'];

/** What only tests import, and what may import from anywhere: tests, and what they share. */
const TESTING = 'testing';
const TEST = /\.test\.ts$/;

const transpiler = new Bun.Transpiler({ loader: 'ts' });

/**
 * Each import against the direction, and of a test's things, as `FILE imports SPECIFIER: why not`.
 * `files` are sources by their path inside server/.
 */
export function importViolations(files: ReadonlyMap<string, string>): string[] {
  return [...files]
    .filter(([file]) => !TEST.test(file) && folderOf(file) !== TESTING)
    .flatMap(([file, source]) =>
      importsOf(source).flatMap((specifier) => {
        const objection = objectionTo(file, specifier);
        return objection === undefined ? [] : [`${file} imports ${specifier}: ${objection}`];
      }),
    );
}

function objectionTo(file: string, specifier: string): string | undefined {
  if (specifier === 'elysia' || specifier.startsWith('@elysiajs/')) {
    return KNOW_ELYSIA.includes(file) || folderOf(file) === 'http'
      ? undefined
      : `only http/, ${KNOW_ELYSIA.join(', ')} know Elysia`;
  }
  if (!specifier.startsWith('.')) return undefined;
  const target = posix.join(posix.dirname(file), specifier);
  // what the program is called and which version it has
  if (target === '../package.json') return undefined;
  if (target.startsWith('../')) return 'it is outside server/';
  const [from, to] = [folderOf(file), folderOf(target)];
  if (to === TESTING || TEST.test(target) || target.split('/').includes('testdata')) return 'only tests may';
  if (from === to) return undefined;
  const [floor, below] = [floorOf(from), floorOf(to)];
  if (floor === -1) return `${from} has no floor yet`;
  if (below !== -1 && below < floor) return undefined;
  return `${from} may import from ${FLOORS.slice(0, floor).flat().join(', ') || 'nothing'}`;
}

function floorOf(folder: string): number {
  return FLOORS.findIndex((folders) => folders.includes(folder));
}

function folderOf(file: string): string {
  return file.split('/', 1)[0] ?? file;
}

/**
 * Each import that leaves its half of the repository against the direction `server ← scripts ← tests`, as
 * `FILE imports SPECIFIER`. `files` are sources by their path inside the repository.
 */
export function halfViolations(files: ReadonlyMap<string, string>): string[] {
  const allowed = new Map([
    ['scripts', ['scripts', 'server']],
    ['tests', ['tests', 'scripts', 'server']],
  ]);
  return [...files].flatMap(([file, source]) =>
    importsOf(source)
      .filter((specifier) => specifier.startsWith('.'))
      .filter((specifier) => {
        const target = posix.join(posix.dirname(file), specifier);
        return target.includes('/') && !allowed.get(folderOf(file))?.includes(folderOf(target));
      })
      .map((specifier) => `${file} imports ${specifier}`),
  );
}

/** Every specifier, those that TypeScript erases included: a type is knowledge of the other side too. */
function importsOf(source: string): string[] {
  const asValues = source
    .replace(/^#!.*/, '')
    .replace(/\bimport\s+type\b/g, 'import')
    .replace(/\bexport\s+type\s+(?=[{*])/g, 'export ')
    .replace(/([{,]\s*)type\s+(?=[\w$]+[\s,}])/g, '$1');
  const statements = transpiler.scanImports(asValues).map(({ path }) => path);
  const typeQueries = [...source.matchAll(/\bimport\(\s*'([^']+)'/g)].flatMap(([, path]) => path ?? []);
  return [...new Set([...statements, ...typeQueries])];
}
