// How fast a viewer behind live plays.
import { describe, expect, it } from 'vitest';
import { catchUpSpeed, type LivePlace } from './live-catch-up.ts';

const place = (changes: Partial<LivePlace> = {}): LivePlace => ({
  latencyS: 2,
  targetS: 1,
  bufferedS: 1.5,
  stepS: 0.35,
  ageS: 0.2,
  speed: 1,
  ...changes,
});

describe('catchUpSpeed', () => {
  it.each([
    [0.9, 1],
    [1, 1],
    [1.14, 1],
    [1.16, 1.05],
    [1.25, 1.1],
    [1.5, 1.2],
    [9, 1.2],
  ])('at %d s behind, with 1 s wanted: %d', (latencyS, speed) =>
    expect(catchUpSpeed(place({ latencyS }), 1.2)).toBe(speed),
  );
  it('ends nearer to the target than it begins', () => {
    expect(catchUpSpeed(place({ latencyS: 1.1 }), 1.2)).toBe(1);
    expect(catchUpSpeed(place({ latencyS: 1.1, speed: 1.05 }), 1.2)).toBe(1.05);
    expect(catchUpSpeed(place({ latencyS: 1.02, speed: 1.05 }), 1.2)).toBe(1);
  });
  it('goes no faster than allowed', () => {
    expect(catchUpSpeed(place({ latencyS: 9 }), 1.3)).toBe(1.3);
    expect(catchUpSpeed(place({ latencyS: 9 }), 1)).toBe(1);
  });
  it('does not empty a small buffer', () => {
    expect(catchUpSpeed(place({ bufferedS: 0.4 }), 1.2)).toBe(1);
    expect(catchUpSpeed(place({ bufferedS: 0.45 }), 1.2)).toBe(1.2);
    expect(catchUpSpeed(place({ bufferedS: 2, stepS: 2 }), 1.2)).toBe(1);
  });
  it('does not hurry towards media that is overdue', () => {
    expect(catchUpSpeed(place({ ageS: 0.6 }), 1.2)).toBe(1.2);
    expect(catchUpSpeed(place({ ageS: 0.7 }), 1.2)).toBe(1);
  });
});
