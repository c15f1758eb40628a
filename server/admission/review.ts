import type { Sleep } from '../core/effects.ts';
import { withTimeLimit } from '../core/waiting.ts';
import { BodyRefused } from '../http/body-budget.ts';
import { excessOf } from '../http/json-bounds.ts';
import { isNamespaceName } from '../kubernetes/api-path.ts';
import type { InjectionKind } from './injection.ts';
import { isJsonObject, type JsonPatchOperation } from './json-patch.ts';

/** `request` of an AdmissionReview, admission.k8s.io/v1: the fields that are used here. */
export interface AdmissionRequest {
  readonly uid: string;
  readonly operation: string;
  /** As RBAC spells it: `pods`, `serviceaccounts/token`; prefixed by the API group if it has one. */
  readonly resource: string;
  /** Empty for cluster-scoped objects. */
  readonly namespace: string;
  /** For a subresource, the name of the object it belongs to. */
  readonly name: string;
  readonly username: string;
  /** `userInfo.extra`: what the authenticator knows about the caller's token. */
  readonly extra: ReadonlyMap<string, readonly string[]>;
  readonly object: unknown;
}

/** The response to a review. If refused, the API server passes `code` and `message` on to its client. */
export type ReviewResponse =
  | {
      readonly allowed: true;
      readonly patch: readonly JsonPatchOperation[];
      readonly warnings: readonly string[];
      /** The credentials that the patch gives the Pod, for metrics. */
      readonly injected: readonly InjectionKind[];
    }
  | {
      readonly allowed: false;
      readonly code: number;
      readonly message: string;
      /** The injection that refused the Pod, for metrics. */
      readonly refusedBy?: InjectionKind;
    };

export const ALLOWED: ReviewResponse = { allowed: true, patch: [], warnings: [], injected: [] };

/** A permanent refusal, by an injection if it is what the Pod asks of that one. */
export function refused(message: string, refusedBy?: InjectionKind): ReviewResponse {
  return { allowed: false, code: 403, message, ...(refusedBy !== undefined && { refusedBy }) };
}

/** A temporary refusal: controllers retry the Pod, and the server retries the token request. */
export function refusedForNow(message: string): ReviewResponse {
  return { allowed: false, code: 503, message: `${message}; retry` };
}

/** The body is not an AdmissionReview v1. The message is for the client. */
export class NotAReview extends Error {}

const API_VERSION = 'admission.k8s.io/v1';
const KIND = 'AdmissionReview';

/** Characters, as it is echoed and logged. A UUID has 36. */
const LONGEST_UID = 128;
/** Characters. The name of a new Pod is not checked before it is admitted, so it may be invalid. */
const LONGEST_NAME = 253;

/** Bytes. An object is at most 1.5 MiB in etcd, and a review contains at most two. */
export const LARGEST_REVIEW = 3 * 1024 * 1024;
/** A Pod with 100 containers of 100 variables each, with its managedFields, has 100,000 values at a depth of 12. */
const JSON_BOUNDS = { depth: 64, values: 150_000 };
/** Milliseconds. */
const TIME_LIMIT = 5000;

/** The body of a review, unparsed, with bounded size, depth and number of values. Throws {@link BodyRefused}. */
export async function readReview(request: Request, sleep: Sleep): Promise<Uint8Array> {
  const [type = ''] = (request.headers.get('content-type') ?? '').split(';', 1);
  if (type.trim().toLowerCase() !== 'application/json') {
    throw new BodyRefused(415, 'expected a body of content type application/json');
  }
  if (Number(request.headers.get('content-length')) > LARGEST_REVIEW) throw tooLarge();
  const { body } = request;
  if (body === null) return new Uint8Array();
  const late = () => new BodyRefused(408, `the body did not arrive within ${TIME_LIMIT / 1000} s`);
  const json = await withTimeLimit(sleep, TIME_LIMIT, late, undefined, (signal) => readAll(body, signal));
  const excess = excessOf(json, JSON_BOUNDS);
  if (excess !== undefined) throw new BodyRefused(403, `the review is too large: ${excess}`);
  return json;
}

/** Stops reading at the limit. */
async function readAll(body: ReadableStream<Uint8Array>, signal: AbortSignal): Promise<Uint8Array> {
  const reader = body.getReader();
  signal.addEventListener('abort', () => reader.cancel().catch(() => {}), { once: true });
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for (;;) {
      const { value } = await reader.read();
      if (value === undefined) return chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks);
      length += value.length;
      if (length > LARGEST_REVIEW) throw tooLarge();
      chunks.push(value);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function tooLarge(): BodyRefused {
  return new BodyRefused(403, `the body is larger than ${LARGEST_REVIEW} bytes`);
}

/** The request of a review. Throws {@link NotAReview}. */
export function parseReview(review: unknown): AdmissionRequest {
  const { kind, apiVersion, request } = isJsonObject(review) ? review : {};
  if (kind !== KIND) throw new NotAReview(`expected an object of kind ${KIND}`);
  if (apiVersion !== API_VERSION) throw new NotAReview(`expected an ${KIND} of apiVersion ${API_VERSION}`);
  if (!isJsonObject(request)) throw new NotAReview(`the ${KIND} has no request`);
  const { uid, operation, resource, subResource, userInfo, object } = request;
  if (typeof uid !== 'string' || uid === '') throw new NotAReview(`the ${KIND} has no request.uid`);
  if (uid.length > LONGEST_UID) throw new NotAReview(`request.uid is longer than ${LONGEST_UID} characters`);
  const [namespace, name] = [text(request['namespace']), text(request['name'])];
  if (namespace !== '' && !isNamespaceName(namespace)) {
    throw new NotAReview('request.namespace is not the name of a Namespace');
  }
  if (name.length > LONGEST_NAME) {
    throw new NotAReview(`request.name is longer than ${LONGEST_NAME} characters`);
  }
  const { group, resource: plural } = isJsonObject(resource) ? resource : {};
  const { username, extra } = isJsonObject(userInfo) ? userInfo : {};
  return {
    uid,
    operation: text(operation),
    resource: [text(group), text(plural), text(subResource)].filter((part) => part !== '').join('/'),
    namespace,
    name,
    username: text(username),
    extra: new Map(
      Object.entries(isJsonObject(extra) ? extra : {}).map(([key, value]) => [key, texts(value)]),
    ),
    object,
  };
}

/** The AdmissionReview with the response to the request with `uid`. */
export function renderReview(uid: string, response: ReviewResponse): object {
  return { apiVersion: API_VERSION, kind: KIND, response: { uid, ...renderResponse(response) } };
}

function renderResponse(response: ReviewResponse): object {
  if (!response.allowed) {
    return { allowed: false, status: { code: response.code, message: response.message } };
  }
  const { patch, warnings } = response;
  return {
    allowed: true,
    ...(patch.length === 0 ? {} : { patchType: 'JSONPatch', patch: base64(JSON.stringify(patch)) }),
    ...(warnings.length === 0 ? {} : { warnings }),
  };
}

function base64(value: string): string {
  return Buffer.from(value).toString('base64');
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}
