// What an answer must not lie behind, per kind of question; how long an origin may hold one back.
import { describe, expect, it } from 'vitest';
import { isExact, LiveEdges } from './live-edges.ts';

const PLAIN = null;

describe('a plain answer', () => {
  it('behind what any answer showed of the content is behind, in whatever part it is lower', () => {
    const live = new LiveEdges();
    live.note('k', '2.10.3', 2, 0);
    for (const lower of ['2.10.2', '2.9.9', '1.99.99']) expect(live.isBehind('k', PLAIN, lower, 1)).toBe(true);
    for (const fine of ['2.10.3', '2.10.4', '2.11.0', '3.0.0']) expect(live.isBehind('k', PLAIN, fine, 1)).toBe(false);
  });

  it('is not judged by other contents, absent positions and nonsense', () => {
    const live = new LiveEdges();
    live.note('k', '2.10.3', 2, 0);
    expect(live.isBehind('other', PLAIN, '1.0.0', 1)).toBe(false);
    expect(live.isBehind('k', PLAIN, undefined, 1)).toBe(false);
    expect(live.isBehind('k', PLAIN, 'x', 1)).toBe(false);
  });

  it('that is older is believed when nothing newer came for 12 s', () => {
    const live = new LiveEdges();
    live.note('k', '2.10.3', 2, 0);
    live.note('k', '2.9.0', 2, 11_000);
    expect(live.isBehind('k', PLAIN, '2.0.0', 12_000)).toBe(true);
    expect(live.isBehind('k', PLAIN, '2.0.0', 12_001)).toBe(false);
  });

  it('does not fall behind because a late viewer was shown an older place', () => {
    const live = new LiveEdges();
    live.note('k', '2.10.3', 2, 0);
    live.note('k', '2.8.0', 2, 1);
    expect(live.isBehind('k', PLAIN, '2.10.2', 2)).toBe(true);
  });

  it('of a finished playlist ends the guard', () => {
    const live = new LiveEdges();
    live.note('k', '2.10.3', 2, 0);
    live.note('k', undefined, 2, 1);
    expect(live.isLive('k', 1)).toBe(false);
    expect(live.isBehind('k', PLAIN, '2.0.0', 1)).toBe(false);
  });
});

describe('an answer to a place asked for', () => {
  const behind = (position: string, msn: number, part: number | null): boolean => {
    const live = new LiveEdges();
    live.note('k', '2.20.3', 2, 0);
    return live.isBehind('k', { msn, part }, position, 1);
  };

  it('is judged by that place alone: older than what others saw is right', () => {
    expect(behind('2.18.1', 18, 1)).toBe(false);
    expect(behind('1.18.1', 18, 1)).toBe(false);
    expect(behind('2.18.3', 18, null)).toBe(false);
    expect(behind('2.19.0', 18, 9)).toBe(false);
  });

  it('is behind when it shows less', () => {
    expect(behind('2.18.0', 18, 1)).toBe(true);
    expect(behind('3.17.9', 18, 0)).toBe(true);
    expect(behind('3.17.9', 18, null)).toBe(true);
  });
});

describe('a place', () => {
  it('is known to be there from any rendition, whole segments once the next has begun', () => {
    const live = new LiveEdges();
    expect(live.hasShown('k', { msn: 1, part: 0 }, 0)).toBe(false);
    live.note('k', '2.20.3', 2, 0);
    expect(live.hasShown('k', { msn: 20, part: 3 }, 1)).toBe(true);
    expect(live.hasShown('k', { msn: 20, part: 4 }, 1)).toBe(false);
    expect(live.hasShown('k', { msn: 20, part: null }, 1)).toBe(false);
    expect(live.hasShown('k', { msn: 19, part: null }, 1)).toBe(true);
  });

  it('is shown exactly by itself and by the part that stands in for one beyond a segment’s last', () => {
    expect(isExact({ msn: 7, part: 2 }, '1.7.2')).toBe(true);
    expect(isExact({ msn: 7, part: 9 }, '1.8.0')).toBe(true);
    expect(isExact({ msn: 7, part: null }, '1.7.3')).toBe(true);
    expect(isExact({ msn: 7, part: 2 }, '1.30.0')).toBe(false);
    expect(isExact({ msn: 7, part: 2 }, undefined)).toBe(false);
  });
});

describe('the longest wait for news', () => {
  it('is three target durations and two seconds, and less than a connection may idle', () => {
    const live = new LiveEdges();
    expect(live.holdMs('k', 0)).toBe(8_000);
    live.note('k', '1.0.0', 4, 0);
    expect(live.holdMs('k', 1)).toBe(14_000);
    live.note('k', '1.0.1', null, 2);
    expect(live.holdMs('k', 3)).toBe(14_000);
    live.note('k', '1.0.2', 10, 4);
    expect(live.holdMs('k', 5)).toBe(28_000);
  });

  it('holds no more than 10,000 contents', () => {
    const live = new LiveEdges();
    for (let i = 0; i < 10_001; i += 1) live.note(`k${i}`, '1.1.1', 2, 0);
    expect(live.isLive('k0', 1)).toBe(false);
    expect(live.isLive('k10000', 1)).toBe(true);
  });
});
