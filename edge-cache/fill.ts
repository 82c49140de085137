// Steps "coalesce", "fetch" and "store": one upstream request per key however many viewers wait, its result kept by the policy.
import { headers as names, type ViewerRoute } from '../platform/contract/routes.ts';
import { freshnessOf, isForDisk, madeMs, negativeFreshMs, rules } from './cache-policy.ts';
import type { DiskStore } from './disk-store.ts';
import { BodyBroken, EdgeBusy } from './errors.ts';
import { GrowingBody } from './growing-body.ts';
import type { Asked, LiveEdges } from './live-edges.ts';
import type { CachedObject, MemoryStore } from './memory-store.ts';
import type { Headers } from './messages.ts';
import type { EdgeMetrics } from './metrics.ts';
import type { Missing, NegativeStore } from './negative-store.ts';
import { isFinished, targetDurationS } from './preload-hint.ts';
import { CORS } from './replies.ts';
import { askedOf, cacheKeyOf, type Directives, originPathOf } from './request-target.ts';
import { resumingBody } from './resume.ts';
import type { OriginAnswer, OriginRequest, StreamedAnswer, StreamedBody, Upstream } from './upstream.ts';

/** What waits at the end of a fill. `held`: found on disk. `large`: over the limit of one cached object, to be passed on without keeping. */
export type Filled =
  | { type: 'object'; headers: Headers; etag: string | null; body: Buffer | GrowingBody; arrivedMs: number }
  | { type: 'revalidated'; object: CachedObject }
  | { type: 'held'; object: CachedObject }
  | { type: 'missing'; missing: Missing }
  | { type: 'large' };

export type Wanted = {
  key: string;
  route: ViewerRoute;
  /** Path with query at the origin. */
  path: string;
  requestId: string;
  /** Address of the viewer who asks. */
  client: string;
  /** Place in the stream that a media playlist is asked for; null: as it is now. */
  asked: Asked | null;
  /** Stale object under the same key, to be revalidated. */
  held: CachedObject | null;
};

/** What a request asks for. */
export const wantedOf = (route: ViewerRoute, directives: Directives, requestId: string, client: string): Wanted => ({
  key: cacheKeyOf(route, directives),
  route,
  path: originPathOf(route, directives),
  requestId,
  client,
  asked: askedOf(directives),
  held: null,
});

export type Filling = {
  /** The head of the result: a streamed body may still grow. Rejects with the errors of upstream.ts, EdgeBusy and BodyBroken. */
  filled: Promise<Filled>;
  isFirst: boolean;
  /** The origin holds its answer back until there is news. */
  isBlocked: boolean;
};

