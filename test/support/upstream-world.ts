// The edge's requests to two origins that are functions, with a clock that only tries and waits move.
import { Readable } from 'node:stream';
import type { EdgeMetrics } from '../../edge-cache/metrics.ts';
import { createUpstream, type OriginAnswer, type OriginRequest } from '../../edge-cache/upstream.ts';
import { UpstreamFailed, type UpstreamRequest, type UpstreamResponse } from '../../platform/runtime/http-client.ts';
import { unseenMetrics } from './edge-world.ts';

export const A = 'http://a';
export const B = 'http://b';
type Answer = UpstreamResponse | UpstreamFailed;

export const ok = (status = 200, headers: Record<string, string> = {}, text = 'body'): UpstreamResponse => ({
  status,
  headers: { 'content-length': String(text.length), ...headers },
  body: Readable.from([Buffer.from(text)]),
});
export const failed = (kind: UpstreamFailed['kind']) => new UpstreamFailed(kind, A);

/** One try as the origin saw it; `isHeld`: over the connections for requests that origins hold back. */
export type Try = { origin: string; request: UpstreamRequest; isHeld: boolean };

export type UpstreamWorld = {
  fetch(request?: Partial<OriginRequest>): Promise<OriginAnswer>;
  asked: Try[];
  /** Verdicts on origins, in order: `http://a ok`, `http://a dead`. */
  health: string[];
  retries: string[];
  /** Reasons of retries that the budget did not pay for. */
  refused: string[];
  /** Outcomes of hedges. */
  hedges: string[];
  /** Waits asked for, in order. Unit: ms. */
  waits: number[];
  /** Requests under way at the origins. */
  under(): number;
  /** Unit: ms. */
  now(): number;
  /** Moves the clock. Unit: ms. */
  pass(ms: number): void;
  /** Health checks take the origin out. */
  takeOut(origin: string): void;
  /** The pool does not think well of it any more. */
  distrust(origin: string): void;
  /** No origin has been thought well for so long. Unit: ms. */
  beDown(ms: number): void;
  /** Waits end later than they should. Unit: ms. */
  lag(ms: number): void;
  /** The request is no longer wanted. */
  end(): void;
};

/**
 * @param answer of an origin; a promise that never settles ends with the request's signal
 * @param costMs time that each try takes
 */
export function upstreamWorld(
  answer: (origin: string, request: UpstreamRequest, nowMs: number) => Answer | Promise<Answer>,
  costMs = 0,
): UpstreamWorld {
  let nowMs = 0;
  const ending = new AbortController();
  const asked: Try[] = [];
  const health: string[] = [];
  const retries: string[] = [];
  const refused: string[] = [];
  const hedges: string[] = [];
  const waits: number[] = [];
  const distrusted = new Set<string>();
  let downMs = 0;
  let under = 0;
  let lagMs = 0;
  const out = new Map([A, B].map((url) => [url, new AbortController()]));
  const metrics: EdgeMetrics = {
    ...unseenMetrics(),
    upstreamRetries: { add: (labels = {}) => void retries.push(labels['reason'] ?? '') },
    retriesRefused: { add: (labels = {}) => void refused.push(labels['reason'] ?? '') },
    hedges: { add: (labels = {}) => void hedges.push(labels['outcome'] ?? '') },
  };
  const client = (isHeld: boolean) => ({
    async request(origin: string, request: UpstreamRequest) {
      asked.push({ origin, request, isHeld });
      nowMs += costMs;
      const { promise, dispose } = endOf(request.signal);
      const result = await Promise.race([answer(origin, request, nowMs), promise]);
      dispose();
      if (result instanceof UpstreamFailed) throw result;
      return result;
    },
  });
  const upstream = createUpstream({
    pool: {
      pick: (tried) => [A, B].find((url) => !tried.has(url)) ?? null,
      spare: (busy) => [A, B].find((url) => !busy.has(url)) ?? null,
      began: () => {
        under += 1;
        return () => {
          under -= 1;
        };
      },
      isSound: (url) => !distrusted.has(url),
      downMs: () => downMs,
      succeeded: (url) => void health.push(`${url} ok`),
      failed: (url, isDead) => void health.push(`${url} ${isDead ? 'dead' : 'failed'}`),
      whenOut: (url) => out.get(url)?.signal ?? ending.signal,
    },
    http: client(false),
    held: client(true),
    metrics,
    failures: { warn: () => undefined },
    internalSecret: 'secret',
    now: () => nowMs,
    wait: async (ms) => {
      waits.push(ms);
      nowMs += ms + lagMs;
    },
  });
  const fetch = (request: Partial<OriginRequest> = {}) =>
    upstream.fetch(
      {
        kind: 'master',
        path: '/x.m3u8',
        requestId: 'request-id',
        client: '192.0.2.1',
        ifNoneMatch: null,
        range: null,
        hold: null,
        refuses: () => null,
        ...request,
      },
      ending.signal,
    );
  return {
    fetch,
    asked,
    health,
    retries,
    refused,
    hedges,
    waits,
    under: () => under,
    now: () => nowMs,
    pass: (ms) => {
      nowMs += ms;
    },
    takeOut: (origin) => out.get(origin)?.abort(),
    distrust: (origin) => void distrusted.add(origin),
    beDown: (ms) => {
      downMs = ms;
    },
    lag: (ms) => {
      lagMs = ms;
    },
    end: () => ending.abort(),
  };
}

/** Rejects when the request is given up. */
function endOf(signal: AbortSignal | undefined): { promise: Promise<never>; dispose(): void } {
  let abort: () => void = () => undefined;
  const promise = new Promise<never>((_resolve, reject) => {
    abort = () => reject(new Error('aborted'));
  });
  signal?.addEventListener('abort', abort, { once: true });
  return { promise, dispose: () => signal?.removeEventListener('abort', abort) };
}
