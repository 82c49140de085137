// Step "fetch": one request to the origins. Tries another origin inside the request, waits out a restart, refuses answers that cannot be right.
import { headers as names } from '../platform/contract/routes.ts';
import { messageOf } from '../platform/runtime/errors.ts';
import { type HttpClient, UpstreamFailed, type UpstreamResponse } from '../platform/runtime/http-client.ts';
import { backoffMs } from '../platform/runtime/waits.ts';
import { watchOver } from './attempt-watch.ts';
import { type RouteKind, rules } from './cache-policy.ts';
import { BodyTooLarge, OriginsBehind, OriginsUnavailable, StreamUnavailable } from './errors.ts';
import type { FailureLog } from './failure-log.ts';
import { AnswerTimes, hedged } from './hedge.ts';
import type { Headers } from './messages.ts';
import type { EdgeMetrics } from './metrics.ts';
import type { OriginPool } from './origins.ts';
import { clockOf } from './request-clock.ts';
import { RetryBudget } from './retry-budget.ts';

/** Between two reads of a body. Unit: ms. */
const IDLE_MS = 2_000;
/** A timer later than this says something about this process. Unit: ms. */
const LAG_MS = 100;
/** Body of an answer that is not 200. */
const SMALL_BODY_BYTES = 65_536;

export type OriginRequest = {
  kind: RouteKind;
  /** Path with query, made of parsed ids. */
  path: string;
  requestId: string;
  /** Address of the viewer who caused it. */
  client: string;
  ifNoneMatch: string | null;
  /** First byte wanted and the last one; asks for 206. */
  range: { from: number; to: number } | null;
  /**
   * The origin may hold the answer back until it has news; `ms` is then the limit of the whole request.
   * `isDue`: the news is known to be there, so an origin that waits for it lags.
   */
  hold: { ms: number; isDue: boolean } | null;
  /**
   * Why an answer must not be used though the origin gave it; the next origin is asked.
   * @param body null where it is streamed
   */
  refuses: (status: number, headers: Headers, body: Buffer | null) => 'behind' | 'mismatch' | 'doubt' | null;
};

/** Bytes as they arrive. */
export type StreamedBody = {
  stream: AsyncIterable<Buffer>;
  length: number;
  /** Frees the connection when nobody will read the stream. */
  discard(): void;
};

export type OriginAnswer = {
  status: number;
  headers: Headers;
  origin: string;
  /** Whole body; or for streamed kinds with status 200 or 206 and a known length, the bytes as they arrive. */
  body: Buffer | StreamedBody;
};
export type StreamedAnswer = OriginAnswer & { body: StreamedBody };

export interface Upstream {
  /**
   * @throws OriginsUnavailable, OriginsBehind, StreamUnavailable, BodyTooLarge
   */
  fetch(request: OriginRequest, signal: AbortSignal): Promise<OriginAnswer>;
  /** A body from this origin broke off after its head. */
  broke(kind: RouteKind, origin: string, thrown: unknown): void;
}

export type UpstreamParts = {
  pool: Pick<OriginPool, 'pick' | 'spare' | 'began' | 'succeeded' | 'failed' | 'isSound' | 'downMs' | 'whenOut'>;
  http: Pick<HttpClient, 'request'>;
  /** Connections of their own for requests that origins hold back: those waiting must not delay the others. */
  held: Pick<HttpClient, 'request'>;
  metrics: EdgeMetrics;
  failures: FailureLog;
  internalSecret: string;
  now: () => number;
  wait: (ms: number, signal: AbortSignal) => Promise<void>;
};

/** `held`: the origin held the answer back to the end; `doubt`: another origin may know better. */
type Reason =
  | 'refused'
  | 'reset'
  | 'timeout'
  | 'other'
  | 'status'
  | 'stream'
  | 'held'
  | 'behind'
  | 'doubt'
  | 'mismatch'
  | 'body';
type Attempt = { answer: OriginAnswer } | { failed: Reason; detail: string };
type Tried = { origin: string; outcome: Attempt; ms: number };

