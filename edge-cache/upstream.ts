// Step "fetch": one request to the origins. Tries another origin inside the request, waits out a restart, refuses answers that cannot be right.
import { headers as names } from '../platform/contract/routes.ts';
import { messageOf } from '../platform/runtime/errors.ts';
import { type HttpClient, UpstreamFailed, type UpstreamResponse } from '../platform/runtime/http-client.ts';
import { backoffMs } from '../platform/runtime/waits.ts';
import { type RouteKind, rules } from './cache-policy.ts';
import { BodyTooLarge, OriginsBehind, OriginsUnavailable, StreamUnavailable } from './errors.ts';
import type { FailureLog } from './failure-log.ts';
import type { Headers } from './messages.ts';
import type { EdgeMetrics } from './metrics.ts';
import type { OriginPool } from './origins.ts';

export const limits = {
  /** One request with all its retries, until the head of the answer. Unit: ms. */
  totalMs: 8_000,
  /** No new round over the origins begins later than this: long enough for a restart under the supervisor. Unit: ms. */
  roundsMs: 3_000,
  /** Between two reads of a body. Unit: ms. */
  idleMs: 2_000,
  /** What every origin that keeps up has already is given this long by an origin that seems to wait for it. Unit: ms. */
  dueMs: 1_000,
  /** Body of an answer that is not 200, bytes. */
  smallBodyBytes: 65_536,
} as const;

