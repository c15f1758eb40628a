import { Elysia } from 'elysia';
import type { Effects, Sleep } from '../core/effects.ts';
import { withTimeLimit } from '../core/waiting.ts';
import { BodyRefused, LARGE_BODY } from '../http/body-budget.ts';
import { type Log, RepeatLimit } from '../telemetry/log.ts';
import type { AdmissionEvents, ReviewOutcome, Webhook } from './admission-metrics.ts';
import {
  type AdmissionRequest,
  NotAReview,
  parseReview,
  type ReviewResponse,
  readReview,
  refusedForNow,
  renderReview,
} from './review.ts';
import { Turns } from './turns.ts';

/** Decides about a review. If it throws, the review gets a temporary refusal with a fixed text. */
export type Reviewer = (request: AdmissionRequest, signal: AbortSignal) => Promise<ReviewResponse>;

interface AdmissionRoutesDependencies {
  readonly mutatePod: Reviewer;
  readonly guardTokenRequest: Reviewer;
  readonly events: AdmissionEvents;
  readonly log: Log;
  readonly effects: Pick<Effects, 'now' | 'sleep'>;
}

/** Below any reasonable `timeoutSeconds`, so that the API server gets the reason instead of a timeout. */
const TIME_LIMIT_MILLISECONDS = 5000;
/**
 * A review takes many times the memory of its JSON, and so does the patch of a Pod with many containers. This many are
 * processed at a time; the others wait.
 */
const REVIEWS_AT_A_TIME = 32;
const LARGE_REVIEWS_AT_A_TIME = 2;
const NO_SIGNAL = new AbortController().signal;

/** What the routes share. */
interface Shared extends AdmissionRoutesDependencies {
  readonly turns: Turns;
  /** Of bodies above {@link LARGE_BODY}. */
  readonly largeTurns: Turns;
  /** Lines that a client can cause. */
  readonly limitedLog: RepeatLimit;
}

/**
 * `POST /mutate/pods` and `POST /validate/token-requests`, AdmissionReview v1. A review always gets a response with
 * its uid; anything else gets 4xx and a text.
 */
export function admissionRoutes(dependencies: AdmissionRoutesDependencies): Elysia {
  const shared: Shared = {
    ...dependencies,
    turns: new Turns(REVIEWS_AT_A_TIME),
    largeTurns: new Turns(LARGE_REVIEWS_AT_A_TIME),
    limitedLog: new RepeatLimit(dependencies.log, dependencies.effects.now),
  };
  const app = new Elysia({ strictPath: true });
  const route = (path: string, webhook: Webhook, reviewer: Reviewer) =>
    app.post(path, ({ request }) => respond(request, webhook, reviewer, shared), {
      parse: 'none', // readReview reads the body, within its bounds
    });
  route('/mutate/pods', 'pods', dependencies.mutatePod);
  route('/validate/token-requests', 'token-requests', dependencies.guardTokenRequest);
  app.onError(({ code }) =>
    code === 'NOT_FOUND' ? text(404, 'Not Found') : text(500, 'Internal Server Error'),
  );
  return app;
}

async function respond(
  request: Request,
  webhook: Webhook,
  reviewer: Reviewer,
  shared: Shared,
): Promise<Response> {
  const { events, effects } = shared;
  const startedAt = effects.now();
  const [outcome, response] = await review(request, webhook, reviewer, shared);
  events.reviewed(webhook, outcome, (effects.now() - startedAt) / 1000);
  return response;
}

async function review(
  request: Request,
  webhook: Webhook,
  reviewer: Reviewer,
  shared: Shared,
): Promise<[ReviewOutcome, Response]> {
  const { sleep } = shared.effects;
  try {
    const json = await readReview(request, sleep);
    const turn = json.length > LARGE_BODY ? shared.largeTurns : shared.turns;
    return await inTurn(turn, sleep, () => reviewOf(json, webhook, reviewer, shared));
  } catch (error) {
    if (!(error instanceof BodyRefused || error instanceof NotAReview)) throw error;
    const status = error instanceof BodyRefused ? error.status : 400;
    const fields = { webhook, status, reason: error.message };
    shared.limitedLog.warn(`${webhook} malformed ${status}`, fields, 'malformed review');
    return ['malformed', text(status, error.message)];
  }
}

/** Does the work when its turn comes. Refuses it if that takes too long. */
async function inTurn<T>(turns: Turns, sleep: Sleep, work: () => Promise<T>): Promise<T> {
  if (turns.isFree) return turns.take(work, NO_SIGNAL);
  const waiting = new AbortController();
  const started = new AbortController();
  sleep(TIME_LIMIT_MILLISECONDS, started.signal).then(
    () => waiting.abort(new BodyRefused(503, 'too many reviews at a time: retry')),
    () => {}, // its turn came in time
  );
  return turns.take(() => {
    started.abort();
    return work();
  }, waiting.signal);
}

async function reviewOf(
  json: Uint8Array,
  webhook: Webhook,
  reviewer: Reviewer,
  shared: Shared,
): Promise<[ReviewOutcome, Response]> {
  const admission = parseReview(parseJson(json));
  const [outcome, response] = await responseTo(admission, webhook, reviewer, shared);
  const { uid, namespace, name } = admission;
  const fields = { webhook, uid, namespace, name, outcome };
  if (response.allowed) {
    shared.events.injected(response.injected);
    shared.log.debug(fields, 'review');
  } else {
    if (response.refusedBy !== undefined) shared.events.injectionRefused(response.refusedBy);
    shared.limitedLog.warn(`${webhook} ${outcome}`, { ...fields, reason: response.message }, 'review');
  }
  return [outcome, Response.json(renderReview(uid, response))];
}

/** An internal failure is a temporary refusal: a Pod or token admitted unchecked could not be taken back. */
async function responseTo(
  admission: AdmissionRequest,
  webhook: Webhook,
  reviewer: Reviewer,
  { limitedLog, effects }: Shared,
): Promise<[ReviewOutcome, ReviewResponse]> {
  try {
    const late = () => new Error(`no response within ${TIME_LIMIT_MILLISECONDS / 1000} s`);
    const response = await withTimeLimit(effects.sleep, TIME_LIMIT_MILLISECONDS, late, undefined, (signal) =>
      reviewer(admission, signal),
    );
    if (response.allowed) return [response.patch.length === 0 ? 'allowed' : 'patched', response];
    return [response.code >= 500 ? 'failed' : 'refused', response];
  } catch (error) {
    limitedLog.error(`${webhook} error`, { error, uid: admission.uid }, 'review failed');
    return ['failed', refusedForNow('the webhook of gke-metadata-server failed; see its log')];
  }
}

function parseJson(json: Uint8Array): unknown {
  try {
    return JSON.parse(utf8.decode(json));
  } catch {
    throw new NotAReview('expected an AdmissionReview in JSON');
  }
}

const utf8 = new TextDecoder();

function text(status: number, message: string): Response {
  return new Response(`${message}\n`, {
    status,
    headers: { 'Content-Type': 'text/plain; charset=utf-8' },
  });
}