/** What concerns one stream or one object says nothing about the origin's health. */
const HARMLESS: ReadonlySet<Reason> = new Set(['stream', 'held', 'behind', 'doubt', 'mismatch']);
/** Not worth a line in the log: they are part of a live stream's life. */
const QUIET: ReadonlySet<Reason> = new Set(['stream', 'held', 'doubt']);
/** The origin has worked for these: to ask again may be too much for it. */
const COSTLY: ReadonlySet<Reason> = new Set(['timeout', 'status', 'other', 'body']);

/** What all requests of one edge share. */
type Shared = UpstreamParts & { budget: RetryBudget; times: AnswerTimes };
/** How one request stands. */
type Course = {
  clock: ReturnType<typeof clockOf>;
  tried: Set<string>;
  /** Why the origins of this round failed. */
  reasons: Set<Reason>;
  last: string;
  tries: number;
};

export function createUpstream(parts: UpstreamParts): Upstream {
  const shared: Shared = { ...parts, budget: new RetryBudget(parts.now), times: new AnswerTimes() };
  return {
    broke: (kind, origin, thrown) => note(shared, kind, origin, reasonOf(thrown, 'body'), messageOf(thrown)),
    fetch: (request, signal) => fetchFrom(shared, request, signal),
  };
}

async function fetchFrom(shared: Shared, request: OriginRequest, signal: AbortSignal): Promise<OriginAnswer> {
  const { pool, budget, now } = shared;
  const course: Course = {
    clock: clockOf(request.hold, rules[request.kind].firstByteMs, now, pool.downMs()),
    tried: new Set(),
    reasons: new Set(),
    last: 'no origin is known',
    tries: 0,
  };
  budget.began();
  for (let round = 0; ; ) {
    const origin = course.clock.leftMs() > 0 ? pool.pick(course.tried, pickedFor(request)) : null;
    if (origin === null) {
      endRounds(course);
      await shared.wait(backoffMs(round, 100, 300), signal);
      signal.throwIfAborted();
      round += 1;
      course.tried.clear();
      course.reasons.clear();
      continue;
    }
    const results = await tryOrigin(shared, course, origin, request, signal);
    for (const { origin: from, outcome } of results)
      if ('failed' in outcome) note(shared, request.kind, from, outcome.failed, outcome.detail);
    for (const tried of results)
      if ('answer' in tried.outcome) return accepted(shared, request, tried, tried.outcome.answer);
    for (const { origin: from, outcome } of results)
      if ('failed' in outcome) judge(shared, course, from, outcome.failed, outcome.detail);
  }
}

const pickedFor = ({ path, client }: OriginRequest) => ({ key: path, client });

/** One origin; and when it is later than nearly all answers are, another one beside it. @returns what came, an answer last */
async function tryOrigin(
  shared: Shared,
  course: Course,
  origin: string,
  request: OriginRequest,
  signal: AbortSignal,
): Promise<Tried[]> {
  const { pool, budget, times, metrics, now } = shared;
  const run =
    (from: string) =>
    async (own: AbortSignal): Promise<Tried> => {
      const fromMs = now();
      const outcome = await attempt(shared, from, request, course.clock.firstByteMs(course.tries), own);
      // It was not given the time to hold anything back.
      if ('failed' in outcome && outcome.failed === 'held' && course.clock.isOutage) outcome.failed = 'timeout';
      return { origin: from, outcome, ms: now() - fromMs };
    };
  // Held requests are late by intent, and the rest of a broken body is late already.
  const mayHedge = request.hold === null && request.range === null && course.tries === 0;
  const lateMs = mayHedge ? times.lateMs(request.kind) : null;
  if (lateMs === null || lateMs >= course.clock.firstByteMs(0)) return [await run(origin)(signal)];
  const startedMs = now();
  const hedge: { origin: string | null } = { origin: null };
  const results = await hedged<Tried>({
    first: run(origin),
    second() {
      const spare = pool.spare(new Set([...course.tried, origin]), pickedFor(request));
      if (spare === null) return null;
      // A timer that comes late itself says that this process is busy, and the answer may be here unread.
      const refusal = now() - startedMs > lateMs + LAG_MS ? 'skipped' : budget.take() ? null : 'refused';
      if (refusal !== null) {
        metrics.hedges.add({ outcome: refusal });
        return null;
      }
      hedge.origin = spare;
      return run(spare);
    },
    isGood: ({ outcome }) => 'answer' in outcome,
    isOpen: ({ outcome }) => 'answer' in outcome && !Buffer.isBuffer(outcome.answer.body),
    drop: ({ outcome }) => void ('answer' in outcome && drop(outcome.answer)),
    late: (ended) => shared.wait(lateMs, ended),
    signal,
  });
  if (hedge.origin === null) return results;
  const winner = results.find(({ outcome }) => 'answer' in outcome)?.origin ?? null;
  metrics.hedges.add({ outcome: winner === null ? 'failed' : winner === origin ? 'lost' : 'won' });
  // An overtaken request counts with the time it had: else hedges would make the observed times shorter and shorter.
  if (!results.some((result) => result.origin === origin)) times.add(request.kind, origin, now() - startedMs);
  return results;
}

