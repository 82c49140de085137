// Steps "coalesce", "fetch" and "store": one upstream request per key however many viewers wait, its result kept by the policy.
import { headers as names, type ViewerRoute } from '../platform/contract/routes.ts';
import { freshnessOf, negativeFreshMs, rules } from './cache-policy.ts';
import { BodyBroken } from './errors.ts';
import { GrowingBody } from './growing-body.ts';
import type { CachedObject, MemoryStore } from './memory-store.ts';
import type { Headers } from './messages.ts';
import type { EdgeMetrics } from './metrics.ts';
import type { Missing, NegativeStore } from './negative-store.ts';
import { resumingBody } from './resume.ts';
import type { ServedPositions } from './served-positions.ts';
import type { OriginAnswer, OriginRequest, Upstream } from './upstream.ts';

/** What waits at the end of a fill. `large`: over the limit of one cached object, to be passed on without keeping. */
export type Filled =
  | { type: 'object'; headers: Headers; etag: string | null; body: Buffer | GrowingBody; arrivedMs: number }
  | { type: 'revalidated'; object: CachedObject }
  | { type: 'missing'; missing: Missing }
  | { type: 'large' };

export type Wanted = {
  key: string;
  route: ViewerRoute;
  /** Path with query at the origin. */
  path: string;
  requestId: string;
  isBlocking: boolean;
  /** Stale object under the same key, to be revalidated. */
  held: CachedObject | null;
};

export type FillParts = {
  upstream: Upstream;
  store: MemoryStore;
  negatives: NegativeStore;
  positions: ServedPositions;
  metrics: EdgeMetrics;
  now: () => number;
  /** Called with each whole master playlist that passes. */
  onMaster: (route: Extract<ViewerRoute, { kind: 'master' }>, text: string) => void;
};

/** Headers of an origin that reach viewers; all others end here (Set-Cookie among them). */
const PASSED = [
  'content-type',
  'cache-control',
  'etag',
  'last-modified',
  names.position,
  names.policy,
  names.state,
] as const;

/** Content that wants a session token: never kept, never shown without one. */
const FORBIDDEN: Missing = { status: 403, headers: { 'cache-control': 'no-store' }, body: Buffer.alloc(0) };

/** Longest time a body may take to arrive, retries included. Unit: ms. */
const BODY_LIMIT_MS = 60_000;

export class Fills {
  readonly #parts: FillParts;
  readonly #running = new Map<string, Promise<Filled>>();
  readonly #ending = new AbortController();

  constructor(parts: FillParts) {
    this.#parts = parts;
  }

  /**
   * Joins the fill of a key or begins it.
   * @returns the head of the result: a streamed body may still grow
   * @throws (the promise) errors of upstream.ts
   */
  join(wanted: Wanted): { filled: Promise<Filled>; isFirst: boolean } {
    const running = this.#running.get(wanted.key);
    if (running !== undefined) return { filled: running, isFirst: false };
    const { filled, done } = this.#begin(wanted);
    this.#running.set(wanted.key, filled);
    void done.then(() => this.#running.delete(wanted.key));
    return { filled, isFirst: true };
  }

  /**
   * One request of its own for an object too large to keep.
   * @param range null: the whole
   */
  pass(wanted: Wanted, range: OriginRequest['range'], signal: AbortSignal): Promise<OriginAnswer> {
    return this.#fetch(wanted, range, AbortSignal.any([signal, this.#ending.signal]));
  }

  /** Ends every fill under way. */
  close(): void {
    this.#ending.abort(new BodyBroken('the edge is stopping'));
  }

  /** `done` settles when the last byte is in; it never rejects: failures reach the viewers through `filled` and the body. */
  #begin(wanted: Wanted): { filled: Promise<Filled>; done: Promise<void> } {
    const signal = AbortSignal.any([this.#ending.signal, AbortSignal.timeout(BODY_LIMIT_MS)]);
    let streaming: Promise<void> = Promise.resolve();
    const filled = this.#fetch(wanted, null, signal).then((answer): Filled => {
      if (answer.headers[names.policy] === 'signed') {
        if (!Buffer.isBuffer(answer.body)) streaming = stop(answer.body.stream);
        return { type: 'missing', missing: FORBIDDEN };
      }
      if (Buffer.isBuffer(answer.body)) return this.#finish(wanted, answer, answer.body);
      const { length, stream } = answer.body;
      if (length > rules[wanted.route.kind].maxBytes) {
        // Each viewer asks for it alone; this answer is let go.
        streaming = stop(stream);
        return { type: 'large' };
      }
      const body = new GrowingBody(length);
      streaming = this.#receive(wanted, { ...answer, body: { stream, length } }, body, signal);
      return objectOf(answer, body, this.#parts.now());
    });
    const done = filled.then(
      () => streaming,
      () => undefined,
    );
    return { filled, done };
  }

  #fetch(wanted: Wanted, range: OriginRequest['range'], signal: AbortSignal): Promise<OriginAnswer> {
    return this.#parts.upstream.fetch(this.#requestOf(wanted, range), signal);
  }

