// Gap entries: when each is named, how segments close, and what follows when media comes back.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { EpochInfo } from '../platform/contract/records.ts';
import type { TimelineEntry } from '../platform/contract/timeline.ts';
import { fakeWait } from '../test/support/fake-wait.ts';
import { epochOf } from '../test/support/timelines.ts';
import type { UnsignedEntry } from './live-append.ts';
import { LiveGaps } from './live-gaps.ts';

const START = 1_000_000;
const info = epochOf(2, 0, []);
const entryBefore = (changes: Partial<TimelineEntry> = {}): TimelineEntry => ({
  version: 1,
  term: 1,
  epoch: 2,
  msn: 7,
  part: 1,
  pdt: START - 500,
  gap: false,
  last: true,
  src: 'store',
  renditions: {},
  ...changes,
});

let named: UnsignedEntry[];
let gaps: LiveGaps;
const places = () => named.map(({ msn, part, last }) => `${msn}.${part}${last ? '!' : ''}`);
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

beforeEach(() => {
  vi.useFakeTimers({ now: START });
  named = [];
  gaps = new LiveGaps({ addGap: (entry) => void named.push(entry), now: Date.now, wait: fakeWait });
});
afterEach(async () => {
  await gaps.stop();
  vi.useRealTimers();
});

describe('LiveGaps', () => {
  test('each part is named when the next one is over, on the grid of the epoch', async () => {
    gaps.begin({ info, after: entryBefore(), fromMs: START });
    await pass(950);
    expect(named).toEqual([]);
    await pass(100);
    expect(named).toEqual([
      { version: 1, epoch: 2, msn: 8, part: 0, pdt: START, gap: true, last: false, src: 'store', renditions: {} },
    ]);
    await pass(2_500);
    expect(places()).toEqual(['8.0', '8.1', '8.2', '8.3!', '9.0', '9.1']);
    expect(named.map((entry) => entry.pdt - START)).toEqual([0, 500, 1_000, 1_500, 2_000, 2_500]);
  });

  test('what has passed already is named at once', async () => {
    gaps.begin({ info, after: entryBefore(), fromMs: START - 2_000 });
    await pass(10);
    expect(places()).toEqual(['8.0', '8.1', '8.2']);
  });

  test('media that comes holds them back, and the last one closes its segment', async () => {
    gaps.begin({ info, after: entryBefore(), fromMs: START });
    await pass(1_300);
    gaps.hold(Date.now());
    await pass(5_000);
    expect(places()).toEqual(['8.0']);
    await gaps.close();
    expect(places()).toEqual(['8.0', '8.1!']);
    expect(gaps.isRunning).toBe(false);
  });

  test('media that came to nothing is forgotten', async () => {
    gaps.begin({ info, after: entryBefore(), fromMs: START });
    await pass(1_300);
    gaps.hold(Date.now());
    await pass(1_000);
    gaps.release();
    await pass(300);
    expect(places()).toEqual(['8.0', '8.1', '8.2', '8.3!'].slice(0, 4));
  });

  test('shorter than a part: no entry at all', async () => {
    gaps.begin({ info, after: entryBefore(), fromMs: START });
    await pass(400);
    await gaps.close();
    expect(named).toEqual([]);
  });

  test('a gap that another worker began goes on where it stands, and is closed even when media is there at once', async () => {
    const open = entryBefore({ gap: true, last: false, part: 2, pdt: START - 500 });
    gaps.begin({ info, after: open, fromMs: START });
    await pass(1_010);
    expect(places()).toEqual(['7.3!']);
    await gaps.stop();
    named = [];
    gaps.begin({ info, after: open, fromMs: START });
    gaps.hold(0);
    await gaps.close();
    expect(places()).toEqual(['7.3!']);
  });

  test('stopped: nothing more, the next worker goes on', async () => {
    gaps.begin({ info, after: entryBefore(), fromMs: START });
    await pass(1_100);
    await gaps.stop();
    await pass(5_000);
    expect(places()).toEqual(['8.0']);
  });

  test.each([
    { partTarget: 0.35, target: 2, parts: 5, partMs: 350 },
    { partTarget: null, target: 4, parts: 1, partMs: 4_000 },
  ])(
    'pass-through with parts of $partTarget and segments of $target s',
    async ({ partTarget, target, parts, partMs }) => {
      const copy: EpochInfo = {
        ...info,
        grid: 'copy',
        part_target: partTarget,
        target_duration: target,
        part_frames: 0,
      };
      gaps.begin({ info: copy, after: entryBefore(), fromMs: START });
      await pass((parts + 1) * partMs + 20);
      expect(named.map((entry) => entry.pdt - START)).toEqual(Array.from({ length: parts }, (_, i) => i * partMs));
      expect(named.at(-1)?.last).toBe(true);
    },
  );
});
