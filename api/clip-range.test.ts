// Widening to segments, and every refusal.
import { describe, expect, test } from 'vitest';
import { blockOf } from '../test/support/recorded-broadcast.ts';
import {
  entriesOf,
  epochOf,
  pdtOf,
  renditionIndexOf,
  segmentEntries,
  V360,
  video360,
} from '../test/support/timelines.ts';
import { clockSpan, rangeByClock, rangeBySeconds } from './clip-range.ts';
import { segmentsOfBlock, segmentsOfEntries, segmentsOfTables } from './segment-table.ts';

const epochs = [epochOf(1, 0)];
const table = (count: number, gaps: number[] = []) => segmentsOfBlock(1, blockOf(0, count - 1, gaps).segments, epochs);

describe('by seconds', () => {
  const cases: [string, number, number, { from: number; to: number; start: number; end: number }][] = [
    ['inside one segment', 2.5, 3, { from: 1, to: 1, start: 2, end: 4 }],
    ['on boundaries: not one segment more', 2, 6, { from: 1, to: 2, start: 2, end: 6 }],
    ['over boundaries', 1.9, 6.1, { from: 0, to: 3, start: 0, end: 8 }],
    ['all of it', 0, 20, { from: 0, to: 9, start: 0, end: 20 }],
    ['to an end that was rounded up', 18, 20.05, { from: 9, to: 9, start: 18, end: 20 }],
  ];
  test.each(cases)('%s', (_name, start, end, expected) => {
    const range = rangeBySeconds(table(10), { start, end });
    expect({ from: range.fromMsn, to: range.toMsn, ...range.real }).toEqual(expected);
    expect(range.durationS).toBe(expected.end - expected.start);
    expect(range.bytes).toBe((range.durationS / 2) * 2_000);
  });
  test('gaps take no time, as in the recording', () => {
    const range = rangeBySeconds(table(10, [2, 3]), { start: 3, end: 5 });
    expect(range).toMatchObject({ fromMsn: 1, toMsn: 4, real: { start: 2, end: 6 }, durationS: 4 });
  });
  const refused: [string, number, number, RegExp][] = [
    ['end before start', 4, 3, /^end: must be after start/],
    ['no length', 4, 4, /^end: must be after start/],
    ['before the source', -1, 3, /^start: must be between 0 and 20 s/],
    ['after the source', 20, 22, /^start: must be between 0 and 20 s/],
    ['longer than the source', 0, 21, /^end: the source is 20 s long/],
    ['not a number', Number.NaN, 3, /^end: must be after start/],
  ];
  test.each(refused)('%s is refused', (_name, start, end, words) =>
    expect(() => rangeBySeconds(table(10), { start, end })).toThrow(words),
  );
  test('nothing but gaps is refused', () =>
    expect(() => rangeBySeconds(table(2, [0, 1]), { start: 0, end: 1 })).toThrow(/nothing was recorded/));
});

describe('by wall clock', () => {
  const at = (seconds: number) => pdtOf(0) + seconds * 1_000;
  test('the span is what can be played', () => {
    expect(clockSpan(table(10, [0, 9]))).toEqual({ start: at(2), end: at(18) });
    expect(clockSpan([])).toBeNull();
  });
  test('widened to segments, real times in ms', () => {
    expect(rangeByClock(table(10), { start: at(3), end: at(7.5) })).toMatchObject({
      fromMsn: 1,
      toMsn: 3,
      real: { start: at(2), end: at(8) },
    });
  });
  test('an end at the live edge that is still to be whole means the edge', () => {
    expect(rangeByClock(table(10), { start: at(15), end: at(23) }).real).toEqual({ start: at(14), end: at(20) });
  });
  test('a gap inside is left out of length and size', () => {
    const range = rangeByClock(table(10, [4]), { start: at(6), end: at(12) });
    expect(range).toMatchObject({ fromMsn: 3, toMsn: 5, durationS: 4, bytes: 4_000 });
  });
  const refused: [string, number, number, RegExp][] = [
    ['end before start', 7, 3, /^end: must be after start/],
    ['long after the edge', 3, 40, /^end: .* is to come; the broadcast has 2023-11-14T22:13:20.000Z to/],
    ['begins at the edge', 20, 22, /^start: .* is to come/],
    ['before the broadcast', -30, 4, /^start: the clip would be longer than the broadcast|was before/],
    ['wholly before the broadcast', -30, -20, /^start: .* was before the broadcast/],
    ['longer than the broadcast', -30, 20, /^start: the clip would be longer than the broadcast/],
    ['where nobody published', 8.5, 9.5, /^nothing was recorded between/],
  ];
  test.each(refused)('%s is refused', (_name, start, end, words) =>
    expect(() => rangeByClock(table(10, [4]), { start: at(start), end: at(end) })).toThrow(words),
  );
  test('nothing yet', () =>
    expect(() => rangeByClock([], { start: at(0), end: at(1) })).toThrow(/nothing was recorded/));
});

describe('tables', () => {
  test('timeline entries make the same segments as their block; open ones are left out', () => {
    const open = segmentEntries({ epoch: 1, msn: 3 }).slice(0, 1);
    const fromEntries = segmentsOfEntries([...entriesOf(1, 0, 2), ...open], epochs);
    expect(fromEntries).toEqual(table(3));
  });
  test('a segment whose first part is not there any more is left out', () => {
    expect(segmentsOfEntries(entriesOf(1, 0, 1).slice(1), epochs).map(({ msn }) => msn)).toEqual([1]);
  });
  test('a rung that was dropped does not make a segment a gap', () => {
    const [segment] = blockOf(0, 0).segments;
    if (segment === undefined) throw new Error('no segment');
    delete segment.renditions[V360];
    expect(segmentsOfBlock(1, [segment], epochs)).toMatchObject([{ durationS: 2, gap: false, bytes: 1_000 }]);
  });
  test('uploads: boundaries of the first table, bytes of all', () => {
    const tables = [renditionIndexOf(video360), renditionIndexOf({ ...video360, timescale: 48_000 })];
    expect(segmentsOfTables(tables).map(({ durationS, bytes }) => [durationS, bytes])).toEqual([
      [6, 20],
      [6, 20],
      [3, 20],
    ]);
    expect(segmentsOfTables([])).toEqual([]);
  });
});
