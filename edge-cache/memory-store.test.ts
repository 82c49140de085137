// Limits by bytes, what is evicted first, what a walk over many objects cannot push out.
import { describe, expect, it } from 'vitest';
import { type CachedObject, MemoryStore } from './memory-store.ts';
import { NegativeStore } from './negative-store.ts';

const KIB = 1_024;
/** 9 KiB of body and 1 KiB of bookkeeping. */
const object = (bytes = 9 * KIB): CachedObject => ({
  headers: {},
  body: Buffer.alloc(bytes),
  etag: null,
  arrivedMs: 0,
  freshUntilMs: 0,
  staleUntilMs: 86_400_000,
});

describe('the memory store', () => {
  it('gives way to bodies on their way, which may take half of it', () => {
    const store = new MemoryStore(100 * KIB);
    for (let i = 0; i < 10; i += 1) store.set(`k${i}`, object());
    expect(store.reserve(50 * KIB)).toBe(true);
    expect(store.bytes).toBe(50 * KIB);
    expect(store.reserve(1)).toBe(false);
    expect(store.reserved).toBe(50 * KIB);
    store.set('more', object());
    expect(store.bytes).toBe(50 * KIB);
    store.release(50 * KIB);
    for (let i = 0; i < 10; i += 1) store.set(`l${i}`, object());
    expect(store.bytes).toBe(100 * KIB);
  });

  it('sweeps out what can be shown for seconds only, and nothing else, when new things come', () => {
    const store = new MemoryStore(100_000 * KIB);
    store.set('segment', object());
    for (let second = 0; second < 600; second += 1) {
      const arrivedMs = second * 1_000;
      store.set(`playlist ${second}`, {
        ...object(),
        arrivedMs,
        freshUntilMs: arrivedMs,
        staleUntilMs: arrivedMs + 12_000,
      });
      store.get(`playlist ${second}`);
      expect(store.count).toBeLessThanOrEqual(14);
    }
    expect(store.has('segment')).toBe(true);
    expect(store.has('playlist 599')).toBe(true);
  });

  it('never holds more than its limit and evicts the oldest first', () => {
    const store = new MemoryStore(100 * KIB);
    for (let i = 0; i < 15; i += 1) {
      store.set(`k${i}`, object());
      expect(store.bytes).toBeLessThanOrEqual(100 * KIB);
    }
    expect(store.count).toBe(10);
    expect(store.get('k4')).toBeNull();
    expect(store.get('k5')).not.toBeNull();
  });

  it('keeps what was asked for twice through a walk over a thousand others', () => {
    const store = new MemoryStore(100 * KIB);
    store.set('wanted', object());
    store.get('wanted');
    for (let i = 0; i < 1_000; i += 1) store.set(`walk${i}`, object());
    expect(store.get('wanted')).not.toBeNull();
  });

  it('gives protected objects up in the end, least recently used first', () => {
    const store = new MemoryStore(100 * KIB);
    for (let i = 0; i < 10; i += 1) {
      store.set(`k${i}`, object());
      store.get(`k${i}`);
    }
    for (let i = 10; i < 40; i += 1) {
      store.set(`k${i}`, object());
      store.get(`k${i}`);
    }
    expect(store.get('k0')).toBeNull();
    expect(store.get('k39')).not.toBeNull();
    expect(store.bytes).toBeLessThanOrEqual(100 * KIB);
  });

  it('counts a replaced object once and leaves out what is too large', () => {
    const store = new MemoryStore(100 * KIB);
    store.set('k', object());
    store.set('k', object(4 * KIB));
    expect(store.bytes).toBe(5 * KIB);
    store.set('large', object(25 * KIB));
    expect(store.get('large')).toBeNull();
    store.get('k');
    store.set('k', object(25 * KIB));
    expect(store.count).toBe(0);
    expect(store.bytes).toBe(0);
  });

  it('forgets what it is told to', () => {
    const store = new MemoryStore(100 * KIB);
    store.set('k', object());
    store.delete('k');
    expect(store.get('k')).toBeNull();
    expect(store.bytes).toBe(0);
  });
});

describe('the negative store', () => {
  const missing = { status: 404, headers: {}, body: Buffer.alloc(0) };

  it('forgets when the time is over, and the oldest when it is full', () => {
    const store = new NegativeStore(3);
    for (const key of ['a', 'b', 'c', 'd']) store.set(key, missing, 1_000);
    expect(store.get('a', 0)).toBeNull();
    expect(store.get('d', 999)).toBe(missing);
    expect(store.get('d', 1_000)).toBeNull();
  });
});
