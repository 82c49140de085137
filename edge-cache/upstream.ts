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
  /** A playlist request that the origin holds until the part exists. Unit: ms. */
  blockedMs: 8_000,
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
  /** The origin may hold the answer back (blocking playlist reload). */
  isBlocking: boolean;
  /** An answer that must not be used though the origin gave it: counts as a failed origin. */
  refuses: (status: number, headers: Headers) => 'behind' | 'mismatch' | null;
};

export type OriginAnswer = {
  status: number;
  headers: Headers;
  origin: string;
  /** Whole body; or for streamed kinds with status 200 or 206 and a known length, the bytes as they arrive. */
  body: Buffer | { stream: AsyncIterable<Buffer>; length: number };
};

export interface Upstream {
  /**
   * @throws OriginsUnavailable, OriginsBehind, StreamUnavailable, BodyTooLarge
   */
  fetch(request: OriginRequest, signal: AbortSignal): Promise<OriginAnswer>;
  /** A body from this origin broke off after its head. */
  broke(kind: RouteKind, origin: string, thrown: unknown): void;
}

export type UpstreamParts = {
  pool: Pick<OriginPool, 'pick' | 'succeeded' | 'failed'>;
  http: Pick<HttpClient, 'request'>;
  metrics: EdgeMetrics;
  failures: FailureLog;
  internalSecret: string;
  now: () => number;
  wait: (ms: number, signal: AbortSignal) => Promise<void>;
};

type Reason = 'refused' | 'reset' | 'timeout' | 'other' | 'status' | 'stream' | 'behind' | 'mismatch' | 'body';
type Attempt = { answer: OriginAnswer } | { failed: Reason; detail: string };

export function createUpstream(parts: UpstreamParts): Upstream {
  const { pool, metrics, failures, now } = parts;

  /** Counts one failed try and tells the pool what it means for the origin. */
  const note = (origin: string, reason: Reason, detail: string, request: Pick<OriginRequest, 'kind'>): void => {
    metrics.upstreamRequests.add({ kind: request.kind, outcome: reason });
    // What concerns one stream or one object says nothing about the origin's health.
    if (reason === 'stream' || reason === 'behind' || reason === 'mismatch') pool.succeeded(origin);
    else pool.failed(origin, reason === 'refused' || reason === 'reset');
    if (reason !== 'stream') failures.warn('origin failed a request', { origin, reason, detail });
  };

  return {
    broke: (kind, origin, thrown) => note(origin, reasonOf(thrown, 'body'), messageOf(thrown), { kind }),
    async fetch(request, signal) {
      const startedMs = now();
      const totalMs = limits.totalMs + (request.isBlocking ? limits.blockedMs : 0);
      const tried = new Set<string>();
      const reasons = new Set<Reason>();
      let last = 'no origin is known';
      for (let round = 0; ; ) {
        const leftMs = totalMs - (now() - startedMs);
        const origin = leftMs > 0 ? pool.pick(tried) : null;
        if (origin === null) {
          endRounds(reasons);
          if (now() - startedMs >= limits.roundsMs) throw new OriginsUnavailable(last);
          await parts.wait(backoffMs(round, 100, 300), signal);
          signal.throwIfAborted();
          round += 1;
          tried.clear();
          reasons.clear();
          continue;
        }
        const outcome = await attempt(parts, origin, request, leftMs, signal);
        if ('answer' in outcome) {
          pool.succeeded(origin);
          metrics.upstreamRequests.add({ kind: request.kind, outcome: outcomeOf(outcome.answer.status) });
          return outcome.answer;
        }
        note(origin, outcome.failed, outcome.detail, request);
        metrics.upstreamRetries.add({ reason: outcome.failed });
        tried.add(origin);
        const isSecondOpinion = reasons.has('stream') && outcome.failed === 'stream';
        if (isSecondOpinion) throw new StreamUnavailable();
        reasons.add(outcome.failed);
        last = outcome.detail;
      }
    },
  };
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
  leftMs: number,
  signal: AbortSignal,
): Promise<Attempt> {
  const rule = rules[request.kind];
  try {
    const response = await parts.http.request(origin, {
      path: request.path,
      headers: headersOf(request, parts.internalSecret),
      firstByteMs: Math.min(leftMs, request.isBlocking ? limits.blockedMs : rule.firstByteMs),
      idleMs: limits.idleMs,
      signal,
    });
    const refusal = refusalOf(request, response);
    if (refusal !== null) {
      response.body.on('error', () => undefined).destroy();
      return { failed: refusal, detail: `status ${response.status}` };
    }
    return { answer: await answerOf(origin, request, response) };
  } catch (thrown) {
    if (signal.aborted || thrown instanceof BodyTooLarge) throw thrown;
    return { failed: reasonOf(thrown, 'other'), detail: messageOf(thrown) };
  }
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
  if (isExpected) return request.refuses(status, headers);
  return request.range !== null && status < 500 ? 'mismatch' : 'status';
}

async function answerOf(origin: string, request: OriginRequest, response: UpstreamResponse): Promise<OriginAnswer> {
  const { status, headers } = response;
  const rule = rules[request.kind];
  const isBody = status === 200 || status === 206;
  const length = lengthOf(headers);
  if (isBody && rule.isStreamed && length !== null)
    return { status, headers, origin, body: { stream: response.body, length } };
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
