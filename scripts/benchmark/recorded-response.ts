import type { Target } from './load.ts';

/** What one server answered, for another to answer the same. */
export interface RecordedResponse {
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

// what every server writes by itself; `Date` is of the moment
const OWN_HEADERS: readonly string[] = ['content-length', 'date', 'connection', 'keep-alive'];

/** Throws if it is not 200. */
export async function record(target: Target): Promise<RecordedResponse> {
  const response = await fetch(target.url, { headers: target.headers });
  const body = await response.text();
  if (response.status !== 200) throw new Error(`${target.url} answered ${response.status}: ${body}`);
  const headers = [...response.headers].filter(([name]) => !OWN_HEADERS.includes(name));
  return { body, headers: Object.fromEntries(headers) };
}
