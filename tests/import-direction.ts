import { posix } from 'node:path';

const FOUNDATION = ['core', 'settings', 'kubernetes', 'telemetry'];
const DOMAIN = [...FOUNDATION, 'caller', 'google', 'metadata', 'admission', 'network'];

/** What a folder of server/ may import from beside itself. */
const MAY_IMPORT: ReadonlyMap<string, readonly string[]> = new Map([
  ['core', []],
  ['settings', FOUNDATION],
  ['kubernetes', FOUNDATION],
  ['telemetry', FOUNDATION],
  ['caller', FOUNDATION],
  ['google', [...FOUNDATION, 'caller']],
  ['metadata', [...FOUNDATION, 'caller', 'google']],
  ['admission', FOUNDATION],
  ['network', FOUNDATION],
  ['explain', [...FOUNDATION, 'caller', 'google', 'admission']],
  ['sandbox', DOMAIN],
  ['commands', [...DOMAIN, 'explain', 'sandbox']],
  ['main.ts', ['core', 'commands']],
]);

/** The only files that know the HTTP framework. */
const KNOW_ELYSIA = ['metadata/routes.ts', 'admission/routes.ts', 'telemetry/health.ts'];

/** A test, and what tests share, may import from anywhere. */
const TEST = /(?:\.test|(?:^|\/)test-[a-z-]+)\.ts$/;

const transpiler = new Bun.Transpiler({ loader: 'ts' });

/**
 * Each import against the direction, as `FILE imports SPECIFIER: why not`.
 * `files` are sources by their path inside server/.
 */
export function importViolations(files: ReadonlyMap<string, string>): string[] {
  return [...files]
    .filter(([file]) => !TEST.test(file))
    .flatMap(([file, source]) =>
      importsOf(source).flatMap((specifier) => {
        const objection = objectionTo(file, specifier);
        return objection === undefined ? [] : [`${file} imports ${specifier}: ${objection}`];
      }),
    );
}

function objectionTo(file: string, specifier: string): string | undefined {
  if (specifier === 'elysia' || specifier.startsWith('@elysiajs/')) {
    return KNOW_ELYSIA.includes(file) ? undefined : `only ${KNOW_ELYSIA.join(', ')} know Elysia`;
  }
  if (!specifier.startsWith('.')) return undefined;
  const target = posix.join(posix.dirname(file), specifier);
  // what the program is called and which version it has
  if (target === '../package.json') return undefined;
  if (target.startsWith('../')) return 'it is outside server/';
  const [from, to] = [folderOf(file), folderOf(target)];
  if (from === to) return undefined;
  const allowed = MAY_IMPORT.get(from);
  if (allowed === undefined) return `${from} has no place among the folders yet`;
  if (allowed.includes(to)) return undefined;
  return `${from} may import from ${allowed.length === 0 ? 'nothing' : allowed.join(', ')}`;
}

function folderOf(file: string): string {
  return file.split('/', 1)[0] ?? file;
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
