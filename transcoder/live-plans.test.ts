import { expect, test } from 'vitest';
import type { TimelineEntry } from '../platform/contract/timeline.ts';
import {
  broadcastOf,
  entriesOf,
  epochOf,
  LIVE_CONTENT,
  pdtOf,
  segmentEntries,
  V360,
  video360,
  WRITER,
} from '../test/support/timelines.ts';
import { frameAt } from './live-grid.ts';
import { EpochPlanner } from './live-plans.ts';

const record = broadcastOf();
/** Ticks of a frame. */
const TICKS = 3_000;

function plannerAfter(entries: TimelineEntry[]): EpochPlanner {
  const last = entries.at(-1) ?? null;
  const history = { entries: () => [...entries], lastEntry: () => last, head: last, nextMsn: 0 };
  const storage = { read: () => Promise.reject(new Error('nothing is stored')) };
  const options = { content: LIVE_CONTENT, preset: 'ultrafast', maxRungs: 1 };
  return new EpochPlanner(options, { storage, history });
}
const clockAfter = (entries: TimelineEntry[]): number => plannerAfter(entries).clockAtEnd(record);

/** One closed segment of so many frames, the last of them in a part of its own. */
function closedAfter(frames: number, msn = 3): TimelineEntry[] {
  const part = (last: boolean, tfdt: number, duration: number): TimelineEntry => {
    const [entry] = segmentEntries({ epoch: 1, msn, renditions: [video360], parts: 1 });
    const media = { writer: WRITER, bytes: 1, sha256: '00', tfdt: tfdt * TICKS, duration: duration * TICKS };
    if (entry === undefined) throw new Error('no entry');
    return { ...entry, part: last ? 1 : 0, last, renditions: { [V360]: { ...media, independent: !last } } };
  };
  const from = msn * 60;
  return [part(false, from, frames - 1), part(true, from + frames - 1, 1)];
}

test('the clock at the end is that of the last part and its length', () => {
  expect(clockAfter([])).toBe(0);
  expect(clockAfter(entriesOf(1, 0, 4))).toBe(pdtOf(5));
  expect(clockAfter(segmentEntries({ epoch: 1, msn: 0 }).slice(0, 3))).toBe(pdtOf(0) + 1_500);
});

test('an entry that only closes a segment left open does not turn the clock back', () => {
  const open = segmentEntries({ epoch: 1, msn: 7 }).slice(0, 2);
  const [, last] = open;
  const renditions = Object.entries(last?.renditions ?? {}).map(([name, part]) => [name, { ...part, duration: 0 }]);
  const closing = { ...last, part: 2, last: true, renditions: Object.fromEntries(renditions) } as TimelineEntry;
  expect(clockAfter([...open, closing])).toBe(pdtOf(7) + 1_000);
});

test('a gap is as long as its part on the grid; what is of no known epoch does not count', () => {
  const [gap] = segmentEntries({ epoch: 1, msn: 3, gap: true });
  expect(clockAfter([...entriesOf(1, 0, 2), ...(gap === undefined ? [] : [gap])])).toBe(pdtOf(3) + 500);
  expect(clockAfter([...entriesOf(1, 0, 2), ...entriesOf(9, 3, 3)])).toBe(pdtOf(3));
});

test('a whole segment is followed by the next one of its epoch', () => {
  const start = plannerAfter(closedAfter(60)).resumeStart(record);
  expect(start.resume?.msn).toBe(4);
  expect(start.place).toEqual({ session: 'session0000000001', ts: 8_000 - 250 });
});

test('a segment that was closed before its time is followed by a new epoch that leaves nothing out', () => {
  for (const frames of [10, 59]) {
    const start = plannerAfter(closedAfter(frames)).resumeStart(record);
    expect(start.resume).toBeNull();
    expect(start.shown?.ts).toBeCloseTo(6_000 + (frames * 1_000) / 30 - 1_000 / 60, 3);
  }
});

test.each([0, 7, 16, 17, 21, 33, 50])(
  'publisher clock %i ms beside the grid: no frame is left out and none shown twice',
  (ts0) => {
    const fps = { num: 30, den: 1 };
    const of = broadcastOf({ epochs: [{ ...epochOf(1, 0, [video360]), ts0 }] });
    const firstFrame = frameAt(ts0, fps);
    for (const count of [1, 17, 207]) {
      const [entry] = closedAfter(2, 0);
      const media = { writer: WRITER, bytes: 1, sha256: '00', independent: true, tfdt: firstFrame * TICKS };
      const part = { ...media, duration: count * TICKS };
      const shown = plannerAfter(
        entry === undefined ? [] : [{ ...entry, last: true, renditions: { [V360]: part } }],
      ).freshStart(of).shown;
      const timeOf = (index: number) => Math.round(ts0 + (index * 1_000) / 30);
      expect(timeOf(count - 1)).toBeLessThan(shown?.ts ?? 0);
      expect(timeOf(count)).toBeGreaterThanOrEqual(shown?.ts ?? Number.POSITIVE_INFINITY);
    }
  },
);
