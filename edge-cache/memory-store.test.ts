// Limits by bytes, what is evicted first, what a walk over many objects cannot push out.
import { describe, expect, it } from 'vitest';
import { type CachedObject, MemoryStore } from './memory-store.ts';
import { NegativeStore } from './negative-store.ts';
import { ServedPositions } from './served-positions.ts';

const KIB = 1_024;
/** 9 KiB of body and 1 KiB of bookkeeping. */
const object = (bytes = 9 * KIB): CachedObject => ({
  headers: {},
  body: Buffer.alloc(bytes),
  etag: null,
  arrivedMs: 0,
  freshUntilMs: 0,
  staleUntilMs: 0,
});

describe('the memory store', () => {
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

describe('served positions', () => {
  it('a lower position is behind, in whatever part it is lower', () => {
    const served = new ServedPositions();
    served.note('k', '2.10.3', 0);
    for (const lower of ['2.10.2', '2.9.9', '1.99.99']) expect(served.isBehind('k', lower, 1)).toBe(true);
    for (const fine of ['2.10.3', '2.10.4', '2.11.0', '3.0.0']) expect(served.isBehind('k', fine, 1)).toBe(false);
  });

  it('knows nothing of other keys, absent positions and nonsense', () => {
    const served = new ServedPositions();
    served.note('k', '2.10.3', 0);
    expect(served.isBehind('other', '1.0.0', 1)).toBe(false);
    expect(served.isBehind('k', undefined, 1)).toBe(false);
    expect(served.isBehind('k', 'x', 1)).toBe(false);
  });

  it('believes an older position when nothing newer came for 12 s', () => {
    const served = new ServedPositions();
    served.note('k', '2.10.3', 0);
    expect(served.isBehind('k', '2.0.0', 12_000)).toBe(true);
    expect(served.isBehind('k', '2.0.0', 12_001)).toBe(false);
  });
});
