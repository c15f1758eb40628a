import type { Server } from 'bun';
import { Elysia } from 'elysia';
import { Fault } from '../core/fault.ts';
import { hostCheck } from '../http/host-check.ts';
import { IDLE_TIMEOUT, INSTANCE_PATH } from '../http/listener.ts';
import { RepeatLimit } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { CONTAINER_CREDENTIALS_PATH } from './aws/container-credentials-api.ts';
import { EC2_CREDENTIALS_PATH } from './aws/ec2-api.ts';
import { AZURE_TOKEN_PATH } from './azure/azure-api.ts';
import { failureResponse } from './faults.ts';
import { MetadataApi, type MetadataDependencies, type Outcome } from './metadata-api.ts';
import { ReadyResponses, TokenResponses } from './ready-responses.ts';
import { HOST_NAMES, targetOf } from './request-target.ts';
import { headersOf, type MetadataResponse } from './response.ts';
import { ANY_ACCOUNT, find, TREE } from './tree.ts';

/** The server of the routes; null if they are called without one. */
export type Carrier = Server<unknown> | null;

export interface MetadataRoutesDependencies extends MetadataDependencies {
  readonly metrics: Pick<Metrics, 'route'>;
  /** Names this instance to another one that is started on the same Node. */
  readonly instance: string;
  /** The address of a request's peer, as the socket spells it; undefined once it has disconnected. */
  peerOf(request: Request, server: Carrier): string | undefined;
}

/** The peer address that the kernel knows, which no header can change. */
export function socketPeer(request: Request, server: Carrier): string | undefined {
  return server?.requestIP(request)?.address;
}

// all paths outside the tree, so that a caller cannot create labels
const UNKNOWN_ROUTE = 'unknown';
const LONGEST_LOGGED_PATH = 256;

// What clients ask for often; for a method that Bun does not know it takes the route of GET, so there is none for all paths.
const OWN_PATHS = [
  ...TREE.filter(({ kind }) => kind !== 'directory').map(({ path }) => path.replace(ANY_ACCOUNT, 'default')),
  // directories: Elysia passes a route of its own to Bun without the slash at its end
  '/computeMetadata/*',
  AZURE_TOKEN_PATH,
  `${EC2_CREDENTIALS_PATH}:role`,
  CONTAINER_CREDENTIALS_PATH,
];

const DEFAULT_TOKEN_PATH = '/computeMetadata/v1/instance/service-accounts/default/token';
const TOKEN_TEMPLATE = find(DEFAULT_TOKEN_PATH)?.row.path ?? UNKNOWN_ROUTE;

