import { cp, exists, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { runOrThrow } from '../run.ts';
import type { Cache } from '../tools/cache.ts';
import { certManagerCRDs, prometheusOperatorCRDs } from '../tools/crds.ts';
import { goProgram } from '../tools/go-program.ts';

/** The folder of the Timoni module. */
export const moduleFolder = join(import.meta.dir, '../../timoni/gke-metadata-server');

/** The folder of the go.mod that pins Kubernetes' API. */
const kubernetesApi = join(import.meta.dir, 'kubernetes-api');

interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly [keyword: string]: unknown;
}

interface CustomResourceDefinition {
  readonly spec: {
    readonly group: string;
    readonly names: { readonly kind: string };
    readonly versions: readonly {
      readonly name: string;
      readonly schema: { readonly openAPIV3Schema: JsonSchema };
    }[];
  };
}

/** Those that the module has objects of, by the file of their definition. */
const customResources = {
  certManager: ['cert-manager.io_certificates.yaml', 'cert-manager.io_issuers.yaml'],
  prometheusOperator: [
    'monitoring.coreos.com_podmonitors.yaml',
    'monitoring.coreos.com_prometheusrules.yaml',
  ],
} as const;

/**
 * The folder of the CUE schemas that the module imports, from the cache: Kubernetes' from its Go types, cert-manager's
 * and the Prometheus operator's from their CustomResourceDefinitions. The same bytes for the same versions.
 */
export async function generatedSchemas(cache: Cache): Promise<string> {
  const [certManager, prometheusOperator, cue] = await Promise.all([
    certManagerCRDs(cache),
    prometheusOperatorCRDs(cache),
    goProgram('cue', cache),
  ]);
  const ingredients = await Promise.all(
    [...['go.mod', 'go.sum', 'packages.go'].map((name) => join(kubernetesApi, name)), import.meta.path].map(
      (file) => Bun.file(file).text(),
    ),
  );
  const key = new Bun.CryptoHasher('sha256')
    .update(JSON.stringify([...ingredients, cue, certManager, prometheusOperator]))
    .digest('hex');
  return cache.get(`cue-schemas-${key.slice(0, 12)}`, async (folder) => {
    const work = `${folder}.work`;
    await rm(work, { recursive: true, force: true });
    await cp(kubernetesApi, work, { recursive: true });
    await mkdir(join(work, 'cue.mod'));
    await Bun.write(
      join(work, 'cue.mod/module.cue'),
      'module: "schemas.example/schemas"\nlanguage: version: "v0.17.0"\n',
    );
    const gen = join(work, 'cue.mod/gen');
    await generateKubernetes(cue, work);
    for (const file of customResources.certManager) {
      await generateCustomResource(cue, join(certManager, file), gen);
    }
    for (const file of customResources.prometheusOperator) {
      await generateCustomResource(cue, join(prometheusOperator, file), gen);
    }
    await rename(gen, folder);
    await rm(work, { recursive: true });
  });
}

/** Puts the schemas into the module's cue.mod/gen, where cue and Timoni look for them. Returns that folder. */
export async function installSchemas(cache: Cache): Promise<string> {
  const source = await generatedSchemas(cache);
  const gen = join(moduleFolder, 'cue.mod/gen');
  const stamp = join(gen, '.generated');
  if ((await exists(stamp)) && (await Bun.file(stamp).text()) === source) return gen;
  // atomically: another process may do the same meanwhile
  const copy = await mkdtemp(join(moduleFolder, 'cue.mod/gen-'));
  await cp(source, copy, { recursive: true });
  await Bun.write(join(copy, '.generated'), source);
  await rm(gen, { recursive: true, force: true });
  await rename(copy, gen).catch(async (error) => {
    await rm(copy, { recursive: true });
    if (!(await exists(stamp))) throw error;
  });
  return gen;
}

async function generateKubernetes(cue: string, folder: string): Promise<void> {
  const source = await Bun.file(join(folder, 'packages.go')).text();
  const packages = [...source.matchAll(/_ "(k8s\.io\/api\/[^"]+)"/g)].map(([, name = '']) => name);
  await runOrThrow([cue, 'get', 'go', ...packages], {
    cwd: folder,
    env: { ...process.env, GOWORK: 'off', GOFLAGS: '-mod=readonly' },
  });
}

/** `GROUP/KIND/VERSION`, as `timoni mod vendor crds` lays them out. */
async function generateCustomResource(cue: string, file: string, gen: string): Promise<void> {
  // the definitions are what the operators ship, and the API server looks closely
  const { spec } = Bun.YAML.parse(await Bun.file(file).text()) as CustomResourceDefinition;
  const { kind } = spec.names;
  for (const { name: version, schema } of spec.versions) {
    const folder = join(gen, spec.group, kind.toLowerCase(), version);
    await mkdir(folder, { recursive: true });
    const input = join(folder, `${kind.toLowerCase()}.json`);
    const root = schemaOf(schema.openAPIV3Schema, kind, `${spec.group}/${version}`);
    await Bun.write(input, JSON.stringify(root));
    // explicitly open only: otherwise every struct is, and a mistyped field passes
    const imported = ['import', '-p', version, '-l', `#${kind}:`, 'jsonschema+openOnlyWhenExplicit:', input];
    await runOrThrow([cue, ...imported], { cwd: folder });
    await rm(input);
    if ((await readdir(folder)).length === 0) throw new Error(`cue imported nothing from ${file}`);
  }
}

/** What a user writes: its kind is known, its metadata is any object's, its status is the operator's. */
function schemaOf(schema: JsonSchema, kind: string, apiVersion: string): JsonSchema {
  const { status: _status, ...properties } = schema.properties ?? {};
  return {
    ...jsonSchema(schema),
    properties: {
      ...Object.fromEntries(Object.entries(properties).map(([name, value]) => [name, jsonSchema(value)])),
      apiVersion: { const: apiVersion },
      kind: { const: kind },
      metadata: { type: 'object', additionalProperties: true },
    },
    required: ['apiVersion', 'kind', 'metadata', 'spec'],
  };
}

/** OpenAPI's dialect as JSON Schema: what is Kubernetes' own is said in its words, and descriptions are left out. */
function jsonSchema(schema: unknown): JsonSchema {
  // the definitions are made of schemas all the way down
  const { description: _, ...known } = schema as JsonSchema;
  const entries = Object.entries(known).flatMap(([keyword, value]): [string, unknown][] => {
    if (keyword.startsWith('x-kubernetes-')) return [];
    if (keyword === 'properties') {
      const properties = Object.entries(Object(value)).map(([name, property]) => [
        name,
        jsonSchema(property),
      ]);
      return [[keyword, Object.fromEntries(properties)]];
    }
    if (keyword === 'items' || (keyword === 'additionalProperties' && typeof value === 'object')) {
      return [[keyword, jsonSchema(value)]];
    }
    if (['anyOf', 'allOf', 'oneOf'].includes(keyword) && Array.isArray(value)) {
      return [[keyword, value.map(jsonSchema)]];
    }
    return [[keyword, value]];
  });
  const open = known['x-kubernetes-preserve-unknown-fields'] === true ? { additionalProperties: true } : {};
  return { ...Object.fromEntries(entries), ...open };
}
