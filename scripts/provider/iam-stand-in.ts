/** A pool or a provider as the IAM API has it, without what is computed. */
interface Entity {
  state: 'ACTIVE' | 'DELETED';
  fields: Record<string, unknown>;
}

/** The response to a GET. */
interface Shown {
  readonly name: string;
  readonly state: Entity['state'];
  readonly [field: string]: unknown;
}

/** A refusal of the API: https://cloud.google.com/apis/design/errors */
class Refusal extends Error {
  constructor(
    readonly code: number,
    readonly status: string,
    message: string,
    readonly details: readonly object[] = [],
  ) {
    super(message);
  }
}

const ID = /^(?!gcp-)[a-z0-9-]{4,32}$/;
const PATH =
  /^\/v1\/projects\/(?<project>[^/]+)\/locations\/global\/workloadIdentityPools(?:\/(?<pool>[^/:]+))?(?<providers>\/providers)?(?:\/(?<provider>[^/:]+))?(?<undelete>:undelete)?$/;
/** The members of a key that the API takes, by its description of `Oidc.jwksJson`. */
const KEY_MEMBERS = ['kty', 'alg', 'use', 'kid', 'n', 'e', 'x', 'y', 'crv'];

/**
 * As much of Google's IAM API as there is to workload identity pools, with the checks it documents:
 * https://cloud.google.com/iam/docs/reference/rest/v1/projects.locations.workloadIdentityPools.providers
 */
export class StandInIAM implements Disposable {
  readonly projectNumber = '123456789012';
  /** `METHOD path` of each request that changed something. */
  readonly changes: string[] = [];
  /** How many of the next reads still show what was before the last change. */
  lag = 0;
  /** Refuses everything, as if the API were not enabled or the caller had no permission. */
  refusal: 'SERVICE_DISABLED' | 'IAM_PERMISSION_DENIED' | undefined;
  readonly #entities = new Map<string, Entity>();
  #before = new Map<string, Entity>();
  #stale = 0;
  readonly #server: Bun.Server<undefined>;

