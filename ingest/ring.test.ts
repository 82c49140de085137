import { describe, expect, test } from 'vitest';
import type { SessionId } from '../platform/contract/ids.ts';
import { RING_HEADER_BYTES, RING_KINDS, RingDecoder, type RingFrame } from '../platform/contract/ring.ts';
import { RingGone } from './errors.ts';
import { type ClassifiedTag, classifyTag } from './flv-tag.ts';
import { Ring, type RingReader, type RingStart } from './ring.ts';

const S1 = 'sessionAAAAAAAAAAAAAAA' as SessionId;
const S2 = 'sessionBBBBBBBBBBBBBBB' as SessionId;

function tag(type: number, timestamp: number, bytes: number[], text = ''): ClassifiedTag {
  const made = classifyTag({ type, timestamp, body: Buffer.concat([Buffer.from(bytes), Buffer.from(text)]) });
  if (made === null) throw new Error('not a tag');
  return made;
}
const videoHeader = (text: string) => tag(9, 0, [0x17, 0, 0, 0, 0], text);
const audioHeader = (text: string) => tag(8, 0, [0xaf, 0], text);
const key = (at: number, text: string) => tag(9, at, [0x17, 1, 0, 0, 0], text);
const frame = (at: number, text: string) => tag(9, at, [0x27, 1, 0, 0, 0], text);
const sound = (at: number, text: string) => tag(8, at, [0xaf, 1], text);

const never = new AbortController().signal;
const bodyText = (found: RingFrame): string => {
  const skip = found.kind === RING_KINDS.video ? 5 : found.kind === RING_KINDS.audio ? 2 : 0;
  return Buffer.from(found.payload).subarray(skip).toString();
};
const wordOf = ({ kind, arrival }: RingFrame): string | null =>
  kind === RING_KINDS.end ? 'end' : kind === RING_KINDS.away ? `away ${arrival}` : null;
/** What a reader has to itself right now, as text; `end` for the end frame. */
async function drain(reader: RingReader): Promise<string[]> {
  const decoder = new RingDecoder();
  const seen: string[] = [];
  const soon = new AbortController();
  while (true) {
    const next = reader.next(soon.signal);
    setImmediate(() => soon.abort());
    const chunk = await next;
    if (typeof chunk === 'string') return chunk === 'closed' && soon.signal.aborted ? seen : [...seen, `(${chunk})`];
    for (const found of decoder.push(chunk.bytes)) seen.push(wordOf(found) ?? bodyText(found));
  }
}
const from = (ring: Ring, start: RingStart) => drain(ring.open(start));

/** Headers, then groups of three frames a second apart. */
function filled(groups: number, limits = { ms: 30_000, bytes: 1_000_000 }): Ring {
  const ring = new Ring(limits);
  ring.beginSession(S1, 1_000_000);
  ring.push(videoHeader('vh'), 1_000_000);
  ring.push(audioHeader('ah'), 1_000_000);
  for (let g = 0; g < groups; g++) {
    const now = 1_000_000 + g * 1_000;
    ring.push(key(g * 1_000, `k${g}`), now);
    ring.push(sound(g * 1_000 + 10, `s${g}`), now + 10);
    ring.push(frame(g * 1_000 + 500, `f${g}`), now + 500);
  }
  return ring;
}

describe('where a reader begins', () => {
  test('start: session, headers, then from the oldest key frame', async () => {
    expect(await from(filled(2), { from: 'start' })).toEqual([S1, 'vh', 'ah', 'k0', 's0', 'f0', 'k1', 's1', 'f1']);
  });
  test('live: the newest key frame', async () => {
    expect(await from(filled(3), { from: 'live' })).toEqual([S1, 'vh', 'ah', 'k2', 's2', 'f2']);
  });
  test('a tag: that one on', async () => {
    expect(await from(filled(2), { session: S1, tag: 6 })).toEqual([S1, 'vh', 'ah', 's1', 'f1']);
  });
  test('the tag after the last: what comes', async () => {
    const ring = filled(1);
    const reader = ring.open({ session: S1, tag: 5 });
    expect(await drain(reader)).toEqual([S1, 'vh', 'ah']);
    ring.push(frame(2_000, 'next'), 1_002_000);
    expect(await drain(reader)).toEqual(['next']);
  });
  test('a timestamp: the newest key frame at or before it', async () => {
    expect((await from(filled(3), { session: S1, timestamp: 1_999 }))[3]).toBe('k1');
    expect((await from(filled(3), { session: S1, timestamp: 1_000 }))[3]).toBe('k1');
  });
  test('what is not held is gone', () => {
    const ring = filled(2);
    expect(() => ring.open({ session: S2, tag: 0 })).toThrow(RingGone);
    expect(() => ring.open({ session: S1, tag: 9 })).toThrow(RingGone);
    expect(() => ring.open({ session: S2, timestamp: 0 })).toThrow(RingGone);
    expect(() => new Ring({ ms: 1, bytes: 1 }).open({ session: S1, tag: 0 })).toThrow(RingGone);
  });
  test('audio alone may begin anywhere', async () => {
    const ring = new Ring({ ms: 30_000, bytes: 1_000 });
    ring.beginSession(S1, 0);
    ring.push(audioHeader('ah'), 0);
    ring.push(sound(0, 'a'), 0);
    ring.push(sound(23, 'b'), 23);
    expect(await from(ring, { from: 'live' })).toEqual([S1, 'ah', 'b']);
  });
  test('an empty ring: the reader waits for the first key frame', async () => {
    const ring = new Ring({ ms: 30_000, bytes: 10_000 });
    ring.beginSession(S1, 0);
    const reader = ring.open({ from: 'start' });
    expect(await drain(reader)).toEqual([S1]);
    ring.push(videoHeader('vh'), 0);
    ring.push(key(0, 'k'), 0);
    expect(await drain(reader)).toEqual(['vh', 'k']);
  });
});

