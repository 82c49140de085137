// From ring frames to media that an encoder can take: where it begins, where it breaks.
import { setImmediate } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { SessionId } from '../platform/contract/ids.ts';
import { RING_KINDS, type RingFrame } from '../platform/contract/ring.ts';
import { LiveSourceUnsupported } from './live-errors.ts';
import { LiveFeed } from './live-feed.ts';
import { frameRateOf, probeSource, type Shown, type SourceInfo } from './live-probe.ts';

const frame = (kind: number, timestamp: number, payload: number[]): RingFrame => ({
  kind,
  flags: 0,
  timestamp,
  arrival: 1_000_000 + timestamp,
  tag: 0,
  payload: Uint8Array.from(payload),
});
const session = (name: string) => frame(RING_KINDS.session, 0, [...Buffer.from(name)]);
const AVC = [
  ...Buffer.from('17000000000142c00dffe100176742c00dda05067e7c0440000003004000000f03c50aa801000468ce0fc8', 'hex'),
];
const away = (at: number) => frame(RING_KINDS.away, at, []);
const avc = (payload = AVC) => frame(RING_KINDS.video, 0, payload);
const aac = () => frame(RING_KINDS.audio, 0, [0xaf, 0, 0x12, 0x10]);
const key = (at: number, cts = 0) => frame(RING_KINDS.video, at, [0x17, 1, 0, 0, cts, 9]);
const delta = (at: number) => frame(RING_KINDS.video, at, [0x27, 1, 0, 0, 0, 9]);
const sound = (at: number) => frame(RING_KINDS.audio, at, [0xaf, 1, 5]);

async function* from(frames: (RingFrame | 'lost')[]) {
  yield* frames;
}
const drink = async (frames: (RingFrame | 'lost')[]): Promise<string[]> => {
  const feed = new LiveFeed(from(frames));
  const seen: string[] = [];
  for (;;) {
    const item = await feed.next();
    seen.push('pts' in item ? `${item.type}@${item.pts}` : 'reason' in item ? item.reason : item.type);
    if (item.type === 'end') return seen;
  }
};

describe('LiveFeed', () => {
  test('begins with a key frame that has its configuration', async () => {
    const seen = await drink([
      session('s1'),
      key(0),
      avc(),
      aac(),
      sound(1),
      delta(33),
      key(66, 40),
      sound(70),
      delta(99),
    ]);
    expect(seen).toEqual(['video@106', 'audio@70', 'video@99', 'end']);
  });
  test('a publisher that leaves is away once; nothing for the time given is away too', async () => {
    expect(await drink([session('s1'), avc(), key(0), away(40), away(40), session('s2'), avc(), key(0)])).toEqual([
      'video@0',
      'left',
      'video@0',
      'end',
    ]);
    let wake: () => void = () => undefined;
    const later = new Promise<void>((resolve) => {
      wake = resolve;
    });
    async function* slow() {
      yield* [session('s1'), avc(), key(0)];
      await later;
      yield delta(33);
    }
    const feed = new LiveFeed(slow());
    expect(await feed.next(5)).toMatchObject({ pts: 0 });
    expect(await feed.next(5)).toEqual({ type: 'away', reason: 'silent' });
    wake();
    expect(await feed.next(1_000)).toMatchObject({ pts: 33 });
  });
  test('who stood still himself reads what came meanwhile before he calls a publisher silent', async () => {
    async function* stalled() {
      yield* [session('s1'), avc(), key(0)];
      await setImmediate();
      // Nothing else runs for longer than next() waits, as in a process that is frozen.
      const until = performance.now() + 400;
      while (performance.now() < until);
      await setImmediate();
      await setImmediate();
      yield delta(33);
    }
    const feed = new LiveFeed(stalled());
    expect(await feed.next(20)).toMatchObject({ pts: 0 });
    expect(await feed.next(20)).toMatchObject({ pts: 33 });
  });
  test('sound leads where there is no picture, and a picture that comes breaks it off', async () => {
    const alone = [session('s1'), aac(), sound(0), sound(23), sound(2_000)];
    expect(await drink(alone)).toEqual(['audio@0', 'audio@23', 'jump', 'audio@2000', 'end']);
    const late = await drink([...alone.slice(0, 4), avc(), sound(46), key(50), sound(60)]);
    expect(late).toEqual(['audio@0', 'audio@23', 'headers', 'video@50', 'audio@60', 'end']);
  });
  test('repeated session and headers mean nothing', async () => {
    const seen = await drink([session('s1'), avc(), key(0), session('s1'), avc(), delta(33)]);
    expect(seen).toEqual(['video@0', 'video@33', 'end']);
  });
  test.each([
    ['session', [session('s2'), avc(), key(0)], 'video@0'],
    ['headers', [avc([...AVC, 1]), delta(66), key(99)], 'video@99'],
    ['jump', [delta(1_100), key(1_133)], 'video@1133'],
    ['jump', [key(5_000)], 'video@5000'],
    ['lost', ['lost', delta(500), key(600)], 'video@600'],
  ] as [string, (RingFrame | 'lost')[], string][])('breaks at %s', async (reason, frames, next) => {
    expect(await drink([session('s1'), avc(), key(0), delta(33), ...frames])).toEqual([
      'video@0',
      'video@33',
      reason,
      next,
      'end',
    ]);
  });
  test('a place lost before anything came is no break', async () => {
    expect(await drink(['lost', session('s1'), avc(), key(0)])).toEqual(['video@0', 'end']);
  });
  test('the mark of an ended sequence is no picture', async () => {
    expect(await drink([session('s1'), avc(), key(0), frame(RING_KINDS.video, 33, [0x17, 2, 0, 0, 0])])).toEqual([
      'video@0',
      'end',
    ]);
  });
  test('refuses other codecs', async () => {
    await expect(drink([session('s1'), frame(RING_KINDS.video, 0, [0x90, 1, 2, 3])])).rejects.toThrow(
      LiveSourceUnsupported,
    );
    await expect(drink([session('s1'), frame(RING_KINDS.video, 0, [0x12, 1])])).rejects.toThrow('codec 2');
  });
});