export type OriginRequest = {
  kind: RouteKind;
  /** Path with query, made of parsed ids. */
  path: string;
  requestId: string;
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
  pool: Pick<OriginPool, 'pick' | 'succeeded' | 'failed' | 'whenOut'>;
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

/** What concerns one stream or one object says nothing about the origin's health. */
const HARMLESS: ReadonlySet<Reason> = new Set(['stream', 'held', 'behind', 'doubt', 'mismatch']);
/** Not worth a line in the log: they are part of a live stream's life. */
const QUIET: ReadonlySet<Reason> = new Set(['stream', 'held', 'doubt']);

export function createUpstream(parts: UpstreamParts): Upstream {
  const { pool, metrics, failures, now } = parts;

  /** Counts one failed try and tells the pool what it means for the origin. */
  const note = (origin: string, reason: Reason, detail: string, request: Pick<OriginRequest, 'kind'>): void => {
    metrics.upstreamRequests.add({ kind: request.kind, outcome: reason });
    if (HARMLESS.has(reason)) pool.succeeded(origin);
    else pool.failed(origin, reason === 'refused' || reason === 'reset');
    if (!QUIET.has(reason)) failures.warn('origin failed a request', { origin, reason, detail });
  };

  return {
    broke: (kind, origin, thrown) => note(origin, reasonOf(thrown, 'body'), messageOf(thrown), { kind }),
    async fetch(request, signal) {
      const clock = clockOf(request, now);
      const tried = new Set<string>();
      const reasons = new Set<Reason>();
      let last = 'no origin is known';
      let tries = 0;
      for (let round = 0; ; ) {
        const leftMs = clock.leftMs();
        const origin = leftMs > 0 ? pool.pick(tried) : null;
        if (origin === null) {
          endRounds(reasons);
          if (clock.isOver()) throw reasons.has('held') ? new StreamUnavailable() : new OriginsUnavailable(last);
          await parts.wait(backoffMs(round, 100, 300), signal);
          signal.throwIfAborted();
          round += 1;
          tried.clear();
          reasons.clear();
          continue;
        }
        const outcome = await attempt(parts, origin, request, firstByteMs(request, tries, leftMs), signal);
        if ('answer' in outcome) {
          pool.succeeded(origin);
          metrics.upstreamRequests.add({ kind: request.kind, outcome: outcomeOf(outcome.answer.status) });
          return outcome.answer;
        }
        clock.failed();
        tries += 1;
        note(origin, outcome.failed, outcome.detail, request);
        metrics.upstreamRetries.add({ reason: outcome.failed });
        tried.add(origin);
        const isSecondOpinion = reasons.has('stream') && (outcome.failed === 'stream' || outcome.failed === 'held');
        if (isSecondOpinion) throw new StreamUnavailable();
        reasons.add(outcome.failed);
        last = outcome.detail;
      }
    },
  };
}

/** How long one request may go on: in all, and with new rounds over the origins. */
function clockOf(request: OriginRequest, now: () => number) {
  const startedMs = now();
  const totalMs = request.hold?.ms ?? limits.totalMs;
  // A held request may wait for seconds before its origin dies: its rounds begin then.
  let roundsFromMs = request.hold === null ? startedMs : null;
  const leftMs = (): number => totalMs - (now() - startedMs);
  return {
    leftMs,
    failed: (): void => {
      roundsFromMs ??= now();
    },
    isOver: (): boolean => leftMs() <= 0 || now() - (roundsFromMs ?? startedMs) >= limits.roundsMs,
  };
}

function firstByteMs({ hold, kind }: OriginRequest, tries: number, leftMs: number): number {
  if (hold === null) return Math.min(leftMs, rules[kind].firstByteMs);
  return hold.isDue && tries === 0 ? Math.min(leftMs, limits.dueMs) : leftMs;
}

/** All origins of a round have spoken: when waiting cannot help, the request ends here. */
function endRounds(reasons: ReadonlySet<Reason>): void {
  const only = (reason: Reason) => reasons.size === 1 && reasons.has(reason);
  if (only('behind')) throw new OriginsBehind();
  if (only('stream')) throw new StreamUnavailable();
  if (only('mismatch')) throw new OriginsUnavailable('every origin has another object under this address');
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
  const watch = isHeld ? untilOut(signal, parts.pool.whenOut(origin)) : { signal, end: () => undefined };
  let isStreaming = false;
  try {
    const response = await (isHeld ? parts.held : parts.http).request(origin, {
      path: request.path,
      headers: headersOf(request, parts.internalSecret),
      firstByteMs: limitMs,
      idleMs: limits.idleMs,
      signal: watch.signal,
    });
    const refusal = refusalOf(request, response);
    if (refusal !== null) {
      discard(response.body);
      return { failed: refusal, detail: `status ${response.status}` };
    }
    const answer = await answerOf(origin, request, response);
    const streamed = Buffer.isBuffer(answer.body) ? null : answer.body;
    const failed = request.refuses(answer.status, answer.headers, Buffer.isBuffer(answer.body) ? answer.body : null);
    isStreaming = failed === null && streamed !== null;
    if (failed === null) return { answer };
    streamed?.discard();
    return { failed, detail: `status ${response.status}` };
  } catch (thrown) {
    if (signal.aborted || thrown instanceof BodyTooLarge) throw thrown;
    const reason = watch.signal.aborted ? 'timeout' : reasonOf(thrown, 'other');
    return {
      failed: isHeld && reason === 'timeout' && !watch.signal.aborted ? 'held' : reason,
      detail: messageOf(thrown),
    };
  } finally {
    watch.end(isStreaming);
  }
}

/**
 * Ends with the request, or as soon as health checks find the origin gone: nobody waits for a frozen process.
 * Its `end` lets go of both; a body that still streams goes on to end with the request.
 */
function untilOut(signal: AbortSignal, out: AbortSignal): { signal: AbortSignal; end(isStreaming: boolean): void } {
  // Not AbortSignal.any: it leaves something behind in the long-lived signal for each request.
  const either = new AbortController();
  const abort = () => either.abort();
  for (const one of [signal, out]) {
    if (one.aborted) abort();
    else one.addEventListener('abort', abort, { once: true });
  }
  return {
    signal: either.signal,
    end(isStreaming) {
      out.removeEventListener('abort', abort);
      if (!isStreaming) signal.removeEventListener('abort', abort);
    },
  };
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
  const limit = isBody ? rule.maxBytes : limits.smallBodyBytes;
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
