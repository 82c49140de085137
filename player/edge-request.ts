// One request of the page, carried over edges: the edge in use first, at once the next one when it fails, in rounds with growing pauses.
import { backoffMs, pause } from './backoff.ts';
import { type EdgeRing, onEdge } from './edges.ts';

export type EdgeAnswer = {
  status: number;
  /** Body; empty unless the status is 200 or 206. */
  bytes: ArrayBuffer;
  headers: Headers;
  /** Of the attempt that succeeded, `performance.now()` ms: request sent, first byte, last byte. */
  startedAt: number;
  firstByteAt: number;
  endedAt: number;
  /** Address that answered, and the edge it is on. */
  url: string;
  base: string;
};

export type EdgeRequestOptions = {
  signal: AbortSignal;
  headers?: Record<string, string>;
  /** Longest wait for the first byte while another edge may be asked instead, and from the last one. Unit: ms. */
  firstByteMs: number;
  lastFirstByteMs: number;
  /**
   * For an answer that may be held back: a second edge is asked as well when the first is silent for this long, and the first answer
   * counts. A silent edge cannot be told from one that holds. Unit: ms.
   */
  hedgeMs?: number;
  /** Longest silence inside a body. Unit: ms. */
  silenceMs: number;
  /** Times all edges are asked before the request fails. */
  rounds: number;
  /** A steering manifest: home is asked first, and how that goes says nothing about which edge is in use. */
  isSteering?: boolean;
  /** Called for each attempt with its start, and as bytes arrive. */
  onAttempt?: (startedAt: number) => void;
  onProgress?: (loadedBytes: number, totalBytes: number, firstByteAt: number) => void;
};

/** No edge answered. `isTimeout`: the last attempt ran out of time. `status`: of the last answer, 0 without one. */
export class NoEdgeAnswered extends Error {
  readonly status: number;
  readonly isTimeout: boolean;
  constructor(url: string, status: number, isTimeout: boolean) {
    super(`no edge answered ${url}`);
    this.status = status;
    this.isTimeout = isTimeout;
  }
}

/** Pause between two rounds over all edges. Unit: ms. */
const ROUND_FIRST_MS = 200;
const ROUND_MOST_MS = 2_000;

/** An edge that answers this soon after the other one was holding too. Unit: ms. */
const GRACE_MS = 100;

/** `isShared`: the answer concerns one stream on every edge alike, and says nothing about this edge. */
type Attempt = Omit<EdgeAnswer, 'base'>;
type Failure = { status: number; isTimeout: boolean; isShared?: boolean };

/**
 * Asks the edges for one address until one gives an answer that is not its own fault (anything below 500).
 * @param url absolute, on any of the edges
 * @throws NoEdgeAnswered when every round failed; the signal's reason when aborted
 */
export async function requestFromEdges(url: string, ring: EdgeRing, options: EdgeRequestOptions): Promise<EdgeAnswer> {
  let failure: Failure = { status: 0, isTimeout: false };
  for (let round = 0; round < options.rounds; round += 1) {
    const order = options.isSteering ? ring.steeringOrder() : ring.order();
    for (const [index, base] of order.entries()) {
      options.signal.throwIfAborted();
      const isLast = index === order.length - 1;
      const limitMs = isLast ? options.lastFirstByteMs : options.firstByteMs;
      const second = isHedged(index, order, options) ? order[1] : undefined;
      const result = await (second === undefined
        ? attempt(onEdge(url, ring.bases, base), limitMs, options)
        : hedged(url, ring, [base, second], options));
      options.signal.throwIfAborted();
      if ('headers' in result) {
        const answeredBy = ring.bases.find((item) => result.url.startsWith(`${item}/`)) ?? base;
        if (!options.isSteering) ring.succeeded(answeredBy);
        return { ...result, base: answeredBy };
      }
      failure = result;
      if (!result.isShared && !options.isSteering) ring.failed(base);
    }
    if (round < options.rounds - 1) await pause(backoffMs(round, ROUND_FIRST_MS, ROUND_MOST_MS), options.signal);
  }
  options.signal.throwIfAborted();
  throw new NoEdgeAnswered(url, failure.status, failure.isTimeout);
}