describe('probeSource', () => {
  const second = (start: number, step: number, count: number) =>
    Array.from({ length: count }, (_, i) => (i === 0 ? key(start, 67) : delta(Math.round(start + i * step))));
  const probe = (feed: LiveFeed, shown: Shown | null = null) =>
    probeSource(feed, { shown, limitMs: Number.POSITIVE_INFINITY, onFirst: () => undefined });
  const found = async (frames: RingFrame[], shown: Shown | null = null): Promise<SourceInfo> => {
    const source = await probe(new LiveFeed(from(frames)), shown);
    if (typeof source === 'string') throw new Error(source);
    return source;
  };

  test('knows picture, rate, audio and clock, and puts everything back', async () => {
    const frames = [session('s1'), avc(), aac(), ...second(500, 1_000 / 30, 32)];
    frames.splice(10, 0, sound(600));
    const feed = new LiveFeed(from(frames));
    expect(await probe(feed)).toMatchObject({
      video: { width: 320, height: 180 },
      fps: { num: 30, den: 1 },
      ts0: 567,
      pdt0: 1_000_500,
      audio: { isCopied: true, config: { sampleRate: 44_100, channels: 2 } },
    });
    expect(await feed.next()).toMatchObject({ type: 'video', pts: 567 });
  });
  test('waits longer for audio, then does without', async () => {
    expect((await found([session('s1'), avc(), ...second(0, 40, 60)])).audio).toBeNull();
  });
  test('a burst does not move the wall clock', async () => {
    const frames = second(0, 40, 60);
    const burst = frames.map((one, i) => (i < 10 ? { ...one, arrival: 1_000_400 } : one));
    expect((await found([session('s1'), avc(), ...burst])).pdt0).toBe(1_000_000);
  });
  test('starts over at a break', async () => {
    expect((await found([session('s1'), avc(), ...second(0, 40, 5), ...second(9_000, 40, 60)])).ts0).toBe(9_067);
  });
  test('says when nothing came', async () => {
    expect(await probe(new LiveFeed(from([session('s1'), avc()])))).toBe('over');
  });
  test('sound alone is a source when no picture comes for 2 s; a picture in time is waited for', async () => {
    const sounds = (start: number, count: number) => Array.from({ length: count }, (_, i) => sound(start + i * 23));
    expect(await found([session('s1'), aac(), ...sounds(100, 95)])).toMatchObject({
      video: null,
      fps: { num: 30, den: 1 },
      ts0: 100,
      pdt0: 1_000_100,
      audio: { isCopied: true },
    });
    const late = [session('s1'), aac(), ...sounds(0, 60), avc(), ...second(1_500, 40, 60)];
    expect(await found(late)).toMatchObject({ video: { width: 320, height: 180 }, ts0: 1_567 });
  });
  test('begins where viewers are, not where the decoder must', async () => {
    const shown = { session: 's1' as SessionId, ts: 800 };
    const frames = [session('s1'), avc(), ...second(0, 40, 70)];
    expect(await found(frames, shown)).toMatchObject({ ts0: 800, pdt0: 1_000_800 });
    expect((await found(frames, { ...shown, session: 'other' as SessionId })).ts0).toBe(67);
  });
  test('nobody publishes: what was shown is left out, and it can be asked again', async () => {
    const old = [session('s1'), avc(), ...second(0, 40, 10), away(400)];
    const feed = new LiveFeed(from([...old, session('s2'), avc(), ...second(0, 40, 60)]));
    const shown = { session: 's1' as SessionId, ts: 400 };
    expect(await probe(feed, shown)).toBe('away');
    expect(await probe(feed, shown)).toMatchObject({ ts0: 67 });
  });
});

test.each([
  [1_000 / 24, null, 24],
  [40, null, 25],
  [1_000 / 30, 29.97, 29.97],
  [1_000 / 30, 30, 30],
  [1_000 / 30, 60, 30],
  [20, null, 50],
  [1_000 / 60, null, 60],
  [1_000 / 120, null, 60],
  [1_000 / 15, null, 24],
])('frames %d ms apart, said to be %s, run at %d', (step, claim, expected) => {
  const rate = frameRateOf(
    Array.from({ length: Math.round(1_200 / step) }, (_, i) => Math.round(i * step)),
    claim,
  );
  expect(rate.num / rate.den).toBeCloseTo(expected, 2);
});
