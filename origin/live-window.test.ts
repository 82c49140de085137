// Live windows over a literal timeline source and a clock of their own.
import { expect, test } from 'vitest';
import type { ContentId } from '../platform/contract/ids.ts';
import type { TimelineEntry } from '../platform/contract/timeline.ts';
import { silentLogger } from '../platform/runtime/log.ts';
import { entriesOf, LIVE_CONTENT, pdtOf } from '../test/support/timelines.ts';
import type { BlockSource } from './index-blocks.ts';
import { LiveWindows } from './live-window.ts';

function build(blocks: BlockSource = { newest: async () => [] }) {
  const world = { now: 0, staleMs: 0, follows: 0, stops: 0, caughtUp: Promise.resolve() };
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
    log: silentLogger,
    segments: 20,
    now: () => world.now,
  });
  return { world, windows, say: (entries: TimelineEntry[]) => say.get(LIVE_CONTENT)?.(entries) };
}

test('one follow however many ask, and new entries reach the window', async () => {
  const { world, windows, say } = build();
  const [one, two] = await Promise.all([windows.open(LIVE_CONTENT), windows.open(LIVE_CONTENT)]);
  expect(two).toBe(one);
  expect(world.follows).toBe(1);
  say(entriesOf(1, 0, 2));
  expect(one.timeline.position()).toEqual({ epoch: 1, msn: 2, part: 1 });
});

test('the first request waits for what Redis holds', async () => {
  const { world, windows, say } = build();
  let caughtUp = (): void => undefined;
  world.caughtUp = new Promise((resolve) => {
    caughtUp = resolve;
  });
  let isOpen = false;
  const opening = windows.open(LIVE_CONTENT).then((window) => {
    isOpen = true;
    return window;
  });
  await new Promise((resolve) => setImmediate(resolve));
  expect(isOpen).toBe(false);
  say(entriesOf(1, 0, 0));
  caughtUp();
  expect((await opening).timeline.newest()?.msn).toBe(0);
});

test('blocks fill what Redis no longer holds', async () => {
  const { windows } = build({ newest: async () => entriesOf(1, 0, 5) });
  expect((await windows.open(LIVE_CONTENT)).timeline.segments()).toHaveLength(6);
});

test('blocks that could not be read are tried again, but not at every request', async () => {
  let reads = 0;
  const { world, windows } = build({
    async newest() {
      reads += 1;
      if (reads === 1) throw new Error('store away');
      return entriesOf(1, 0, 5);
    },
  });
  const window = await windows.open(LIVE_CONTENT);
  expect(window.timeline.newest()).toBeNull();
  await windows.open(LIVE_CONTENT);
  expect(reads).toBe(1);
  world.now = 1_000;
  await windows.open(LIVE_CONTENT);
  await new Promise((resolve) => setImmediate(resolve));
  expect(reads).toBe(2);
  expect(window.timeline.segments()).toHaveLength(6);
});

test('a window that nobody asks for is let go after a minute', async () => {
  const { world, windows } = build();
  await windows.open(LIVE_CONTENT);
  world.now = 60_000;
  windows.sweep();
  expect(windows.count()).toBe(1);
  world.now = 60_001;
  windows.sweep();
  expect([windows.count(), world.stops]).toEqual([0, 1]);
});

test('cut off only when both Redis and the stream have been silent for three target durations', async () => {
  const { world, windows, say } = build();
  const window = await windows.open(LIVE_CONTENT);
  world.now = 7_000;
  expect(windows.isCutOff(window)).toBe(false);
  world.staleMs = 7_000;
  expect(windows.isCutOff(window)).toBe(true);
  say(entriesOf(1, 0, 0));
  expect(windows.isCutOff(window)).toBe(false);
});

test('the end settles half a second after it was seen and the last segment came', async () => {
  const { world, windows, say } = build();
  const window = await windows.open(LIVE_CONTENT);
  expect(window.settlesEnd(false)).toBe(false);
  world.now = 1_000;
  expect(window.settlesEnd(true)).toBe(false);
  world.now = 1_400;
  say(entriesOf(1, 0, 0));
  world.now = 1_600;
  expect(window.settlesEnd(true)).toBe(false);
  world.now = 1_900;
  expect(window.settlesEnd(true)).toBe(true);
});

test('the age gauge knows only broadcasts on the air', async () => {
  const { windows, say } = build();
  const window = await windows.open(LIVE_CONTENT);
  say(entriesOf(1, 0, 0));
  expect(windows.oldestSegmentAgeS()).toBe(0);
  window.isOnAir = true;
  expect(windows.oldestSegmentAgeS()).toBeCloseTo((Date.now() - pdtOf(0)) / 1_000 - 2, 0);
});

test('close ends every follow, twice without harm', async () => {
  const { world, windows } = build();
  await windows.start();
  await windows.open(LIVE_CONTENT);
  await windows.close();
  await windows.close();
  expect(world.stops).toBe(1);
});
