import { expect, test } from 'vitest';
import type { TimelineEntry } from '../platform/contract/timeline.ts';
import { broadcastOf, entriesOf, LIVE_CONTENT, pdtOf, segmentEntries } from '../test/support/timelines.ts';
import { EpochPlanner } from './live-plans.ts';

const record = broadcastOf();

function clockAfter(entries: TimelineEntry[]): number {
  const last = entries.at(-1) ?? null;
  const history = { entries: () => [...entries], lastEntry: () => last, head: last, nextMsn: 0 };
  const storage = { read: () => Promise.reject(new Error('nothing is stored')) };
  const options = { content: LIVE_CONTENT, preset: 'ultrafast', maxRungs: 1 };
  return new EpochPlanner(options, { storage, history }).clockAtEnd(record);
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
