// Hedged requests: when an answer is later than nearly all others were, a second origin is asked beside the first.
// Source: J. Dean, L. Barroso, The Tail at Scale, 2013.
import { dropOldest } from '../platform/runtime/bounded-map.ts';

/** Buckets grow by this factor: a time is known to a quarter of itself. */
const GROWTH = 1.25;
/** From 1 ms to about 12 s. */
const BUCKETS = 42;
/** So many answers are remembered, the older ones for less and less. */
const REMEMBERED = 1_000;
/** Answers of one origin below which they say nothing about the next one. */
const LEAST_ANSWERS = 30;
const LATE_QUANTILE = 0.95;
/** A viewer has this much time, and origins under load are late by less. Unit: ms. */
const SOONEST_MS = 100;
const MAX_KINDS = 32;
const MAX_ORIGINS = 256;

type Times = { counts: number[]; total: number };

/** How long origins take to answer, by kind of request. */
export class AnswerTimes {
  readonly #kinds = new Map<string, Map<string, Times>>();

  /** @param ms from the request to the head of its answer (a body that is taken whole: to its end) */
  add(kind: string, origin: string, ms: number): void {
    const origins = this.#kinds.get(kind) ?? new Map<string, Times>();
    this.#kinds.set(kind, origins);
    dropOldest(this.#kinds, MAX_KINDS);
    const times = origins.get(origin) ?? { counts: new Array<number>(BUCKETS).fill(0), total: 0 };
    origins.set(origin, times);
    dropOldest(origins, MAX_ORIGINS);
    const bucket = Math.min(BUCKETS - 1, Math.max(0, Math.ceil(Math.log(ms) / Math.log(GROWTH))));
    times.counts[bucket] = (times.counts[bucket] ?? 0) + 1;
    times.total += 1;
    if (times.total <= REMEMBERED) return;
    times.counts = times.counts.map((count) => count / 2);
    times.total /= 2;
  }

  /**
   * After this long an answer is late: 95 % of the quickest origin's answers came sooner. Not of all origins' together, where one
   * slow origin of two would make slowness the rule.
   * @returns ms; null while too little is known
   */
  lateMs(kind: string): number | null {
    const known = [...(this.#kinds.get(kind)?.values() ?? [])].filter(({ total }) => total >= LEAST_ANSWERS);
    return known.length === 0 ? null : Math.max(SOONEST_MS, Math.min(...known.map(lateOf)));
  }
}

function lateOf({ counts, total }: Times): number {
  let left = LATE_QUANTILE * total;
  const bucket = counts.findIndex((count) => {
    left -= count;
    return left <= 0;
  });
  return GROWTH ** (bucket === -1 ? BUCKETS - 1 : bucket);
}

/** One way to the result; ends when the signal aborts. */
type Contender<T> = (signal: AbortSignal) => Promise<T>;

type Hedged<T> = {
  first: Contender<T>;
  /** Called when the first one is late; null: nobody else to ask. */
  second: () => Contender<T> | null;
  isGood: (result: T) => boolean;
  /** Its body is still on the way, under the signal of its request. */
  isOpen: (result: T) => boolean;
  /** Takes a result that came when all was over. */
  drop: (result: T) => void;
  /** Settles when the first one is late, or its signal aborts. */
  late: (ended: AbortSignal) => Promise<void>;
  signal: AbortSignal;
};

/**
 * The first good result ends the other way. A first way that fails before it is late is not hedged.
 * @returns results in the order they came, a good one last
 * @throws what a way throws, which ends the other one too
 */
export function hedged<T>({ first, second, isGood, isOpen, drop, late, signal }: Hedged<T>): Promise<T[]> {
  return new Promise((resolve, reject) => {
    const results: T[] = [];
    const ways = new Set<Way>();
    const timer = new AbortController();
    let pending = 0;
    let isOver = false;
    const finish = (winner: Way | null): void => {
      isOver = true;
      timer.abort();
      for (const way of ways) if (way !== winner) way.end();
    };
    const fail = (thrown: unknown): void => {
      if (isOver) return;
      finish(null);
      reject(thrown);
    };
    const enter = (contender: Contender<T>): void => {
      const way = wayUnder(signal);
      ways.add(way);
      pending += 1;
      contender(way.signal).then((result) => {
        if (isOver) return drop(result);
        pending -= 1;
        results.push(result);
        if (!isGood(result) && pending > 0) return;
        finish(way);
        if (!isOpen(result)) way.untie();
        resolve(results);
      }, fail);
    };
    enter(first);
    late(timer.signal).then(() => {
      const other = isOver ? null : second();
      if (other !== null) enter(other);
    }, fail);
  });
}

type Way = {
  signal: AbortSignal;
  /** Ends no longer with the parent. */
  untie(): void;
  end(): void;
};

/** A signal that ends with `parent` or by itself. */
function wayUnder(parent: AbortSignal): Way {
  const own = new AbortController();
  const abort = () => own.abort(parent.reason);
  if (parent.aborted) abort();
  else parent.addEventListener('abort', abort, { once: true });
  const untie = () => parent.removeEventListener('abort', abort);
  return {
    signal: own.signal,
    untie,
    end() {
      untie();
      own.abort();
    },
  };
}
