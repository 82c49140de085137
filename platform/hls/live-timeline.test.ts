// The held timeline: whatever the order and repetition in which entries come, it holds the same and never steps back.
import { expect, test } from 'vitest';
import { A0, entriesOf, pdtOf, segmentEntries, V360, video360 } from '../../test/support/timelines.ts';
import type { TimelineEntry } from '../contract/timeline.ts';
import { LiveTimeline } from './live-timeline.ts';

const places = (timeline: LiveTimeline) => timeline.segments().map((one) => `${one.epoch}.${one.msn}`);
const range = (epoch: number, from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_none, index) => `${epoch}.${from + index}`);

test('a segment is held when its last part has come, with the wall clock of its first', () => {
  const timeline = new LiveTimeline(10);
  const [first, second, third] = segmentEntries({ epoch: 1, msn: 7, parts: 3 }) as [
    TimelineEntry,
    TimelineEntry,
    TimelineEntry,
  ];
  expect(timeline.accept([first, second])).toBe(0);
  expect(timeline.position()).toBeNull();
  expect(timeline.accept([third])).toBe(1);
  expect(timeline.position()).toEqual({ epoch: 1, msn: 7, part: 2 });
  expect(timeline.newest()?.pdt).toBe(pdtOf(7));
  expect([...(timeline.newest()?.media.keys() ?? [])]).toEqual([V360, A0]);
});

test('the window holds the newest numbers and no more', () => {
  const timeline = new LiveTimeline(5);
  timeline.accept(entriesOf(1, 0, 20));
  expect(places(timeline)).toEqual(range(1, 16, 20));
});

test('blocks read after newer entries fill in at the front', () => {
  const timeline = new LiveTimeline(10);
  timeline.accept(entriesOf(1, 6, 9));
  timeline.accept(entriesOf(1, 0, 7));
  expect(places(timeline)).toEqual(range(1, 0, 9));
});

test('a first segment without its first part waits for the block that has it', () => {
  const timeline = new LiveTimeline(10);
  const [, ...tail] = segmentEntries({ epoch: 1, msn: 5, parts: 4 });
  timeline.accept([...tail, ...entriesOf(1, 6, 8)]);
  expect(places(timeline)).toEqual(range(1, 6, 8));
  timeline.accept(segmentEntries({ epoch: 1, msn: 5, parts: 4 }));
  expect(places(timeline)).toEqual(range(1, 5, 8));
});

test('any order with repetitions gives the same segments', () => {
  const entries = [...entriesOf(1, 0, 5), ...entriesOf(2, 6, 12)];
  const straight = new LiveTimeline(9);
  straight.accept(entries);
  for (let seed = 1; seed <= 50; seed += 1) {
    const timeline = new LiveTimeline(9);
    for (const entry of shuffled([...entries, ...entries], seed)) timeline.accept([entry]);
    expect(places(timeline)).toEqual(places(straight));
  }
});

test('an emptied and re-seeded timeline takes nothing back', () => {
  const timeline = new LiveTimeline(10);
  timeline.accept(entriesOf(1, 0, 9));
  expect(timeline.accept(entriesOf(1, 0, 4))).toBe(0);
  expect(timeline.position()).toEqual({ epoch: 1, msn: 9, part: 1 });
  expect(places(timeline)).toEqual(range(1, 0, 9));
});

test('a new epoch never takes a number that has been given away', () => {
  const timeline = new LiveTimeline(20);
  timeline.accept(entriesOf(1, 0, 9));
  timeline.accept(entriesOf(2, 7, 11));
  expect(places(timeline)).toEqual([...range(1, 0, 9), ...range(2, 10, 11)]);
});

test('a segment that another epoch began but never closed goes to the epoch that closes it', () => {
  const timeline = new LiveTimeline(20);
  const [opened] = segmentEntries({ epoch: 1, msn: 3 });
  timeline.accept([...entriesOf(1, 0, 2), ...(opened ? [opened] : []), ...entriesOf(2, 3, 4)]);
  expect(places(timeline)).toEqual([...range(1, 0, 2), ...range(2, 3, 4)]);
});

test('a gap has no media', () => {
  const timeline = new LiveTimeline(20);
  timeline.accept(segmentEntries({ epoch: 1, msn: 0, renditions: [], gap: true, parts: 1 }));
  timeline.accept(segmentEntries({ epoch: 1, msn: 1, renditions: [video360] }));
  expect(timeline.segments().map((one) => [one.isGap, one.media.size])).toEqual([
    [true, 0],
    [false, 1],
  ]);
});

/** A repeatable shuffle. */
function shuffled<T>(items: T[], seed: number): T[] {
  let state = seed;
  const keyed = items.map((item) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return { item, key: state };
  });
  return keyed.sort((a, b) => a.key - b.key).map(({ item }) => item);
}
