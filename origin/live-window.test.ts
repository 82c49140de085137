// Live windows over a literal timeline source and a clock of their own.
import { expect, test } from 'vitest';
import type { ContentId } from '../platform/contract/ids.ts';
import type { TimelineEntry } from '../platform/contract/timeline.ts';
import { silentLogger } from '../platform/runtime/log.ts';
import { blockOf, broadcastOf, entriesOf, LIVE_CONTENT, pdtOf } from '../test/support/timelines.ts';
import { OriginDraining } from './errors.ts';
import type { BlockSource } from './index-blocks.ts';
import { LiveWindows } from './live-window.ts';

const NO_BLOCKS: BlockSource = { places: async () => [], read: () => Promise.reject(new Error('not asked')) };
const signal = new AbortController().signal;
const tick = () => new Promise((resolve) => setImmediate(resolve));

function build(blocks: BlockSource = NO_BLOCKS) {
  const world = { now: 0, staleMs: 0, follows: 0, stops: 0, caughtUp: Promise.resolve(), record: broadcastOf() };
  const say = new Map<ContentId, (entries: TimelineEntry[]) => void>();
  const windows = new LiveWindows({
    source: {
      follow(content, onEntries) {
        world.follows += 1;
        say.set(content, onEntries);
        return {
          caughtUp: world.caughtUp,
          stop: () => {
            world.stops += 1;
          },
        };
      },
      staleMs: () => world.staleMs,
    },
    blocks,
    record: async () => world.record,
    log: silentLogger,
    windowS: 40,
    now: () => world.now,
  });
  const open = () => windows.open(world.record);
  return { world, windows, open, say: (entries: TimelineEntry[]) => say.get(LIVE_CONTENT)?.(entries) };
}

/** A store with one block of six segments. @param before may fail the read */
const oneBlock = (before: () => Promise<void>): BlockSource => ({
  places: async () => [{ epoch: 1, msn: 0 }],
  async read() {
    await before();
    return blockOf(entriesOf(1, 0, 5));
  },
});

test('one follow however many ask, and new entries reach the window', async () => {
  const { world, open, say } = build();
  const [one, two] = await Promise.all([open(), open()]);
  expect(two).toBe(one);
  expect(world.follows).toBe(1);
  say(entriesOf(1, 0, 2));
  expect(one.timeline.position()).toEqual({ epoch: 1, msn: 2, part: 3 });
});

test('the first request waits for what Redis holds', async () => {
  const { world, open, say } = build();
  let caughtUp = (): void => undefined;
  world.caughtUp = new Promise((resolve) => {
    caughtUp = resolve;
  });
  let isOpen = false;
  const opening = open().then((window) => {
    isOpen = true;
    return window;
  });
  await tick();
  expect(isOpen).toBe(false);
  say(entriesOf(1, 0, 0));
  caughtUp();
  expect((await opening).timeline.newest()?.msn).toBe(0);
});

test('blocks fill what Redis no longer holds', async () => {
  const { open } = build(oneBlock(async () => undefined));
  expect([...(await open()).timeline.segments()]).toHaveLength(6);
});

test('blocks that could not be read are tried again, but not at every request', async () => {
  let reads = 0;
  const { world, open } = build(
    oneBlock(async () => {
      reads += 1;
      if (reads === 1) throw new Error('store away');
    }),
  );
  const window = await open();
  expect(window.timeline.newest()).toBeNull();
  await open();
  expect(reads).toBe(1);
  world.now = 1_000;
  await open();
  await tick();
  expect(reads).toBe(2);
  expect([...window.timeline.segments()]).toHaveLength(6);
});

test('a window that nobody asks for is let go after a minute', async () => {
  const { world, windows, open } = build();
  await open();
  world.now = 60_000;
  windows.sweep();
  expect(windows.count()).toBe(1);
  world.now = 60_001;
  windows.sweep();
  expect([windows.count(), world.stops]).toEqual([0, 1]);
});