const isHedged = (index: number, order: string[], { hedgeMs }: EdgeRequestOptions): boolean =>
  hedgeMs !== undefined && index === 0 && order.length > 1;

/** Asks the first edge, and the second too when the first is silent; the loser is given up. */
async function hedged(
  url: string,
  ring: EdgeRing,
  [first, second]: [string, string],
  options: EdgeRequestOptions,
): Promise<Attempt | Failure> {
  const loser = new AbortController();
  const ask = (base: string): Promise<Attempt | Failure> =>
    attempt(onEdge(url, ring.bases, base), options.lastFirstByteMs, {
      ...options,
      signal: AbortSignal.any([options.signal, loser.signal]),
    });
  const answer = ask(first);
  const early = await Promise.race([answer, pause(options.hedgeMs ?? 0, options.signal)]);
  if (early !== undefined || options.signal.aborted) return early ?? (await answer);
  const other = ask(second);
  const quicker = await Promise.race([
    answer.then((result) => ({ result, isOther: false })),
    other.then((result) => ({ result, isOther: true })),
  ]);
  const { result, isOther } = quicker;
  if (!('headers' in result)) {
    if (!isOther && !result.isShared) ring.failed(first);
    return await (isOther ? answer : other);
  }
  // Both may hold the same answer back: only one that stays silent is at fault.
  if (isOther && (await Promise.race([answer, pause(GRACE_MS, options.signal)])) === undefined) ring.failed(first);
  loser.abort();
  return result;
}

async function attempt(url: string, limitMs: number, options: EdgeRequestOptions): Promise<Attempt | Failure> {
  const limit = new AbortController();
  const startedAt = performance.now();
  options.onAttempt?.(startedAt);
  const watch = watchdog(() => limit.abort());
  watch.restart(limitMs);
  try {
    const response = await fetch(url, {
      signal: AbortSignal.any([options.signal, limit.signal]),
      headers: options.headers ?? {},
      credentials: 'omit',
    });
    const firstByteAt = performance.now();
    if (response.status >= 500) {
      limit.abort();
      const isShared = response.headers.get('headwater-scope') === 'stream';
      return { status: response.status, isTimeout: false, isShared };
    }
    const bytes = response.ok
      ? await readBody(response, (loaded, total) => {
          watch.restart(options.silenceMs);
          options.onProgress?.(loaded, total, firstByteAt);
        })
      : new ArrayBuffer(0);
    if (!response.ok) limit.abort();
    const endedAt = performance.now();
    return { status: response.status, bytes, headers: response.headers, startedAt, firstByteAt, endedAt, url };
  } catch {
    return { status: 0, isTimeout: limit.signal.aborted };
  } finally {
    watch.stop();
  }
}

function watchdog(onExpiry: () => void): { restart(ms: number): void; stop(): void } {
  let timer: ReturnType<typeof setTimeout> | undefined;
  return {
    restart(ms) {
      clearTimeout(timer);
      timer = setTimeout(onExpiry, ms);
    },
    stop: () => clearTimeout(timer),
  };
}

/** Reads a body piece by piece, so that speed is known while it arrives and a silent one is noticed. */
async function readBody(response: Response, onBytes: (loaded: number, total: number) => void): Promise<ArrayBuffer> {
  const declared = Number(response.headers.get('content-length') ?? 0);
  onBytes(0, declared);
  if (response.body === null) return new ArrayBuffer(0);
  const reader = response.body.getReader();
  const pieces: Uint8Array[] = [];
  let loaded = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    pieces.push(value);
    loaded += value.byteLength;
    onBytes(loaded, Math.max(declared, loaded));
  }
  const whole = new Uint8Array(loaded);
  let offset = 0;
  for (const piece of pieces) {
    whole.set(piece, offset);
    offset += piece.byteLength;
  }
  return whole.buffer;
}