  constructor() {
    this.#server = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      fetch: async (request) => {
        try {
          return Response.json(await this.#serve(request));
        } catch (error) {
          if (!(error instanceof Refusal)) throw error;
          const { code, status, message, details } = error;
          return Response.json({ error: { code, status, message, details } }, { status: code });
        }
      },
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}/`;
  }

  [Symbol.dispose](): void {
    void this.#server.stop(true);
  }

  /** As when somebody deletes it with gcloud: it can be seen and undeleted for 30 days. */
  delete(path: string): void {
    this.#existing(path).state = 'DELETED';
  }

  /** As when somebody sets fields of it with gcloud. */
  set(path: string, fields: Readonly<Record<string, unknown>>): void {
    Object.assign(this.#existing(path).fields, fields);
  }

  /** The response to a GET. Throws if there is no such entity. */
  get(path: string): Shown {
    return this.#shown(path, this.#entities);
  }

  async #serve(request: Request): Promise<object> {
    const { pathname, searchParams } = new URL(request.url);
    const groups = PATH.exec(decodeURIComponent(pathname))?.groups;
    if (groups === undefined) throw new Refusal(404, 'NOT_FOUND', `no ${pathname}`);
    const { project = '', pool = '', provider, providers, undelete } = groups;
    this.#refuse(project);
    const collection = providers === undefined ? '' : `${pool}/`;
    const named = providers === undefined ? pool : provider;
    if (request.method === 'GET') return this.#read(`${collection}${named}`);
    // an object, as gcloud sends nothing else
    const body = (await request.json()) as Record<string, unknown>;
    this.#before = structuredClone(this.#entities);
    this.#stale = this.lag;
    this.changes.push(`${request.method} ${pathname}`);
    if (request.method === 'PATCH')
      this.#patch(`${collection}${named}`, body, searchParams.get('updateMask') ?? '');
    else if (undelete !== undefined) this.#undelete(`${collection}${named}`);
    else {
      const id = searchParams.get(`workloadIdentityPool${providers === undefined ? '' : 'Provider'}Id`) ?? '';
      this.#create(`${collection}${id}`, id, body);
    }
    return { name: `${pathname.slice(4)}/operations/1`, done: false };
  }

  #refuse(project: string): void {
    if (this.refusal === 'SERVICE_DISABLED') {
      throw new Refusal(
        403,
        'PERMISSION_DENIED',
        `Identity and Access Management (IAM) API has not been used in project ${project} before or it is disabled.`,
        [{ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: 'SERVICE_DISABLED' }],
      );
    }
    if (this.refusal === undefined) return;
    const message = `Permission 'iam.workloadIdentityPools.get' denied on resource '//iam.googleapis.com/projects/${project}' (or it may not exist).`;
    throw new Refusal(403, 'PERMISSION_DENIED', message);
  }

  #read(path: string): object {
    if (this.#stale === 0) return this.#shown(path, this.#entities);
    this.#stale -= 1;
    return this.#shown(path, this.#before);
  }

  #shown(path: string, entities: ReadonlyMap<string, Entity>): Shown {
    const entity = entities.get(path);
    if (entity === undefined) throw new Refusal(404, 'NOT_FOUND', 'Requested entity was not found.');
    const name = `projects/${this.projectNumber}/locations/global/workloadIdentityPools/${path.replace('/', '/providers/')}`;
    return { ...entity.fields, name, state: entity.state };
  }

  #existing(path: string): Entity {
    const entity = this.#entities.get(path);
    if (entity === undefined) throw new Refusal(404, 'NOT_FOUND', 'Requested entity was not found.');
    return entity;
  }

  #create(path: string, id: string, fields: Record<string, unknown>): void {
    if (!ID.test(id)) throw new Refusal(400, 'INVALID_ARGUMENT', `Invalid ID ${id}`);
    if (path.includes('/') && this.#existing(path.split('/', 1)[0] ?? '').state === 'DELETED') {
      throw new Refusal(400, 'FAILED_PRECONDITION', 'The pool is deleted.');
    }
    if (this.#entities.has(path)) throw new Refusal(409, 'ALREADY_EXISTS', 'Requested entity already exists');
    if (path.includes('/')) checkProvider(fields);
    // the API leaves out what is false
    const { disabled: _, ...others } = fields;
    this.#entities.set(path, { state: 'ACTIVE', fields: others });
  }

  #patch(path: string, body: Record<string, unknown>, mask: string): void {
    const entity = this.#existing(path);
    if (entity.state === 'DELETED') throw new Refusal(400, 'FAILED_PRECONDITION', 'It is deleted.');
    const fields: Record<string, unknown> = structuredClone(entity.fields);
    for (const field of mask.split(',')) {
      const [first = '', second] = field.split('.');
      if (second === undefined) fields[first] = body[first];
      else fields[first] = { ...record(fields[first]), [second]: record(body[first])[second] };
    }
    checkProvider(fields);
    entity.fields = fields;
  }

  #undelete(path: string): void {
    const entity = this.#existing(path);
    if (entity.state === 'ACTIVE') throw new Refusal(400, 'FAILED_PRECONDITION', 'It is not deleted.');
    entity.state = 'ACTIVE';
  }
}

function checkProvider(fields: { readonly oidc?: unknown; readonly attributeMapping?: unknown }): void {
  const { issuerUri, jwksJson } = record(fields.oidc);
  const mapping = record(fields.attributeMapping);
  const complaint =
    (!String(issuerUri).startsWith('https://') && 'the issuer is not an https URL') ||
    (mapping['google.subject'] === undefined && 'google.subject is not mapped') ||
    (Object.keys(mapping).some(
      (key) => !/^(?:google\.(?:subject|groups)|attribute\.[a-z0-9_]{1,90})$/.test(key),
    ) &&
      'an attribute has an impossible name') ||
    (typeof jwksJson === 'string' && jwksJson !== '' && complaintOf(jwksJson));
  if (complaint) throw new Refusal(400, 'INVALID_ARGUMENT', complaint);
}

function complaintOf(jwksJson: string): string | undefined {
  const { keys } = record(JSON.parse(jwksJson));
  if (!Array.isArray(keys) || keys.length === 0) return 'there are no keys';
  const good = keys.every((key) => {
    const { kty, ...others } = record(key);
    return (
      (kty === 'RSA' || kty === 'EC') && Object.keys(others).every((member) => KEY_MEMBERS.includes(member))
    );
  });
  return good ? undefined : 'a key has members that are not taken';
}

function record(value: unknown): Record<string, unknown> {
  // anything else has no fields, which is what the checks look for
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