function accepted(
  shared: Shared,
  { kind, hold }: OriginRequest,
  { origin, ms }: Tried,
  answer: OriginAnswer,
): OriginAnswer {
  shared.pool.succeeded(origin);
  if (hold === null) shared.times.add(kind, origin, ms);
  shared.metrics.upstreamRequests.add({ kind, outcome: outcomeOf(answer.status) });
  return answer;
}

/** Counts one failed try and tells the pool what it means for the origin. */
function note(
  { metrics, pool, failures }: Shared,
  kind: RouteKind,
  origin: string,
  reason: Reason,
  detail: string,
): void {
  metrics.upstreamRequests.add({ kind, outcome: reason });
  if (HARMLESS.has(reason)) pool.succeeded(origin);
  else pool.failed(origin, reason === 'refused' || reason === 'reset');
  if (!QUIET.has(reason)) failures.warn('origin failed a request', { origin, reason, detail });
}

/** Whether the request goes on after a failed try. */
function judge(
  { pool, budget, metrics }: Shared,
  course: Course,
  origin: string,
  reason: Reason,
  detail: string,
): void {
  course.clock.failed();
  course.tries += 1;
  course.tried.add(origin);
  metrics.upstreamRetries.add({ reason });
  if (course.reasons.has('stream') && (reason === 'stream' || reason === 'held')) throw new StreamUnavailable();
  course.reasons.add(reason);
  course.last = detail;
  // Whoever leaves an origin that was just found to be bad must go somewhere, and there are only so many of them.
  if (!COSTLY.has(reason) || !pool.isSound(origin) || budget.take()) return;
  metrics.retriesRefused.add({ reason });
  throw new OriginsUnavailable(`the retry budget is spent; ${detail}`);
}

/** All origins of a round have spoken: when waiting cannot help, or there is no time left, the request ends here. */
function endRounds({ reasons, clock, last }: Course): void {
  const only = (reason: Reason) => reasons.size === 1 && reasons.has(reason);
  if (only('behind')) throw new OriginsBehind();
  if (only('stream')) throw new StreamUnavailable();
  if (only('mismatch')) throw new OriginsUnavailable('every origin has another object under this address');
  if (clock.isOver()) throw reasons.has('held') ? new StreamUnavailable() : new OriginsUnavailable(last);
}

const outcomeOf = (status: number): string => (status === 304 ? 'not_modified' : status < 300 ? 'ok' : 'missing');

