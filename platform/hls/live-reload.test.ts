// Delivery directives: what is understood, which place an answer shows, what is too far ahead.
import { describe, expect, test } from 'vitest';
import { entriesOf, segmentEntries } from '../../test/support/timelines.ts';
import { advanceParts, isTooFar, newestPlace, parseDirectives, reloadPlace } from './live-reload.ts';
import { LiveTimeline } from './live-timeline.ts';

const parse = (query: string) => parseDirectives((name) => new URLSearchParams(query).get(name));

test.each([
  ['', { reload: null, isDelta: false }],
  ['_HLS_msn=7', { reload: { msn: 7, part: null }, isDelta: false }],
  ['_HLS_msn=7&_HLS_part=0', { reload: { msn: 7, part: 0 }, isDelta: false }],
  ['_HLS_msn=7&_HLS_part=2&_HLS_skip=YES', { reload: { msn: 7, part: 2 }, isDelta: true }],
  ['_HLS_skip=v2', { reload: null, isDelta: true }],
  ['_HLS_push=1', { reload: null, isDelta: false }],
  ['_HLS_part=2', null],
  ['_HLS_msn=-1', null],
  ['_HLS_msn=x', null],
  ['_HLS_msn=', null],
  ['_HLS_msn=1e3', null],
  ['_HLS_msn=7&_HLS_part=1.5', null],
  ['_HLS_skip=no', null],
])('%s', (query, expected) => {
  expect(parse(query)).toEqual(expected);
});

describe('the place of a reload', () => {
  const timeline = new LiveTimeline(60);
  // Segments 0 to 8 of four parts; 9 and 10 that no segment took; 11 to 13 of epoch 2; two parts of 14.
  timeline.accept([
    ...entriesOf(1, 0, 8),
    ...entriesOf(2, 11, 13),
    ...segmentEntries({ epoch: 2, msn: 14, parts: 4 }).slice(0, 2),
  ]);
  test.each([
    [14, 1, '2.14.1', null],
    [14, 2, null, null],
    [14, null, null, null],
    [15, 0, null, null],
    [13, 0, '2.13.0', '2.13.3'],
    [13, 3, '2.13.3', '2.13.3'],
    [13, 4, '2.14.0', '2.13.3'],
    [13, null, '2.13.3', '2.13.3'],
    [12, 9, '2.13.0', '2.12.3'],
    [11, 0, '2.11.0', '2.11.3'],
    // Numbers that nobody took are listed with the segment after them.
    [10, null, '2.14.1', '2.11.3'],
    // More than three segments behind: as of now.
    [8, 1, '2.14.1', '2.13.3'],
    [0, null, '2.14.1', '2.13.3'],
  ])('_HLS_msn=%s&_HLS_part=%s', (msn, part, withParts, plain) => {
    const text = (hasParts: boolean) => {
      const place = reloadPlace(timeline, { msn, part }, hasParts);
      return place === null ? null : `${place.epoch}.${place.msn}.${place.part}`;
    };
    expect(text(true)).toBe(withParts);
    expect(text(false)).toBe(plain);
  });
  test('a number that nobody took, near the edge', () => {
    const near = new LiveTimeline(60);
    near.accept([...entriesOf(1, 0, 8), ...entriesOf(2, 11, 11)]);
    expect(reloadPlace(near, { msn: 10, part: null }, true)).toEqual({ epoch: 2, msn: 11, part: 0 });
    expect(reloadPlace(near, { msn: 10, part: 3 }, true)).toEqual({ epoch: 2, msn: 11, part: 0 });
    expect(reloadPlace(near, { msn: 10, part: null }, false)).toEqual({ epoch: 2, msn: 11, part: 3 });
  });
  test('an empty timeline has none', () => {
    expect(reloadPlace(new LiveTimeline(60), { msn: 0, part: 0 }, true)).toBeNull();
    expect(newestPlace(new LiveTimeline(60), true)).toBeNull();
  });
  test('the newest is a part, or the end of a segment where playlists have none', () => {
    expect(newestPlace(timeline, true)).toEqual({ epoch: 2, msn: 14, part: 1 });
    expect(newestPlace(timeline, false)).toEqual({ epoch: 2, msn: 13, part: 3 });
  });
});

test.each([
  [0.215, 14],
  [0.35, 9],
  [0.52, 6],
  [1.5, 3],
])('part target %s: %s parts ahead', (target, expected) => {
  expect(advanceParts(target)).toBe(expected);
});

test.each([
  [{ msn: 12, part: null }, false, false],
  [{ msn: 13, part: null }, true, true],
  [{ msn: 10, part: 7 }, false, false],
  [{ msn: 10, part: 8 }, true, false],
  [{ msn: 11, part: 5 }, false, false],
  [{ msn: 11, part: 6 }, true, false],
  [{ msn: 9, part: 99 }, false, false],
])('newest 10.1, asked for %j: too far %s, without parts %s', (reload, withParts, plain) => {
  const newest = { epoch: 1, msn: 10, part: 1 };
  expect(isTooFar(newest, reload, 0.52)).toBe(withParts);
  expect(isTooFar(newest, reload, null)).toBe(plain);
});
