// How far media can be played without a hole.
import { describe, expect, it } from 'vitest';
import { bufferedAhead, bufferedUntil } from './buffer.ts';

const RANGES = [
  [0, 4],
  [10, 15],
] as const;
const media = (currentTime: number) => ({
  currentTime,
  buffered: {
    length: RANGES.length,
    start: (index: number) => RANGES[index]?.[0] ?? 0,
    end: (index: number) => RANGES[index]?.[1] ?? 0,
  },
});

describe('buffered media', () => {
  it.each([
    [1, 4],
    [4, 4],
    [6, 6],
    [9.95, 15],
    [12, 15],
  ])('from %d s plays until %d s', (at, until) => {
    expect(bufferedUntil(media(at))).toBe(until);
    expect(bufferedAhead(media(at))).toBeCloseTo(until - at);
  });
});
