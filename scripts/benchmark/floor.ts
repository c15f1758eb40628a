// The floor: the least that a server under Bun can do and still tell callers apart. It reads the peer's address and
// the flavor header, and returns the bytes that it was given.
import { readFileSync } from 'node:fs';
import type { RecordedResponse } from './contenders.ts';

const [port = '', responseFile = ''] = process.argv.slice(2);
// written by this benchmark, with the same type
const { body, headers } = JSON.parse(readFileSync(responseFile, 'utf8')) as RecordedResponse;
const init = { headers: new Headers(headers) };
const refusal = { status: 403 };

Bun.serve({
  port: Number(port),
  hostname: '::',
  development: false,
  fetch(request, server) {
    const address = server.requestIP(request)?.address;
    if (address === undefined || request.headers.get('metadata-flavor') !== 'Google') {
      return new Response('Forbidden', refusal);
    }
    return new Response(body, init);
  },
});
