import { type ApiCall, ApiRefusal, type ApiServer, faultOf } from './api-server.ts';
import { Field } from './field.ts';

/**
 * One object by its name, or undefined where there is none. `kind` is what its fields are called in messages.
 * Throws `kubernetes-unavailable` or `kubernetes-forbidden`.
 */
export async function getObject<T>(
  server: Pick<ApiServer, 'json'>,
  call: Omit<ApiCall, 'verb' | 'body'>,
  kind: string,
  parse: (object: Field) => T,
  signal?: AbortSignal,
): Promise<T | undefined> {
  try {
    return parse(new Field(await server.json({ verb: 'get', ...call }, signal), kind));
  } catch (error) {
    if (!(error instanceof ApiRefusal)) throw error;
    // the reason tells an API server's 404 from that of something before it
    if (error.status.code === 404 && error.status.reason === 'NotFound') return undefined;
    throw faultOf(error);
  }
}
