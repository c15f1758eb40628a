import { type IncomingHttpHeaders, request } from 'node:http';
import { Fault } from '../core/fault.ts';

export interface ServerResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/**
 * Requests `path` of the metadata server on 127.0.0.1 with `address` as the source: on loopback, a client may choose
 * the address that it connects from, which `fetch` cannot do. `headers` are those of the cloud whose path it is.
 */
export function ask(
  address: string,
  port: number,
  path: string,
  headers: Readonly<Record<string, string>> = { 'Metadata-Flavor': 'Google' },
  method: 'GET' | 'PUT' = 'GET',
): Promise<ServerResponse> {
  return new Promise((resolve, reject) => {
    const options = {
      host: '127.0.0.1',
      port,
      path,
      localAddress: address,
      method,
      headers,
      agent: false,
    };
    request(options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(chunks).toString(),
        }),
      );
      response.on('error', reject);
    })
      .on('error', (error) => reject(isNotOwn(error) ? addressMissing(address, error) : error))
      .end();
  });
}

function isNotOwn(error: NodeJS.ErrnoException): boolean {
  return error.code === 'EADDRNOTAVAIL';
}

// Linux has all of 127.0.0.0/8, macOS only 127.0.0.1
function addressMissing(address: string, cause: Error): Fault {
  return new Fault('setting-invalid', `this machine cannot connect from ${address}`, {
    remedy: `Give its loopback interface the address: sudo ifconfig lo0 alias ${address}`,
    cause,
  });
}