describe('sessions and headers', () => {
  test('a new session begins with its frame and its own headers', async () => {
    const ring = filled(1);
    const reader = ring.open({ from: 'start' });
    await drain(reader);
    ring.beginSession(S2, 1_005_000);
    ring.push(videoHeader('vh2'), 1_005_000);
    ring.push(key(0, 'k'), 1_005_000);
    expect(await drain(reader)).toEqual([S2, 'vh2', 'k']);
    expect(await from(ring, { from: 'live' })).toEqual([S2, 'vh2', 'k']);
    // Past the end of the first session the reader goes on into the second.
    expect(await from(ring, { session: S1, tag: 5 })).toEqual([S2, 'vh2', 'k']);
  });
  test('a header that changes inside a session is the one a later reader gets', async () => {
    const ring = filled(1);
    ring.push(videoHeader('vh2'), 1_001_000);
    ring.push(key(1_000, 'k1'), 1_001_000);
    expect(await from(ring, { from: 'live' })).toEqual([S1, 'vh2', 'ah', 'k1']);
    expect((await from(ring, { from: 'start' })).slice(0, 4)).toEqual([S1, 'vh', 'ah', 'k0']);
  });
  test('the body is copied: the door uses its buffer again', async () => {
    const ring = filled(0);
    const used = key(0, 'mine');
    ring.push(used, 0);
    used.body.fill(0);
    expect(await from(ring, { from: 'start' })).toContain('mine');
  });
  test('frames carry arrival, timestamp and number', async () => {
    const ring = filled(1);
    const chunk = await ring.open({ session: S1, tag: 4 }).next(never);
    const frames = typeof chunk === 'string' ? [] : new RingDecoder().push(chunk.bytes);
    expect(frames.at(-1)).toMatchObject({ kind: 9, tag: 4, timestamp: 500, arrival: 1_000_500 });
  });
});

describe('nobody publishes', () => {
  const AWAY = 'away 1002000';
  const left = (): Ring => {
    const ring = filled(2);
    ring.leave(1_002_000);
    return ring;
  };

  test('readers are told once, whoever comes later too', async () => {
    const ring = filled(2);
    const reader = ring.open({ from: 'live' });
    await drain(reader);
    ring.leave(1_002_000);
    ring.leave(1_003_000);
    expect(await drain(reader)).toEqual([AWAY]);
    expect((await from(ring, { from: 'start' })).slice(-2)).toEqual(['f1', AWAY]);
    expect(await from(ring, { session: S1, tag: 7 })).toEqual([S1, 'vh', 'ah', 'f1', AWAY]);
    // Behind everything, the away frame among it.
    expect(await from(ring, { session: S1, tag: 8 })).toEqual([S1, 'vh', 'ah', AWAY]);
    expect(await from(ring, { session: S1, tag: 9 })).toEqual([S1, 'vh', 'ah', AWAY]);
  });

  test('the next session follows, and who comes then still reads of the absence before it', async () => {
    const ring = left();
    const reader = ring.open({ session: S1, tag: 8 });
    await drain(reader);
    ring.beginSession(S2, 1_009_000);
    ring.push(videoHeader('vh2'), 1_009_000);
    ring.push(key(0, 'k'), 1_009_000);
    expect(await drain(reader)).toEqual([S2, 'vh2', 'k']);
    expect((await from(ring, { from: 'start' })).slice(-4)).toEqual([AWAY, S2, 'vh2', 'k']);
    expect(await from(ring, { from: 'live' })).toEqual([S2, 'vh2', 'k']);
    expect(await from(ring, { session: S1, tag: 9 })).toEqual([S2, 'vh2', 'k']);
  });

  test('the end follows', async () => {
    const ring = left();
    ring.end();
    expect((await from(ring, { from: 'live' })).slice(-3)).toEqual([AWAY, 'end', '(ended)']);
  });

  test('a ring that never had media tells it as well', async () => {
    const ring = new Ring({ ms: 30_000, bytes: 1_000 });
    ring.leave(0);
    ring.beginSession(S1, 0);
    ring.leave(1_002_000);
    expect(await from(ring, { from: 'live' })).toEqual([S1, AWAY]);
  });

  test('a newer publisher, or the one that stood by, follows without it', async () => {
    const ring = filled(1);
    ring.beginSession(S2, 1_001_000);
    ring.push(key(0, 'k'), 1_001_000);
    expect(await from(ring, { session: S1, tag: 4 })).toEqual([S1, 'vh', 'ah', 'f0', S2, 'k']);
  });
});

