// Order of leaving, and what it is worth: on-demand titles by Zipf, a live edge, and a crawler that walks over every title, against LRU.
import { describe, expect, it } from 'vitest';
import { EvictionOrder } from './eviction.ts';

/** Fills an order up to `most` objects of one byte. */
function orderOf(most: number) {
  const order = new EvictionOrder<string>(most);
  const add = (key: string, isWanted = false) => {
    order.add(key, key, 1, isWanted);
    while (order.bytes > most) order.evict();
  };
  return { order, add };
}

describe('what leaves first', () => {
  it('is what came once, oldest first', () => {
    const { order, add } = orderOf(10);
    for (let i = 0; i < 15; i += 1) add(`k${i}`);
    expect([order.has('k4'), order.has('k5'), order.count]).toEqual([false, true, 10]);
  });

  it('is not what was used, and each use is worth a turn, up to three', () => {
    const order = new EvictionOrder<string>(10);
    for (const key of ['thrice', 'once', 'never']) order.add(key, key, 4, true);
    for (let i = 0; i < 9; i += 1) order.get('thrice');
    order.get('once');
    expect([order.evict()?.key, order.evict()?.key, order.evict()?.key, order.evict()]).toEqual([
      'never',
      'once',
      'thrice',
      null,
    ]);
  });

  it('is a stranger rather than who comes back', () => {
    const { order, add } = orderOf(10);
    for (let i = 0; i < 12; i += 1) add(`k${i}`);
    expect(order.has('k0')).toBe(false);
    add('k0');
    for (let i = 0; i < 500; i += 1) add(`stranger${i}`);
    expect(order.has('k0')).toBe(true);
  });

  it('is not what several asked for while it was on its way', () => {
    const { order, add } = orderOf(10);
    add('awaited', true);
    for (let i = 0; i < 500; i += 1) add(`stranger${i}`);
    expect(order.has('awaited')).toBe(true);
  });

  it('is not the newest, though it be larger than its share and all others be used', () => {
    const order = new EvictionOrder<string>(100);
    for (let i = 0; i < 9; i += 1) order.add(`k${i}`, 'x', 10, true);
    order.add('large', 'x', 20);
    expect(order.evict()?.key).toBe('k0');
    expect(order.has('large')).toBe(true);
  });
});

describe('a choice', () => {
  it('is made within a thousand turns though everything be in use', () => {
    const order = new EvictionOrder<null>(10_000);
    for (let i = 0; i < 5_000; i += 1) order.add(`k${i}`, null, 1, true);
    for (let i = 0; i < 5_000; i += 1) order.get(`k${i}`);
    expect(order.evict()?.key).toBe('k1000');
  });
});

describe('bytes', () => {
  it('are counted once when an object is replaced, and given back when it goes', () => {
    const order = new EvictionOrder<string>(100);
    order.add('k', 'old', 30);
    order.add('k', 'new', 10);
    expect([order.get('k'), order.bytes, order.count]).toEqual(['new', 10, 1]);
    expect([order.delete('k'), order.delete('k'), order.bytes]).toEqual([true, false, 0]);
    expect(order.evict()).toBeNull();
  });

  it('agree with the objects through 20,000 random steps', () => {
    const random = seeded(7);
    const order = new EvictionOrder<number>(500);
    const held = new Map<string, number>();
    for (let step = 0; step < 20_000; step += 1) {
      const key = `k${Math.floor(random() * 300)}`;
      const bytes = 1 + Math.floor(random() * 20);
      const chance = random();
      if (chance < 0.5) {
        order.add(key, bytes, bytes);
        held.set(key, bytes);
      } else if (chance < 0.9) expect(order.get(key)).toBe(held.get(key) ?? null);
      else expect(order.delete(key)).toBe(held.delete(key));
      while (order.bytes > 500) {
        const gone = order.evict();
        expect(gone?.value).toBe(held.get(gone?.key ?? ''));
        held.delete(gone?.key ?? '');
      }
    }
    expect(order.count).toBe(held.size);
    expect(order.bytes).toBe([...held.values()].reduce((sum, bytes) => sum + bytes, 0));
  });
});

