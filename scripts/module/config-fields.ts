import { run, runOrThrow } from '../run.ts';
import type { Instance, ModuleRenderer, ModuleValues } from './render.ts';
import { moduleFolder } from './schemas.ts';

/** The keywords of JSON Schema that cue writes for the module. */
export interface JsonSchema {
  readonly type?: string;
  readonly description?: string;
  readonly const?: unknown;
  readonly enum?: readonly string[];
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly items?: JsonSchema;
  readonly prefixItems?: readonly JsonSchema[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly patternProperties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: boolean | JsonSchema;
  readonly required?: readonly string[];
  readonly allOf?: readonly JsonSchema[];
  readonly anyOf?: readonly JsonSchema[];
}

/** One thing that a user may set. */
export interface ConfigField {
  /** From the top of the values: `settings.projectID`. */
  readonly path: string;
  /** Its type's name in the module without `#`, or JSON's: `Port`, `boolean`, `[...Toleration]`, `integer | Percent`. */
  readonly type: string;
  /** The allowed values of an enumeration. */
  readonly choices?: readonly string[];
  /** The default; undefined if there is none. */
  readonly default?: unknown;
  /** Whether it must be set: always, or wherever {@link within} is. */
  readonly required: boolean;
  /** The optional struct that it is in: `settings.proxy` for `settings.proxy.url`. */
  readonly within?: string;
  /** Its comment, one line. */
  readonly description: string;
  /** The comment of a type of the module's own. */
  readonly typeDescription?: string;
  /** The structs it is in, the outermost first. */
  readonly structs: readonly { readonly path: string; readonly description: string }[];
  /** What it must be, complete in itself. What only fields together can break is not in it. */
  readonly schema: JsonSchema;
}

/** The least that a user must set: what cannot be guessed. */
export const minimalValues = {
  image: { repository: 'registry.example.com/gke-metadata-server', tag: '0.0.0-devel' },
  settings: {
    projectID: 'my-project',
    workloadIdentityProvider:
      'projects/123456789012/locations/global/workloadIdentityPools/my-pool/providers/my-cluster',
  },
} as const satisfies ModuleValues;

/** Fields of `#Config` that users do not set: Timoni or the module fills them in. */
const notForUsers = new Set([
  'metadata.name',
  'metadata.namespace',
  'moduleVersion',
  'kubeVersion',
  'image.reference',
]);

const instance: Instance = { name: 'gke-metadata-server', namespace: 'gke-metadata-server' };

/** Every field that a user may set, in the order of the module's source. */
export async function configFields(renderer: ModuleRenderer): Promise<readonly ConfigField[]> {
  const cue = (...args: string[]) =>
    runOrThrow([renderer.cue, ...args, './templates/config', '-e', '#Config'], { cwd: moduleFolder });
  const [schema, text, config] = await Promise.all([
    cue('def', '--out=jsonschema'),
    cue('eval', '--all'),
    renderer.export('timoni.instance.config', minimalValues, instance),
  ]);
  // what cue writes refers to nothing but its own definitions
  const root = JSON.parse(schema) as SchemaWithDefinitions;
  const order = pathsOf(text);
  const leaves = [...leavesOf(root, root.$defs)]
    .filter(({ path }) => !notForUsers.has(path.join('.')))
    .sort((one, other) => order.indexOf(one.path.join('.')) - order.indexOf(other.path.join('.')));
  return Promise.all(
    leaves.map(async ({ path, schema, required, structs }): Promise<ConfigField> => {
      const parents = path.map((_, index) => path.slice(0, index));
      const within = parents.find((parent) => valueAt(config, parent) === undefined)?.join('.');
      const isExample = valueAt(minimalValues, path) !== undefined;
      const inConfig = isExample ? undefined : valueAt(config, path);
      const isAsked = inConfig === undefined && (isExample || within !== undefined);
      const value = isAsked ? await defaultOf(path, renderer) : inConfig;
      const complete = resolved(schema, root.$defs);
      const names = typeOf(schema).match(/\w+/g) ?? [];
      const typeDescription = names.map((name) => root.$defs[name]?.description).find(Boolean);
      return {
        path: path.join('.'),
        type: typeOf(schema),
        ...(complete.enum && { choices: complete.enum }),
        ...(value !== undefined && { default: value }),
        required: required && value === undefined,
        ...(within !== undefined && { within }),
        description: oneLine(complete.description),
        ...(typeDescription?.startsWith('#') && { typeDescription: oneLine(typeDescription.slice(1)) }),
        structs,
        schema: complete,
      };
    }),
  );
}

/** The value of a field in a struct that is not in the configuration by itself. */
async function defaultOf(path: readonly string[], { cue }: ModuleRenderer): Promise<unknown> {
  const struct = path.slice(0, -1).join(': ');
  const command = [
    cue,
    'export',
    './templates/config',
    '-e',
    `(#Config & {${struct}: {}}).${path.join('.')}`,
  ];
  const { exitCode, stdout, stderr } = await run(command, { cwd: moduleFolder });
  if (exitCode === 0) return JSON.parse(stdout);
  if (/^(required field missing|cannot reference optional field)/.test(stderr)) return undefined;
  throw new Error(`${path.join('.')}: ${stderr}`);
}

function valueAt(value: unknown, path: readonly string[]): unknown {
  // the index signature is all that is read
  return path.reduce<unknown>((at, name) => (Object(at) as Record<string, unknown>)[name], value);
}

/** The fields of a struct as cue prints it, in its order. A struct inside is four spaces further to the right. */
function pathsOf(text: string): string[] {
  const path: string[] = [];
  return [...text.matchAll(/^( *)"?([\w-]+)"?[?!]?:/gm)].map(([, indent = '', name = '']) => {
    path.length = indent.length / 4;
    path.push(name);
    return path.join('.');
  });
}

interface SchemaWithReferences extends JsonSchema {
  readonly $ref?: string;
}
type Definitions = Readonly<Record<string, SchemaWithReferences>>;
interface SchemaWithDefinitions extends SchemaWithReferences {
  readonly $defs: Definitions;
}

interface Leaf {
  readonly path: readonly string[];
  readonly schema: SchemaWithReferences;
  /** Whether the struct it is in requires it. */
  readonly required: boolean;
  readonly structs: ConfigField['structs'];
}

/** The fields that are not structs of the module itself; Kubernetes' own types are not looked into. */
function* leavesOf(
  schema: SchemaWithReferences,
  definitions: Definitions,
  { path, required, structs }: Omit<Leaf, 'schema'> = { path: [], required: true, structs: [] },
): Generator<Leaf> {
  const struct = schema.$ref === undefined ? schema : merged(schema, definition(schema.$ref, definitions));
  // the module's comments begin with the definition's name in CUE, those of Go do not
  const own = schema.$ref === undefined || definition(schema.$ref, definitions).description?.startsWith('#');
  if (struct.properties === undefined || !own) {
    yield { path, schema, required, structs };
    return;
  }
  const inside = [...structs, { path: path.join('.'), description: oneLine(struct.description) }];
  for (const [name, property] of Object.entries(struct.properties)) {
    yield* leavesOf(property, definitions, {
      path: [...path, name],
      required: struct.required?.includes(name) ?? false,
      structs: path.length === 0 ? [] : inside,
    });
  }
}

/** A definition, and what a field that refers to it adds: the field's own words go first. */
function merged(schema: SchemaWithReferences, general: SchemaWithReferences): SchemaWithReferences {
  const { $ref: _, ...own } = schema;
  const names = Object.keys({ ...general.properties, ...own.properties });
  const properties = names.map((name) => [
    name,
    merged(own.properties?.[name] ?? {}, general.properties?.[name] ?? {}),
  ]);
  return { ...general, ...own, ...(names.length > 0 && { properties: Object.fromEntries(properties) }) };
}

function definition(reference: string, definitions: Definitions): SchemaWithReferences {
  const found = definitions[nameOf(reference)];
  if (found === undefined) throw new Error(`cue refers to ${reference} and does not define it`);
  return found;
}

function oneLine(comment = ''): string {
  return comment.replaceAll('\n', ' ');
}

function nameOf(reference: string): string {
  return reference.slice('#/$defs/'.length);
}

/** A schema with what it refers to in place of each reference. */
function resolved(schema: SchemaWithReferences, definitions: Definitions): JsonSchema {
  const { $ref } = schema;
  if ($ref !== undefined) return resolved(merged(schema, definition($ref, definitions)), definitions);
  const each = (schemas: Readonly<Record<string, JsonSchema>>) =>
    Object.fromEntries(Object.entries(schemas).map(([name, value]) => [name, resolved(value, definitions)]));
  const all = (schemas: readonly JsonSchema[]) => schemas.map((value) => resolved(value, definitions));
  const { properties, patternProperties, items, anyOf: alternatives, allOf, ...rest } = schema;
  // false is what cue makes of the error that a type ends with
  const anyOf = alternatives?.filter(Boolean);
  const [only, ...others] = anyOf ?? [];
  if (only !== undefined && others.length === 0) return resolved({ ...only, ...rest }, definitions);
  if (anyOf?.every((one): one is { const: string } => typeof one.const === 'string')) {
    return { ...rest, type: 'string', enum: anyOf.map((one) => one.const) };
  }
  return {
    ...rest,
    ...(properties && { properties: each(properties) }),
    ...(patternProperties && { patternProperties: each(patternProperties) }),
    ...(items && { items: resolved(items, definitions) }),
    ...(anyOf && { anyOf: all(anyOf) }),
    ...(allOf && { allOf: all(allOf) }),
  };
}

/** What a person calls it. Of a default beside a type only the type counts. */
function typeOf(schema: SchemaWithReferences): string {
  if (schema.$ref !== undefined) return nameOf(schema.$ref);
  const { anyOf, allOf, items, type, enum: choices } = schema;
  if (anyOf !== undefined) {
    const types = anyOf.filter(
      (one) => one && !['const', 'prefixItems', 'properties'].some((word) => word in one),
    );
    // one of a few texts
    return types.map(typeOf).join(' | ') || 'string';
  }
  if (allOf !== undefined) return allOf.at(-1)?.type ?? 'unknown';
  if (items !== undefined) return `[...${typeOf(items)}]`;
  return choices === undefined ? (type ?? 'unknown') : 'string';
}