/** The metadata API on HTTP. */
export function metadataRoutes(dependencies: MetadataRoutesDependencies): Elysia {
  const { settings, metrics, log, effects, draining, callers, tokens } = dependencies;
  const logged = settings.logLevel === 'debug';
  // Bun's own routes for GET: Elysia's handler around them costs 6 % of the CPU. A request that is to be logged takes the
  // general path, which logs it.
  const handler = (request: Request): Response | Promise<Response> => {
    const peer = peerOf(request);
    return (logged ? undefined : hot(request, peer)) ?? respond(request, peer);
  };
  // what nearly every request asks for, without looking for it by its URL
  const tokenHandler = (request: Request): Response | Promise<Response> =>
    (logged ? undefined : hotToken(request)) ?? handler(request);
  const ownRoutes = Object.fromEntries(OWN_PATHS.map((path) => [path, { GET: handler }]));
  ownRoutes[DEFAULT_TOKEN_PATH] = { GET: tokenHandler };
  const app: Elysia = new Elysia({ strictPath: true, serve: { routes: ownRoutes } });
  const tokenResponses = new TokenResponses(settings.cacheMaxTokenDurationSeconds, effects.now);
  const api = new MetadataApi(dependencies, tokenResponses);
  const ready = new ReadyResponses();
  const isOurs = hostCheck(HOST_NAMES);
  const peerOf = (request: Request): string | undefined => dependencies.peerOf(request, app.server);

  const respond = async (request: Request, peer = peerOf(request)): Promise<Response> => {
    const start = effects.now();
    const { path, query } = targetOf(request.url);
    const { method, headers } = request;
    let held = false;
    const outcome = await api.respond({
      method,
      path,
      query,
      flavored: headers.get('metadata-flavor') === 'Google',
      forwarded: headers.get('x-forwarded-for') !== null,
      header: (name) => headers.get(name),
      foreignHost: isOurs(headers.get('host')) ? undefined : (headers.get('host') ?? undefined),
      peer,
      hold: () => {
        held = true;
        app.server?.timeout(request, 0);
        return request.signal;
      },
    });
    // or a connection that is kept alive would never time out
    if (held) app.server?.timeout(request, IDLE_TIMEOUT);
    const route = outcome.template ?? UNKNOWN_ROUTE;
    const seconds = (effects.now() - start) / 1000;
    const routeMetrics = metrics.route(route);
    routeMetrics.record(method, outcome.response.status, seconds);
    const { again, caller } = outcome;
    const now = peer === undefined || again === undefined ? undefined : callers.known(peer);
    // the address may have become another Pod's while this one waited
    if (now !== undefined && again !== undefined && (caller === undefined || caller === now)) {
      ready.remember(now, request.url, { again, metrics: routeMetrics }, outcome.response);
    }
    if (logged) {
      const asked = { method, route, path: path.slice(0, LONGEST_LOGGED_PATH), peer, seconds };
      log.debug({ ...asked, ...spoken(outcome) }, 'answered');
    }
    return toResponse(outcome.response, draining.aborted);
  };
  /**
   * Nearly every request ends here, and a response alone costs Bun some 10 µs, so each read was measured (share of the
   * throughput): the URL 6 %, joining the body of a token 10 % (hence TokenResponses), headers from an object literal 1 to
   * 2 %, an absent header, the clock and the look-ups less than can be measured.
   */
  const hot = (request: Request, peer: string | undefined): Response | undefined => {
    const start = effects.now();
    const { headers, method } = request;
    if (headers.get('x-forwarded-for') !== null || !isOurs(headers.get('host')) || draining.aborted)
      return undefined;
    const caller = peer === undefined ? undefined : callers.known(peer);
    const entry = caller && ready.of(caller, request.url);
    const known = entry?.again((name) => headers.get(name));
    if (entry === undefined || known === undefined) return undefined;
    const response = new Response(known.body, known.init);
    entry.metrics.record(method, 200, (effects.now() - start) / 1000);
    return response;
  };

  const tokenMetrics = metrics.route(TOKEN_TEMPLATE);
  const hotToken = (request: Request): Response | undefined => {
    const start = effects.now();
    const { headers } = request;
    if (headers.get('metadata-flavor') !== 'Google') return undefined;
    if (headers.get('x-forwarded-for') !== null || !isOurs(headers.get('host'))) return undefined;
    if (draining.aborted || request.url.includes('?')) return undefined;
    const peer = peerOf(request);
    const caller = peer === undefined ? undefined : callers.known(peer);
    if (caller === undefined) return undefined;
    const token = tokens.cachedAccessToken(caller);
    const known = token === undefined ? undefined : tokenResponses.of(token);
    if (known === undefined) return undefined;
    const response = new Response(known.body, known.init);
    tokenMetrics.record(request.method, 200, (effects.now() - start) / 1000);
    return response;
  };

  // before the routes: a hook covers only those that follow it. What throws past `api` is a bug.
  const unexpected = new RepeatLimit(log, effects.now);
  app.onError(({ error }) => {
    unexpected.error('', { error }, 'unexpected failure');
    return toResponse(failureResponse(error, undefined), true);
  });
  app.get(INSTANCE_PATH, () => new Response(`${dependencies.instance}\n`));
  app.all('/*', ({ request }) => respond(request));
  return app;
}

function toResponse(response: MetadataResponse, closing: boolean): Response {
  const headers = closing ? { ...headersOf(response), Connection: 'close' } : headersOf(response);
  // Bun adds Content-Length, and omits the body for HEAD
  return new Response(response.body, { status: response.status, headers });
}

/** What the log records about an outcome: never the body, which may be a token. */
function spoken({ response, failure }: Outcome): object {
  const { status } = response;
  if (failure === undefined) return { status };
  if (!(failure instanceof Fault)) return { status, error: failure };
  return { status, code: failure.code, reason: failure.message, remedy: failure.remedy };
}