interface Cache {
  /** @returns whether it was a hit */
  ask(key: string, bytes: number): boolean;
}

function lru(maxBytes: number): Cache {
  const held = new Map<string, number>();
  let total = 0;
  return {
    ask(key, bytes) {
      const isHit = held.delete(key);
      held.set(key, bytes);
      if (isHit) return true;
      total += bytes;
      for (const [oldest, size] of held) {
        if (total <= maxBytes) break;
        held.delete(oldest);
        total -= size;
      }
      return false;
    },
  };
}

function ours(maxBytes: number): Cache {
  const order = new EvictionOrder<null>(maxBytes);
  return {
    ask(key, bytes) {
      if (order.has(key)) {
        order.get(key);
        return true;
      }
      order.add(key, null, bytes);
      while (order.bytes > maxBytes) order.evict();
      return false;
    },
  };
}

/** Random numbers in [0, 1), the same at each run (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Picks ranks 0.. with probability ~ 1 / (rank + 1)^alpha. */
function zipf(count: number, alpha: number, random: () => number): () => number {
  const sums = new Float64Array(count);
  let sum = 0;
  for (let i = 0; i < count; i += 1) {
    sum += 1 / (i + 1) ** alpha;
    sums[i] = sum;
  }
  return () => {
    const wanted = random() * sum;
    let [low, high] = [0, count - 1];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((sums[middle] ?? 0) < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

const TITLES = 2_000;
const SEGMENTS = 5;
const STREAMS = 20;
const CACHE = TITLES * SEGMENTS * 0.1;

/**
 * Seconds of a night: in each, viewers of on-demand titles (Zipf 0.8 over ten times the cache), 20 live streams whose newest three segments
 * are asked for, and now and then a crawler that takes more than the whole cache at once.
 * @returns hits by kind of request
 */
function playNight(cache: Cache, isCrawled: boolean) {
  const random = seeded(42);
  const rank = zipf(TITLES, 0.8, random);
  const tally = { vod: { hits: 0, asked: 0 }, live: { misses: 0, objects: 0 } };
  let crawled = 0;
  for (let second = 0; second < 400; second += 1) {
    for (let i = 0; i < 100; i += 1) {
      tally.vod.asked += 1;
      if (cache.ask(`t${rank()}.${Math.floor(random() * SEGMENTS)}`, 1)) tally.vod.hits += 1;
    }
    for (let stream = 0; stream < STREAMS; stream += 1) {
      for (const back of [2, 1, 0, 0]) if (!cache.ask(`live${stream}.${second - back}`, 1)) tally.live.misses += 1;
    }
    for (let i = 0; isCrawled && second % 4 === 3 && i < CACHE * 1.2; i += 1, crawled += 1)
      cache.ask(`t${TITLES + (crawled % (TITLES * SEGMENTS))}`, 1);
  }
  // Two that were there before the night began belong to each stream.
  tally.live.objects = STREAMS * 402;
  return { vodHits: tally.vod.hits / tally.vod.asked, liveAgain: tally.live.misses - tally.live.objects };
}

describe('a night of viewers', () => {
  it('hits more often than LRU by Zipf alone', () => {
    expect(playNight(ours(CACHE), false).vodHits).toBeGreaterThan(playNight(lru(CACHE), false).vodHits);
  });

  it('keeps the live edge and the hot titles through a crawler that empties LRU', () => {
    const [kept, lost] = [playNight(ours(CACHE), true), playNight(lru(CACHE), true)];
    expect(kept.liveAgain).toBe(0);
    expect(lost.liveAgain).toBeGreaterThan(1_000);
    expect(kept.vodHits).toBeGreaterThan(lost.vodHits * 1.2);
    expect(kept.vodHits).toBeGreaterThan(playNight(ours(CACHE), false).vodHits * 0.8);
  });
});