test('cut off only when both Redis and the stream have been silent for three target durations', async () => {
  const { world, windows, open, say } = build();
  const window = await open();
  world.now = 7_000;
  expect(windows.isCutOff(window)).toBe(false);
  world.staleMs = 7_000;
  expect(windows.isCutOff(window)).toBe(true);
  say(entriesOf(1, 0, 0));
  expect(windows.isCutOff(window)).toBe(false);
});

test('the end settles half a second after it was seen and the last part came', async () => {
  const { world, open, say } = build();
  const window = await open();
  expect(window.isOver()).toBe(false);
  world.now = 1_000;
  window.noteEnd(true);
  expect(window.isOver()).toBe(false);
  world.now = 1_400;
  say(entriesOf(1, 0, 0));
  world.now = 1_600;
  expect(window.isOver()).toBe(false);
  world.now = 1_900;
  expect(window.isOver()).toBe(true);
  window.noteEnd(false);
  expect(window.isOver()).toBe(false);
});

test('an end of long ago needs no settling', async () => {
  const { world, open, say } = build();
  world.record = broadcastOf({ status: 'ended', ended_at: Date.now() - 11_000 });
  const window = await open();
  say(entriesOf(1, 0, 0));
  expect(window.isOver()).toBe(true);
});

test('an end wakes who waits, with or without its event', async () => {
  for (const learn of ['event', 'sweep'] as const) {
    const { world, windows, open } = build();
    const window = await open();
    const waiting = window.waiting.until(() => (window.isOver() ? 'over' : null), 5_000, signal);
    world.record = broadcastOf({ status: 'ended' });
    if (learn === 'event') windows.heed({ type: 'broadcast', id: world.record.id });
    else windows.sweep();
    await tick();
    world.now = 600;
    expect(await waiting).toBe('over');
    await windows.close();
  }
});

test('each part wakes who waits for it at once; an old one wakes nobody', async () => {
  const { open, say } = build();
  const window = await open();
  say(entriesOf(1, 0, 1));
  let looks = 0;
  const waiting = window.waiting.until(
    () => {
      looks += 1;
      return (window.timeline.position()?.msn ?? 0) > 1 ? 'there' : null;
    },
    5_000,
    signal,
  );
  say(entriesOf(1, 0, 0));
  expect(looks).toBe(1);
  say(entriesOf(1, 2, 2));
  expect(looks).toBe(2);
  expect(await waiting).toBe('there');
});

test('a window in use is kept while somebody waits in it', async () => {
  const { world, windows, open } = build();
  const window = await open();
  const waiting = window.waiting.until(() => null, 5_000, signal);
  world.now = 120_000;
  windows.sweep();
  expect([windows.count(), windows.blockedRequests()]).toEqual([1, 1]);
  await windows.drain();
  await expect(waiting).rejects.toThrow(OriginDraining);
  windows.sweep();
  expect(windows.count()).toBe(0);
  const late = await open();
  await expect(late.waiting.until(() => null, 5_000, signal)).rejects.toThrow(OriginDraining);
  await windows.close();
});

test.each([
  [null, 20],
  [600, 300],
])('a broadcast that says %s s has a window of %i segments', async (dvr, expected) => {
  const { world, open } = build();
  world.record = broadcastOf({ dvr_window_s: dvr });
  expect((await open()).timeline.capacity).toBe(expected);
});

test('the age gauge knows only broadcasts on the air', async () => {
  const { world, windows, open, say } = build();
  world.record = broadcastOf({ ingest: null });
  await open();
  say(entriesOf(1, 0, 0));
  expect(windows.oldestSegmentAgeS()).toBe(0);
  world.record = broadcastOf();
  await open();
  expect(windows.oldestSegmentAgeS()).toBeCloseTo((Date.now() - pdtOf(0)) / 1_000 - 2, 0);
});

test('close ends every follow, twice without harm', async () => {
  const { world, windows, open } = build();
  await windows.start();
  await open();
  await windows.close();
  await windows.close();
  expect(world.stops).toBe(1);
});
