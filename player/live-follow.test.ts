// Who follows live, where a place that left the window goes, and where a gap ends.
import { describe, expect, it } from 'vitest';
import { gapExit, inWindow, isNearEdge, rescue, type Stretch, stretchesOf } from './live-follow.ts';

const window = { startS: 100, edgeS: 160, targetS: 159 };

describe('places in the live window', () => {
  it.each([
    [159, true],
    [156.5, true],
    [155.9, false],
    [100, false],
  ])('at %d s follows live: %s', (place, follows) => expect(isNearEdge(place, window)).toBe(follows));

  it.each([
    [120, 120],
    [170, 159],
    [90, 102],
    [100.5, 102],
  ])('%d s is played at %d s', (wanted, place) => expect(inWindow(wanted, window)).toBe(place));

  it('keeps inside of a window that is shorter than its margin', () => {
    expect(inWindow(0, { startS: 100, edgeS: 101.5, targetS: 101 })).toBe(101);
  });

  it('moves only a place that is gone, and not to live', () => {
    expect(rescue(100, window)).toBeNull();
    expect(rescue(130, window)).toBeNull();
    expect(rescue(99.9, window)).toBe(102);
  });
});

const media = (startS: number, endS: number): Stretch => ({ startS, endS, isGap: false });
const gap = (startS: number, endS: number): Stretch => ({ startS, endS, isGap: true });

describe('gapExit', () => {
  const stretches = [media(0, 2), media(2, 4), gap(4, 6), gap(6, 8), media(8, 8.3), media(8.3, 8.6)];

  it.each([3.8, 4, 5, 7.9])('takes a viewer at %d s to the media after the gap', (place) =>
    expect(gapExit(place, stretches)).toBe(8),
  );
  it.each([1, 3, 8, 8.5])('leaves a viewer at %d s alone', (place) => expect(gapExit(place, stretches)).toBeNull());
  it('has no exit while the gap lasts, or without one', () => {
    expect(gapExit(4, stretches.slice(0, 4))).toBeNull();
    expect(gapExit(4, [media(0, 2), media(2, 4)])).toBeNull();
  });
  it('looks at the last gap only', () => {
    expect(gapExit(2, [media(0, 2), gap(2, 4), media(4, 6), gap(6, 8), media(8, 10)])).toBeNull();
  });
});

describe('stretchesOf', () => {
  const segment = (sn: number, tags: string[][] = []) => ({ start: sn * 2, end: sn * 2 + 2, sn, tagList: tags });
  const part = (sn: number, start: number, isGap: boolean) => ({
    start,
    end: start + 0.5,
    gap: isGap,
    fragment: { sn },
  });

  it('lists segments, then the parts of the open one', () => {
    const fragments = [segment(1, [['INF', '2']]), segment(2, [['GAP']])];
    const partList = [part(2, 5.5, true), part(3, 6, true), part(3, 6.5, false)];
    expect(stretchesOf({ fragments, partList })).toEqual([media(2, 4), gap(4, 6), gap(6, 6.5), media(6.5, 7)]);
  });
  it('knows playlists without parts', () => {
    expect(stretchesOf({ fragments: [segment(1)], partList: null })).toEqual([media(2, 4)]);
    expect(stretchesOf({ fragments: [], partList: null })).toEqual([]);
  });
});