async function attempt(
  parts: UpstreamParts,
  origin: string,
  request: OriginRequest,
  limitMs: number,
  signal: AbortSignal,
): Promise<Attempt> {
  const isHeld = request.hold !== null;
  const watch = watchOver(signal, isHeld ? parts.pool.whenOut(origin) : null, limitMs);
  const ended = parts.pool.began(origin);
  let isStreaming = false;
  try {
    const response = await (isHeld ? parts.held : parts.http).request(origin, {
      path: request.path,
      headers: headersOf(request, parts.internalSecret),
      firstByteMs: limitMs,
      idleMs: IDLE_MS,
      signal: watch.signal,
    });
    watch.answered();
    const refusal = refusalOf(request, response);
    if (refusal !== null) {
      discard(response.body);
      return { failed: refusal, detail: `status ${response.status}` };
    }
    const answer = await answerOf(origin, request, response);
    const streamed = Buffer.isBuffer(answer.body) ? null : answer.body;
    const failed = request.refuses(answer.status, answer.headers, Buffer.isBuffer(answer.body) ? answer.body : null);
    isStreaming = failed === null && streamed !== null;
    if (isStreaming) response.body.once('close', ended);
    if (failed === null) return { answer };
    streamed?.discard();
    return { failed, detail: `status ${response.status}` };
  } catch (thrown) {
    if (signal.aborted || thrown instanceof BodyTooLarge) throw thrown;
    const reason = watch.ended() === null ? reasonOf(thrown, 'other') : 'timeout';
    const isSilent = isHeld && reason === 'timeout' && watch.ended() !== 'out';
    return { failed: isSilent ? 'held' : reason, detail: messageOf(thrown) };
  } finally {
    watch.end(isStreaming);
    if (!isStreaming) ended();
  }
}

/** An answer that nobody takes any more. */
function drop({ body }: OriginAnswer): void {
  if (!Buffer.isBuffer(body)) body.discard();
}

function discard(body: UpstreamResponse['body']): void {
  body.on('error', () => undefined).destroy();
}

function headersOf(request: OriginRequest, secret: string): Headers {
  const headers: Headers = { [names.internal]: secret, [names.requestId]: request.requestId };
  if (request.ifNoneMatch !== null) headers['if-none-match'] = request.ifNoneMatch;
  if (request.range !== null) headers['range'] = `bytes=${request.range.from}-${request.range.to}`;
  return headers;
}

/** Statuses an origin may answer to this request; everything else is a failed origin (a redirect, a 401 of a wrong secret, a 206 unasked). */
function refusalOf(request: OriginRequest, response: UpstreamResponse): Reason | null {
  const { status, headers } = response;
  if (status === 503 && headers[names.scope] === 'stream') return 'stream';
  const isExpected =
    (status === 200 && request.range === null) ||
    (status === 206 && request.range !== null) ||
    (status === 304 && request.ifNoneMatch !== null) ||
    [400, 403, 404, 410].includes(status);
  if (isExpected) return null;
  return request.range !== null && status < 500 ? 'mismatch' : 'status';
}

async function answerOf(origin: string, request: OriginRequest, response: UpstreamResponse): Promise<OriginAnswer> {
  const { status, headers } = response;
  const rule = rules[request.kind];
  const isBody = status === 200 || status === 206;
  const length = lengthOf(headers);
  if (isBody && rule.isStreamed && length !== null)
    return { status, headers, origin, body: { stream: response.body, length, discard: () => discard(response.body) } };
  const limit = isBody ? rule.maxBytes : SMALL_BODY_BYTES;
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response.body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > limit) throw new BodyTooLarge(length, limit);
    chunks.push(chunk);
  }
  if (isBody && length !== null && length !== bytes) throw new UpstreamFailed('reset', origin);
  return { status, headers, origin, body: Buffer.concat(chunks) };
}

function lengthOf(headers: Headers): number | null {
  const text = headers['content-length'];
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : null;
}

/** What broke, in one word. Errors of a body stream come as the client library threw them. */
function reasonOf(thrown: unknown, otherwise: Reason): Reason {
  if (thrown instanceof UpstreamFailed) return thrown.kind;
  const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
  if (code === 'UND_ERR_SOCKET' || code === 'ECONNRESET' || code === 'UND_ERR_ABORTED') return 'reset';
  if (code === 'UND_ERR_BODY_TIMEOUT' || code === 'UND_ERR_HEADERS_TIMEOUT') return 'timeout';
  return otherwise;
}