export type FillParts = {
  upstream: Upstream;
  store: MemoryStore;
  /** Level below the memory; null: there is none. */
  disk: Pick<DiskStore, 'find' | 'offer' | 'delete'> | null;
  negatives: NegativeStore;
  live: LiveEdges;
  metrics: EdgeMetrics;
  now: () => number;
  /** Called with each whole text that passes from an origin: playlists, manifests. */
  onText: (wanted: Wanted, body: Buffer) => void;
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
const FORBIDDEN: Missing = { status: 403, headers: { ...CORS, 'cache-control': 'no-store' }, body: Buffer.alloc(0) };

/** Longest time a body may take to arrive, retries included. Unit: ms. */
const BODY_LIMIT_MS = 60_000;
/** Most fills under way. */
const MAX_FILLS = 10_000;

type Running = Filling & { wanted: Wanted; ending: AbortController; isShared: boolean };

export class Fills {
  readonly #parts: FillParts;
  readonly #running = new Map<string, Running>();
  /** Wanted before a purge: shown to those who wait, never kept. */
  readonly #disowned = new WeakSet<Wanted>();
  readonly #passing = new Set<AbortController>();

  constructor(parts: FillParts) {
    this.#parts = parts;
  }

  /** Whether a fill of the key is under way. */
  has(key: string): boolean {
    return this.#running.has(key);
  }

  /** Number of fills under way. */
  get count(): number {
    return this.#running.size;
  }

  /**
   * Joins the fill of a key or begins it. It goes on to its end though every viewer leaves.
   * @throws EdgeBusy
   */
  join(wanted: Wanted): Filling {
    const running = this.#running.get(wanted.key);
    if (running !== undefined) {
      running.isShared = true;
      return { ...running, isFirst: false };
    }
    if (this.#running.size >= MAX_FILLS) throw new EdgeBusy('requests to the origins');
    const ending = new AbortController();
    // One timer per fill is all that any number of waiting viewers costs.
    const limit = setTimeout(() => ending.abort(new BodyBroken('it took too long')), BODY_LIMIT_MS);
    const hold = this.#holdOf(wanted);
    const { filled: begun, done } = this.#begin(wanted, hold, ending.signal);
    const forget = (): void => {
      if (this.#running.get(wanted.key) === filling) this.#running.delete(wanted.key);
    };
    // Forgotten before anybody hears of the failure: whoever asks anew then gets a new one.
    const filled = begun.catch((thrown: unknown) => {
      forget();
      throw thrown;
    });
    const filling = { filled, isFirst: true, isBlocked: hold !== null, wanted, ending, isShared: false };
    this.#running.set(wanted.key, filling);
    void done.then(() => {
      clearTimeout(limit);
      forget();
      this.#passing.delete(ending);
    });
    // Each viewer hears of it through the promise; when all have left, nobody does.
    filled.catch(() => undefined);
    return filling;
  }

  /**
   * One request of its own for an object too large to keep.
   * @param range null: the whole
   */
  async pass(wanted: Wanted, range: OriginRequest['range']): Promise<OriginAnswer> {
    const ending = new AbortController();
    this.#passing.add(ending);
    const ended = () => void this.#passing.delete(ending);
    try {
      const answer = await this.#parts.upstream.fetch(this.#requestOf(wanted, null, range), ending.signal);
      if (Buffer.isBuffer(answer.body)) ended();
      else answer.body = { ...answer.body, stream: letGoable(answer.body, ended) };
      return answer;
    } catch (thrown) {
      ended();
      throw thrown;
    }
  }

  /** What is under way to these keys is not kept, and nobody joins it any more. */
  disown(isMeant: (key: string) => boolean): void {
    for (const [key, { wanted, ending }] of this.#running) {
      if (!isMeant(key)) continue;
      this.#disowned.add(wanted);
      this.#running.delete(key);
      this.#passing.add(ending);
    }
  }

  /** Ends every fill under way. */
  close(): void {
    const why = new BodyBroken('the edge is stopping');
    for (const { ending } of this.#running.values()) ending.abort(why);
    for (const ending of this.#passing) ending.abort(why);
  }

  /** `done` settles when the last byte is in; it never rejects: failures reach the viewers through `filled` and the body. */
  #begin(wanted: Wanted, hold: OriginRequest['hold'], signal: AbortSignal) {
    const { upstream, store, now } = this.#parts;
    const request = this.#requestOf(wanted, hold, null);
    let streaming: Promise<void> | null = null;
    const fetched = async (): Promise<Filled> => {
      const answer = await upstream.fetch(request, signal);
      const isSigned = answer.headers[names.policy] === 'signed';
      if (Buffer.isBuffer(answer.body))
        return isSigned ? { type: 'missing', missing: FORBIDDEN } : this.#finish(wanted, answer, answer.body);
      const { length, discard } = answer.body;
      const isLarge = length > rules[wanted.route.kind].maxBytes;
      if (isSigned || isLarge || !store.reserve(length)) {
        discard();
        if (isSigned) return { type: 'missing', missing: FORBIDDEN };
        // Each viewer asks for it alone.
        if (isLarge) return { type: 'large' };
        throw new EdgeBusy('bodies on their way');
      }
      const body = new GrowingBody(length);
      streaming = this.#receive(wanted, request, { ...answer, body: answer.body }, body, signal);
      return objectOf(answer, body, now());
    };
    const filled = this.#fromDisk(wanted)?.then((held) => held ?? fetched()) ?? fetched();
    const done = filled.then(
      () => streaming,
      () => null,
    );
    return { filled, done };
  }

  /** null: not on disk. A promise of null: it could not be had from there after all. */
  #fromDisk(wanted: Wanted): Promise<Filled | null> | null {
    const { disk, store } = this.#parts;
    const { key, route } = wanted;
    if (disk === null || !rules[route.kind].isForDisk) return null;
    const looking = disk.find(key);
    return (
      looking?.then((found) => {
        if (found === null || this.#disowned.has(wanted)) return null;
        if (found.isWanted || this.#running.get(key)?.isShared) store.set(key, found.object, true);
        return { type: 'held', object: found.object };
      }) ?? null
    );
  }

  /** Blocking playlist reload, or a part that no playlist has shown here yet: the origin answers when it exists. */
  #holdOf({ route, asked }: Wanted): OriginRequest['hold'] {
    const { live, now } = this.#parts;
    const nowMs = now();
    if (route.kind === 'media-playlist' && asked !== null)
      return { ms: live.holdMs(route.content, nowMs), isDue: live.hasShown(route.content, asked, nowMs) };
    if (route.kind !== 'part' || live.hasShown(route.content, route, nowMs)) return null;
    return { ms: live.holdMs(route.content, nowMs), isDue: false };
  }

  #requestOf(wanted: Wanted, hold: OriginRequest['hold'], range: OriginRequest['range']): OriginRequest {
    const { live, now } = this.#parts;
    const subject = subjectOf(wanted.route);
    let isDoubted = false;
    return {
      kind: wanted.route.kind,
      path: wanted.path,
      requestId: wanted.requestId,
      client: wanted.client,
      ifNoneMatch: range === null ? (wanted.held?.etag ?? null) : null,
      range,
      hold,
      refuses(status, headers, body) {
        if (subject === null) return null;
        if (status === 404 && wanted.route.kind === 'part' && !isDoubted && live.isLive(subject, now())) {
          // An origin a moment behind does not know the newest part yet; another one may.
          isDoubted = true;
          return 'doubt';
        }
        if (status !== 200 && status !== 304) return null;
        if (wanted.asked !== null && body !== null && isFinished(body)) return null;
        return live.isBehind(subject, wanted.asked, headers[names.position], now()) ? 'behind' : null;
      },
    };
  }

  #finish(wanted: Wanted, answer: OriginAnswer, body: Buffer): Filled {
    const { now, store, disk, negatives, live } = this.#parts;
    const { kind } = wanted.route;
    const arrivedMs = now();
    if (answer.status === 304 && wanted.held !== null) return this.#renew(wanted, wanted.held, answer, arrivedMs);
    if (answer.status !== 200) {
      const missing = { status: answer.status, headers: passedHeaders(answer.headers), body };
      const freshMs = answer.status === 404 ? negativeFreshMs(kind, answer.headers) : 0;
      if (freshMs > 0) negatives.set(wanted.key, missing, arrivedMs + freshMs);
      if (answer.status === 404 || answer.status === 410) {
        store.delete(wanted.key);
        disk?.delete(wanted.key);
      }
      return { type: 'missing', missing };
    }
    const subject = subjectOf(wanted.route);
    if (subject !== null) live.note(subject, answer.headers[names.position], targetDurationS(body), arrivedMs);
    this.#keep(wanted, answer, body, arrivedMs);
    this.#parts.onText(wanted, body);
    return objectOf(answer, body, arrivedMs);
  }

  /** A 304 says the held bytes are still right: its headers take over, the clock starts anew. */
  #renew(wanted: Wanted, held: CachedObject, answer: OriginAnswer, arrivedMs: number): Filled {
    const { key, route, asked } = wanted;
    const headers = { ...held.headers, ...passedHeaders(answer.headers) };
    const { age } = answer.headers;
    const freshness = freshnessOf(route.kind, age === undefined ? headers : { ...headers, age }, arrivedMs, asked);
    const object = { ...held, ...(freshness ?? {}), headers, arrivedMs: madeMs(answer.headers, arrivedMs) };
    const subject = subjectOf(route);
    if (subject !== null) this.#parts.live.note(subject, headers[names.position], null, arrivedMs);
    if (freshness !== null && !this.#disowned.has(wanted)) this.#parts.store.set(key, object);
    return { type: 'revalidated', object };
  }

  async #receive(
    wanted: Wanted,
    request: OriginRequest,
    answer: StreamedAnswer,
    body: GrowingBody,
    signal: AbortSignal,
  ): Promise<void> {
    const { upstream, metrics, now, store } = this.#parts;
    const arrivedMs = now();
    try {
      const bytes = resumingBody(upstream, request, answer, () => metrics.fillResumes.add(), signal);
      for await (const chunk of bytes) body.append(chunk);
    } catch (thrown) {
      body.fail(thrown);
    } finally {
      store.release(body.length);
    }
    if (body.whole !== null) this.#keep(wanted, answer, body.whole, arrivedMs);
  }

  #keep(wanted: Wanted, answer: OriginAnswer, body: Buffer, arrivedMs: number): void {
    const { store, disk } = this.#parts;
    const { key, route } = wanted;
    const freshness = freshnessOf(route.kind, answer.headers, arrivedMs, wanted.asked);
    if (freshness === null || this.#disowned.has(wanted)) return;
    const headers = passedHeaders(answer.headers);
    const about = { etag: headers['etag'] ?? null, arrivedMs: madeMs(answer.headers, arrivedMs) };
    const object = { ...freshness, ...about, headers, body };
    store.set(key, object, this.#running.get(key)?.isShared);
    if (isForDisk(route.kind, freshness, arrivedMs)) disk?.offer(key, object);
  }
}

/** Whose live edge an answer speaks of; null: of none. */
function subjectOf(route: ViewerRoute): string | null {
  if (route.kind === 'media-playlist' || route.kind === 'part') return route.content;
  return route.kind === 'mpd' ? route.playback : null;
}

function objectOf(answer: OriginAnswer, body: Buffer | GrowingBody, arrivedMs: number): Filled {
  const headers = passedHeaders(answer.headers);
  const about = { etag: headers['etag'] ?? null, arrivedMs: madeMs(answer.headers, arrivedMs) };
  return { type: 'object', ...about, headers, body };
}

/** An origin's headers as viewers get them, with those that every viewer gets. */
export function passedHeaders(headers: Headers): Headers {
  const passed: Headers = { ...CORS, 'accept-ranges': 'bytes' };
  for (const name of PASSED) {
    const value = headers[name];
    if (value !== undefined) passed[name] = value;
  }
  return passed;
}

/** A body whose connection is free again when its reader stops, also before the first byte, where a generator would not notice. */
function letGoable(body: StreamedBody, ended: () => void): AsyncIterable<Buffer> {
  return {
    [Symbol.asyncIterator]() {
      const bytes = body.stream[Symbol.asyncIterator]();
      return {
        async next() {
          try {
            const step = await bytes.next();
            if (step.done) ended();
            return step;
          } catch (thrown) {
            ended();
            throw thrown;
          }
        },
        async return() {
          body.discard();
          ended();
          return { done: true, value: undefined };
        },
      };
    },
  };
}
