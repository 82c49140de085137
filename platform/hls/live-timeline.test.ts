// The held timeline: whatever the order and repetition in which entries come, it holds the same and never steps back.
import { expect, test } from 'vitest';
import { A0, blockOf, entriesOf, pdtOf, segmentEntries, V360, video360 } from '../../test/support/timelines.ts';
import type { TimelineEntry } from '../contract/timeline.ts';
import { LiveTimeline } from './live-timeline.ts';

/** Segments held beyond the window at most: answers as of a place before the newest list them. */
const SLACK = 4;

const places = (timeline: LiveTimeline) => [...timeline.segments()].map((one) => `${one.epoch}.${one.msn}`);
const range = (epoch: number, from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_none, index) => `${epoch}.${from + index}`);

test('a segment is held when its last part has come, with the wall clock of its first', () => {
  const timeline = new LiveTimeline(10);
  const [first, second, third] = segmentEntries({ epoch: 1, msn: 7, parts: 3 }) as [
    TimelineEntry,
    TimelineEntry,
    TimelineEntry,
  ];
  expect(timeline.accept([first, second])).toBe(true);
  expect(timeline.newest()).toBeNull();
  expect(timeline.position()).toEqual({ epoch: 1, msn: 7, part: 1 });
  expect(timeline.accept([third])).toBe(true);
  expect(timeline.position()).toEqual({ epoch: 1, msn: 7, part: 2 });
  expect(timeline.newest()?.pdt).toBe(pdtOf(7));
  expect(timeline.newest()?.media.map((media) => media.rendition)).toEqual([V360, A0]);
});

test('the window holds the newest numbers and no more', () => {
  const timeline = new LiveTimeline(5);
  timeline.accept(entriesOf(1, 0, 20));
  expect(places(timeline).slice(-5)).toEqual(range(1, 16, 20));
  timeline.accept(entriesOf(1, 21, 500));
  expect(places(timeline).length).toBeLessThanOrEqual(5 + SLACK);
});

test('blocks read after newer entries fill in at the front', () => {
  const timeline = new LiveTimeline(100);
  timeline.accept(entriesOf(1, 36, 99));
  expect(timeline.lateCount()).toBe(0);
  expect(timeline.acceptBlock(blockOf(entriesOf(1, 30, 59)))).toBe(false);
  expect(timeline.acceptBlock(blockOf(entriesOf(1, 0, 29)))).toBe(false);
  expect(places(timeline)).toEqual(range(1, 0, 99));
  expect(timeline.lateCount()).toBe(36);
  expect(timeline.position()).toEqual({ epoch: 1, msn: 99, part: 3 });
});

test('blocks alone make a timeline; a segment is the same from either', () => {
  const [fromBlock, fromEntries] = [new LiveTimeline(100), new LiveTimeline(100)];
  const entries = [
    ...entriesOf(1, 0, 3),
    ...segmentEntries({ epoch: 1, msn: 4, renditions: [], gap: true }),
    ...entriesOf(1, 5, 6),
  ];
  expect(fromBlock.acceptBlock(blockOf(entries))).toBe(true);
  fromEntries.accept(entries);
  expect(fromBlock.position()).toEqual(fromEntries.position());
  expect([...fromBlock.segments()]).toEqual([...fromEntries.segments()]);
});

test('parts are held of the segments near the edge', () => {
  const timeline = new LiveTimeline(100);
  timeline.accept(entriesOf(1, 0, 40));
  expect(timeline.partsOf(40).map(({ part }) => part)).toEqual([0, 1, 2, 3]);
  expect(timeline.partsOf(34)).toHaveLength(4);
  expect(timeline.partsOf(20)).toEqual([]);
  expect(timeline.segmentAt(20)?.msn).toBe(20);
});

test('runs begin at fixed places, so that what is in front may leave and come without touching them', () => {
  const timeline = new LiveTimeline(100);
  timeline.accept([...entriesOf(1, 10, 69), ...entriesOf(2, 70, 95)]);
  expect(timeline.runs().map((run) => [run.epoch, run.segments[0]?.msn, run.segments.length])).toEqual([
    [1, 10, 20],
    [1, 30, 30],
    [1, 60, 10],
    [2, 70, 20],
    [2, 90, 6],
  ]);
});

test('a first segment without its first part waits for the block that has it', () => {
  const timeline = new LiveTimeline(10);
  const [, ...tail] = segmentEntries({ epoch: 1, msn: 5, parts: 4 });
  timeline.accept([...tail, ...entriesOf(1, 6, 8)]);
  expect(places(timeline)).toEqual(range(1, 6, 8));
  timeline.acceptBlock(blockOf(segmentEntries({ epoch: 1, msn: 5, parts: 4 })));
  expect(places(timeline)).toEqual(range(1, 5, 8));
});

test('any order with repetitions gives the same segments', () => {
  const entries = [...entriesOf(1, 0, 5), ...entriesOf(2, 6, 12)];
  const straight = new LiveTimeline(9);
  straight.accept(entries);
  for (let seed = 1; seed <= 50; seed += 1) {
    const timeline = new LiveTimeline(9);
    timeline.accept(shuffled([...entries, ...entries], seed));
    expect(places(timeline)).toEqual(places(straight));
  }
});

test('an emptied and re-seeded timeline takes nothing back', () => {
  const timeline = new LiveTimeline(10);
  timeline.accept(entriesOf(1, 0, 9));
  expect(timeline.accept(entriesOf(1, 0, 4))).toBe(false);
  expect(timeline.position()).toEqual({ epoch: 1, msn: 9, part: 3 });
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
  expect([...timeline.segments()].map((one) => [one.isGap, one.media.length])).toEqual([
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
