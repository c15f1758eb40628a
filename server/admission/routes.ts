import { Elysia } from 'elysia';
import type { Effects, Sleep } from '../core/effects.ts';
import { withTimeLimit } from '../core/waiting.ts';
import { BodyRefused, LARGE_BODY } from '../http/body-budget.ts';
import type { Log } from '../telemetry/log.ts';
import type { AdmissionEvents, ReviewOutcome, Webhook } from './admission-metrics.ts';
import {
  type AdmissionRequest,
  type Answer,
  NotAReview,
  parseReview,
  refusedForNow,
  renderReview,
} from './review.ts';
import { readReview } from './review-body.ts';
import { Turns } from './turns.ts';

/** The answer to a review. What it throws is answered with a refusal for now, and a fixed text. */
export type Reviewer = (request: AdmissionRequest, signal: AbortSignal) => Promise<Answer>;

export interface AdmissionRoutesDependencies {
  readonly mutatePod: Reviewer;
  readonly guardTokenRequest: Reviewer;
  readonly events: AdmissionEvents;
  readonly log: Log;
  readonly effects: Pick<Effects, 'now' | 'sleep'>;
}

/** Below any `timeoutSeconds` a person would set, so that the API server hears why, not that nothing came. */
const TIME_LIMIT_MILLISECONDS = 5000;
/**
 * What is made of a review takes many times its memory: of its JSON, and of a Pod with many containers the patch. So
 * many are looked at together, the others wait.
 */
const REVIEWS_AT_A_TIME = 32;
const LARGE_REVIEWS_AT_A_TIME = 2;
const NO_SIGNAL = new AbortController().signal;

interface ReviewTurns {
  readonly usual: Turns;
  /** Of bodies above {@link LARGE_BODY}. */
  readonly large: Turns;
}

/**
 * `POST /mutate/pods` and `POST /validate/token-requests`, AdmissionReview v1. A review always gets an answer with
 * its uid; what is none gets 4xx and a text.
 */
export function admissionRoutes(dependencies: AdmissionRoutesDependencies): Elysia {
  const turns: ReviewTurns = {
    usual: new Turns(REVIEWS_AT_A_TIME),
    large: new Turns(LARGE_REVIEWS_AT_A_TIME),
  };
  const app = new Elysia({ strictPath: true });
  const route = (path: string, webhook: Webhook, reviewer: Reviewer) =>
    app.post(path, ({ request }) => respond(request, webhook, reviewer, turns, dependencies), {
      parse: 'none', // the body is read here, as far as it may be
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
  turns: ReviewTurns,
  dependencies: AdmissionRoutesDependencies,
): Promise<Response> {
  const { events, effects } = dependencies;
  const startedAt = effects.now();
  const [outcome, response] = await review(request, webhook, reviewer, turns, dependencies);
  events.reviewed(webhook, outcome, (effects.now() - startedAt) / 1000);
  return response;
}

async function review(
  request: Request,
  webhook: Webhook,
  reviewer: Reviewer,
  turns: ReviewTurns,
  dependencies: AdmissionRoutesDependencies,
): Promise<[ReviewOutcome, Response]> {
  const { sleep } = dependencies.effects;
  try {
    const json = await readReview(request, sleep);
    const turn = json.length > LARGE_BODY ? turns.large : turns.usual;
    return await inTurn(turn, sleep, () => reviewOf(json, webhook, reviewer, dependencies));
  } catch (error) {
    if (error instanceof BodyRefused) return ['malformed', text(error.status, error.message)];
    if (error instanceof NotAReview) return ['malformed', text(400, error.message)];
    throw error;
  }
}

/** The work when its turn comes; refused if that takes too long. */
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
  { log, effects }: AdmissionRoutesDependencies,
): Promise<[ReviewOutcome, Response]> {
  const admission = parseReview(parseJson(json));
  const [outcome, answer] = await answerOf(admission, reviewer, { log, effects });
  const { uid, namespace, name } = admission;
  const fields = { webhook, uid, namespace, name, outcome };
  if (answer.allowed) log.debug(fields, 'review');
  else log.warn({ ...fields, reason: answer.message }, 'review');
  return [outcome, Response.json(renderReview(uid, answer))];
}

/** An internal failure refuses for now: to let a Pod or a token through unlooked-at could not be taken back. */
async function answerOf(
  admission: AdmissionRequest,
  reviewer: Reviewer,
  { log, effects }: Pick<AdmissionRoutesDependencies, 'log' | 'effects'>,
): Promise<[ReviewOutcome, Answer]> {
  try {
    const late = () => new Error(`no answer within ${TIME_LIMIT_MILLISECONDS / 1000} s`);
    const answer = await withTimeLimit(effects.sleep, TIME_LIMIT_MILLISECONDS, late, undefined, (signal) =>
      reviewer(admission, signal),
    );
    if (answer.allowed) return [answer.patch.length === 0 ? 'allowed' : 'patched', answer];
    return [answer.code >= 500 ? 'failed' : 'refused', answer];
  } catch (error) {
    log.error({ error, uid: admission.uid }, 'review failed');
    return ['failed', refusedForNow('the webhook of gke-metadata-server failed, its log says how')];
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