describe('what is dropped', () => {
  test('whole groups older than the limit, never the rest of one', async () => {
    const ring = filled(10, { ms: 3_000, bytes: 1_000_000 });
    // 3 s before the newest tag lies inside group 6.
    expect((await from(ring, { from: 'start' }))[3]).toBe('k6');
    expect(() => ring.open({ session: S1, tag: 2 })).toThrow(RingGone);
  });
  test('bytes are capped whatever the age', () => {
    const ring = new Ring({ ms: 30_000, bytes: 10_000 });
    ring.beginSession(S1, 0);
    for (let i = 0; i < 100; i++) {
      ring.push(key(i, 'x'.repeat(1_000)), i);
      expect(ring.bytes).toBeLessThanOrEqual(10_000);
    }
    expect(ring.bytes).toBeGreaterThan(8_000);
  });
  test('twenty streams of 1 Mbit/s hold half a minute each and no more', () => {
    const rings = Array.from({ length: 20 }, () => new Ring({ ms: 30_000, bytes: 256 * 1024 ** 2 }));
    const body = 'x'.repeat(1_000_000 / 8 / 10);
    for (const ring of rings) ring.beginSession(S1, 0);
    const [first, next] = [key(0, body), frame(0, body)];
    for (let i = 0; i < 10 * 45; i++) {
      for (const ring of rings) ring.push(i % 20 === 0 ? first : next, i * 100);
    }
    const held = rings.reduce((sum, ring) => sum + ring.bytes, 0);
    // 30 s, back to a key frame at most 2 s before; headers are the rest.
    expect(held).toBeGreaterThan(20 * 30 * 125_000);
    expect(held).toBeLessThan(20 * 32 * 126_000);
  });
  test('one group above the cap goes as a whole; readers begin at the next key frame', async () => {
    const ring = new Ring({ ms: 30_000, bytes: 5_000 });
    ring.beginSession(S1, 0);
    ring.push(videoHeader('vh'), 0);
    ring.push(key(0, 'k'), 0);
    for (let i = 1; i < 6; i++) ring.push(frame(i, 'x'.repeat(1_000)), i);
    expect(ring.bytes).toBeLessThanOrEqual(5_000);
    const reader = ring.open({ from: 'start' });
    ring.push(key(9, 'k2'), 9);
    expect((await drain(reader)).at(-1)).toBe('k2');
  });
  test('a reader left behind is told', async () => {
    const ring = filled(1, { ms: 1_000, bytes: 1_000_000 });
    const reader = ring.open({ from: 'start' });
    for (let g = 1; g < 9; g++) ring.push(key(g * 1_000, `k${g}`), 1_000_000 + g * 1_000);
    expect(reader.isLagging()).toBe(true);
    expect(await reader.next(never)).toBe('lagged');
  });
  test('numbers stay right over many thousand tags', async () => {
    const ring = new Ring({ ms: 100, bytes: 1_000_000 });
    ring.beginSession(S1, 0);
    const reader = ring.open({ from: 'start' });
    const seen: number[] = [];
    const decoder = new RingDecoder();
    for (let i = 0; i < 20_000; i++) {
      ring.push(key(i, 'k'), i);
      if (i % 50 !== 0) continue;
      const chunk = await reader.next(never);
      if (typeof chunk === 'string') throw new Error(chunk);
      for (const found of decoder.push(chunk.bytes)) if (found.kind === 9) seen.push(found.tag);
    }
    expect(seen).toEqual(Array.from({ length: 19_951 }, (_, i) => i));
    expect(ring.bytes).toBe(101 * (RING_HEADER_BYTES + 6));
  });
});

describe('the end', () => {
  test('ended: what is held, then the end frame, then nothing', async () => {
    const ring = filled(1);
    ring.end();
    ring.push(key(9_000, 'late'), 1_009_000);
    expect(await from(ring, { from: 'start' })).toEqual([S1, 'vh', 'ah', 'k0', 's0', 'f0', 'end', '(ended)']);
  });
  test('a waiting reader learns of it', async () => {
    const ring = filled(0);
    const reader = ring.open({ from: 'live' });
    await drain(reader);
    const next = reader.next(never);
    ring.end();
    expect(await next).toHaveProperty('bytes');
    expect(await reader.next(never)).toBe('ended');
  });
  test('closed: readers are cut off, new ones refused', async () => {
    const ring = filled(1);
    const reader = ring.open({ from: 'start' });
    ring.close();
    expect(await reader.next(never)).toBe('closed');
    expect(() => ring.open({ from: 'start' })).toThrow(RingGone);
    expect(ring.bytes).toBe(0);
  });
});
