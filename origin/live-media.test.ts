// Where a part of a running broadcast is, as a table: named, next, taken, too far.
import { expect, test } from 'vitest';
import type { WriterTag } from '../platform/contract/ids.ts';
import { LiveTimeline } from '../platform/hls/live-timeline.ts';
import { A0, blockOf, entriesOf, segmentEntries, V360, WRITER } from '../test/support/timelines.ts';
import { placeOfPart } from './live-media.ts';

const OTHER = 'writer0002' as WriterTag;
const REACH = 6;
const timeline = new LiveTimeline(100);
// Segments 0 to 9 from a block, 10 to 14 with their parts, 15 a gap, 16 of a later epoch and open.
timeline.acceptBlock(blockOf(entriesOf(1, 0, 9)));
timeline.accept([
  ...entriesOf(1, 10, 14).map((entry) => (entry.msn === 14 ? { ...entry, src: 'worker:node000000000000001' } : entry)),
  ...segmentEntries({ epoch: 1, msn: 15, renditions: [], gap: true }),
  ...segmentEntries({ epoch: 2, msn: 16 }).slice(0, 2),
]);

test.each([
  ['named', 1, 12, 1, WRITER, { src: 'store' }],
  ['named, on a worker', 1, 14, 1, WRITER, { src: 'worker:node000000000000001' }],
  ['the place of another writer', 1, 12, 1, OTHER, 'taken'],
  ['beyond the last of a closed segment', 1, 12, 4, WRITER, 'taken'],
  ['the place of a gap', 1, 15, 1, WRITER, 'taken'],
  ['the place of another epoch', 1, 16, 0, WRITER, 'taken'],
  ['history', 1, 4, 0, WRITER, 'unnamed'],
  ['the next part', 2, 16, 2, WRITER, null],
  ['a few parts on, as another origin may have hinted', 2, 16, 7, WRITER, null],
  ['too many parts on', 2, 16, 8, WRITER, 'ahead'],
  ['the first of the next segment', 2, 17, 0, WRITER, null],
  ['the segment after that', 2, 18, 0, WRITER, 'ahead'],
  ['the next segment of an epoch that is over', 1, 17, 0, WRITER, 'taken'],
  ['the next segment of an epoch to come', 3, 17, 0, OTHER, null],
] as const)('%s', (_name, epoch, msn, part, writer, expected) => {
  for (const rendition of [V360, A0]) {
    expect(placeOfPart(timeline, { rendition, epoch, msn, part, writer }, REACH)).toEqual(expected);
  }
});

test('of a rendition that the entry lacks', () => {
  const one = new LiveTimeline(10);
  one.accept(segmentEntries({ epoch: 1, msn: 0, renditions: [] }));
  const route = { rendition: V360, epoch: 1, msn: 0, part: 0, writer: WRITER };
  expect(placeOfPart(one, route, REACH)).toBe('taken');
});

test('nothing is known yet', () => {
  const route = { rendition: V360, epoch: 1, msn: 0, part: 0, writer: WRITER };
  expect(placeOfPart(new LiveTimeline(10), route, REACH)).toBe('ahead');
});
