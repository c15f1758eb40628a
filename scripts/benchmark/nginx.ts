import type { RecordedResponse } from './recorded-response.ts';

/** One worker that answers each port with `return 200`, all else left out. Everything it writes goes into `folder`. */
export function nginxConfiguration(folder: string, answers: ReadonlyMap<number, RecordedResponse>): string {
  const servers = [...answers].map(([port, { body, headers }]) => {
    const { 'content-type': type = 'text/plain', server: _, ...others } = headers;
    const added = Object.entries(others).map(([name, value]) => `add_header ${name} ${quoted(value)};`);
    return `server {
      listen [::]:${port} ipv6only=off backlog=511;
      default_type ${quoted(type)};
      ${added.join(' ')}
      location / { return 200 ${quoted(body)}; }
    }`;
  });
  return `
    daemon off;
    master_process off;
    pid ${folder}/nginx.pid;
    error_log ${folder}/nginx.log;
    events { worker_connections 1024; }
    http {
      access_log off;
      keepalive_requests 1000000000;
      client_body_temp_path ${folder};
      proxy_temp_path ${folder};
      fastcgi_temp_path ${folder};
      uwsgi_temp_path ${folder};
      scgi_temp_path ${folder};
      ${servers.join('\n')}
    }`;
}

/** A string of its configuration language, in which `$` begins a variable and nothing escapes it. */
function quoted(value: string): string {
  if (value.includes('$')) throw new Error('nginx cannot answer with a dollar sign');
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
