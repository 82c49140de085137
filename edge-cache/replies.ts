// Step "reply": what a viewer gets, statuses and headers included. The edge's routes choose their statuses here alone.
import { headers as names } from '../platform/contract/routes.ts';
import { AppError } from '../platform/runtime/errors.ts';
import { contentRange, isNotModified, spanOf } from './conditions.ts';
import { GrowingBody } from './growing-body.ts';
import type { EdgeAnswer, EdgeRequest, HeaderParts, Headers, Result } from './messages.ts';
import type { Missing } from './negative-store.ts';

/** On every answer: any page may read media and what the edge says about it. */
export const CORS: Headers = {
  'access-control-allow-origin': '*',
  'access-control-expose-headers': `Age, Content-Length, Content-Range, ETag, X-Cache, X-Request-Id, Retry-After, ${names.position}, ${names.state}`,
  'timing-allow-origin': '*',
  'cross-origin-resource-policy': 'cross-origin',
  'x-content-type-options': 'nosniff',
};

export type Shown = {
  /** All that viewers get but for what depends on the moment. The same object each time the same thing is shown; never changed. */
  headers: Headers;
  etag: string | null;
  body: Buffer | GrowingBody;
  /** Unit: whole s. */
  ageS: number;
};

/** An object, whole or the part asked for, or the word that the viewer has it. */
export function objectReply(request: EdgeRequest, kind: string, result: Result, shown: Shown): EdgeAnswer {
  const { body, etag, headers: fixed } = shown;
  const moment: Headers = { age: String(shown.ageS), 'x-cache': result.toUpperCase() };
  const held = (status: number, bytes: EdgeAnswer['body']): EdgeAnswer =>
    new HeldAnswer(kind, result, status, { fixed, moment }, bytes);
  if (isNotModified(request.headers, etag, fixed['last-modified'])) return held(304, null);
  const span = request.method === 'HEAD' ? 'whole' : spanOf(request.headers, body.length, etag);
  if (span === 'unsatisfiable') {
    Object.assign(moment, contentRange(null, body.length));
    moment['content-length'] = '0';
    return held(416, null);
  }
  if (span === 'whole') {
    moment['content-length'] = String(body.length);
    return held(200, request.method === 'HEAD' ? null : bytesOf(body, 0, body.length));
  }
  Object.assign(moment, contentRange(span, body.length));
  moment['content-length'] = String(span.to - span.from + 1);
  return held(206, bytesOf(body, span.from, span.to + 1));
}

/** Its headers are put together only for listeners that ask for them in one piece. */
class HeldAnswer implements EdgeAnswer {
  readonly kind: string;
  readonly result: Result;
  readonly status: number;
  readonly parts: HeaderParts;
  readonly body: EdgeAnswer['body'];

  constructor(kind: string, result: Result, status: number, parts: HeaderParts, body: EdgeAnswer['body']) {
    this.kind = kind;
    this.result = result;
    this.status = status;
    this.parts = parts;
    this.body = body;
  }

  get headers(): Headers {
    return { ...this.parts.fixed, ...this.parts.moment };
  }
}

function bytesOf(body: Buffer | GrowingBody, from: number, to: number): Buffer | AsyncIterable<Buffer> {
  if (!(body instanceof GrowingBody)) return partOf(body, from, to);
  return body.whole === null ? body.read(from, to) : partOf(body.whole, from, to);
}

/** No second view of a body that is wanted whole, as almost all are. */
const partOf = (body: Buffer, from: number, to: number): Buffer =>
  from === 0 && to === body.length ? body : body.subarray(from, to);

/** What an origin said about something it does not show, as it said it. */
export function missingReply(request: EdgeRequest, kind: string, result: Result, missing: Missing): EdgeAnswer {
  const headers: Headers = {
    ...missing.headers,
    'x-cache': result.toUpperCase(),
    'content-length': String(missing.body.length),
  };
  return { kind, result, status: missing.status, headers, body: request.method === 'HEAD' ? null : missing.body };
}

/** A short text of the edge's own. */
export function textReply(
  request: Pick<EdgeRequest, 'method'>,
  kind: string,
  result: Result,
  status: number,
  text: string,
  headers: Headers = {},
): EdgeAnswer {
  const body = Buffer.from(`${text}\n`);
  const all: Headers = {
    ...CORS,
    'content-type': 'text/plain; charset=utf-8',
    'cache-control': 'no-store',
    ...headers,
    'content-length': String(body.length),
  };
  return { kind, result, status, headers: all, body: request.method === 'HEAD' ? null : body };
}

/** No answer could be had: an RFC 9457 document, and when to come again. */
export function failureReply(request: EdgeRequest, kind: string, requestId: string, thrown: unknown): EdgeAnswer {
  const error = thrown instanceof AppError ? thrown : null;
  const status = error !== null && (error.retryable || error.source !== 'internal') ? 503 : 500;
  const title = status === 503 ? 'Service Unavailable' : 'Internal Server Error';
  const message = status === 503 ? (error?.message ?? title) : 'something went wrong here; the log names it';
  const problem = {
    type: 'about:blank',
    title,
    status,
    code: error?.code ?? 'INTERNAL',
    messages: [message],
    request_id: requestId,
  };
  return textReply(request, kind, 'failed', status, JSON.stringify(problem), {
    'content-type': 'application/problem+json',
    [names.requestId]: requestId,
    ...(status === 503 ? { 'retry-after': '1' } : {}),
  });
}

/** Nobody is there to read it; the listener writes nothing. The status is for the counters. */
export const leftReply = (kind: string): EdgeAnswer => ({ kind, result: 'left', status: 499, headers: {}, body: null });

/** Preflight of a page on another site. */
export const preflightReply = (): EdgeAnswer => ({
  kind: 'preflight',
  result: 'local',
  status: 204,
  headers: {
    ...CORS,
    'access-control-allow-methods': 'GET, HEAD, OPTIONS',
    'access-control-allow-headers': 'Range, If-None-Match, If-Range, Cache-Control, X-Request-Id',
    'access-control-max-age': '86400',
    'content-length': '0',
  },
  body: null,
});