  #requestOf(wanted: Wanted, range: OriginRequest['range']): OriginRequest {
    const { positions, now } = this.#parts;
    return {
      kind: wanted.route.kind,
      path: wanted.path,
      requestId: wanted.requestId,
      ifNoneMatch: range === null ? (wanted.held?.etag ?? null) : null,
      range,
      isBlocking: wanted.isBlocking,
      refuses: (_status, headers) => (positions.isBehind(wanted.key, headers[names.position], now()) ? 'behind' : null),
    };
  }

  #finish(wanted: Wanted, answer: OriginAnswer, body: Buffer): Filled {
    const { now, store, negatives, positions } = this.#parts;
    const arrivedMs = now();
    if (answer.status === 304 && wanted.held !== null) return this.#renew(wanted, wanted.held, answer, arrivedMs);
    if (answer.status !== 200) {
      const missing = { status: answer.status, headers: passedHeaders(answer.headers), body };
      const freshMs = answer.status === 404 ? negativeFreshMs(answer.headers) : 0;
      if (freshMs > 0) negatives.set(wanted.key, missing, arrivedMs + freshMs);
      if (answer.status === 404 || answer.status === 410) store.delete(wanted.key);
      return { type: 'missing', missing };
    }
    // A blocking answer shows one fixed position under a key of its own: nothing to guard.
    if (!wanted.isBlocking) positions.note(wanted.key, answer.headers[names.position], arrivedMs);
    if (wanted.route.kind === 'master') this.#parts.onMaster(wanted.route, body.toString('utf8'));
    this.#keep(wanted, answer, body, arrivedMs);
    return objectOf(answer, body, arrivedMs);
  }

  /** A 304 says the held bytes are still right: its headers take over, the clock starts anew. */
  #renew({ key, route }: Wanted, held: CachedObject, answer: OriginAnswer, arrivedMs: number): Filled {
    const headers = { ...held.headers, ...passedHeaders(answer.headers) };
    const freshness = freshnessOf(route.kind, headers, arrivedMs);
    const object = { ...held, ...(freshness ?? {}), headers, arrivedMs };
    this.#parts.positions.note(key, headers[names.position], arrivedMs);
    if (freshness !== null) this.#parts.store.set(key, object);
    return { type: 'revalidated', object };
  }

  async #receive(
    wanted: Wanted,
    answer: OriginAnswer & { body: { stream: AsyncIterable<Buffer>; length: number } },
    body: GrowingBody,
    signal: AbortSignal,
  ): Promise<void> {
    const { upstream, metrics, now } = this.#parts;
    const arrivedMs = now();
    try {
      const request = this.#requestOf(wanted, null);
      const bytes = resumingBody(upstream, request, answer, () => metrics.fillResumes.add(), signal);
      for await (const chunk of bytes) body.append(chunk);
      if (body.whole !== null) this.#keep(wanted, answer, body.whole, arrivedMs);
    } catch (thrown) {
      body.fail(thrown);
    }
  }

  #keep(wanted: Wanted, answer: OriginAnswer, body: Buffer, arrivedMs: number): void {
    const freshness = freshnessOf(wanted.route.kind, answer.headers, arrivedMs);
    if (freshness === null) return;
    const headers = passedHeaders(answer.headers);
    this.#parts.store.set(wanted.key, { ...freshness, headers, body, etag: headers['etag'] ?? null, arrivedMs });
  }
}

function objectOf(answer: OriginAnswer, body: Buffer | GrowingBody, arrivedMs: number): Filled {
  const headers = passedHeaders(answer.headers);
  return { type: 'object', headers, etag: headers['etag'] ?? null, body, arrivedMs };
}

export function passedHeaders(headers: Headers): Headers {
  const passed: Headers = {};
  for (const name of PASSED) {
    const value = headers[name];
    if (value !== undefined) passed[name] = value;
  }
  return passed;
}

/** Lets go of a body that nobody reads. */
async function stop(stream: AsyncIterable<Buffer>): Promise<void> {
  await stream[Symbol.asyncIterator]().return?.();
}
