// Places on the seek bar, and the words for them.
import { describe, expect, it } from 'vitest';
import { keyTarget, placeLabel, ratioAt, type SeekRange, spokenPlace, spokenTime, timeAt } from './seek-scale.ts';

const live: SeekRange = { startS: 100, endS: 43_300, isLive: true };
const video: SeekRange = { startS: 0, endS: 600, isLive: false };

describe('the seek bar', () => {
  it('maps times to places and back', () => {
    expect(ratioAt(100, live)).toBe(0);
    expect(ratioAt(21_700, live)).toBe(0.5);
    expect(ratioAt(50_000, live)).toBe(1);
    expect(timeAt(0.5, live)).toBe(21_700);
    expect(timeAt(2, video)).toBe(600);
    expect(ratioAt(5, { startS: 5, endS: 5, isLive: true })).toBe(1);
  });
  it.each([
    [43_300, 'Live', 'live'],
    [43_299.8, 'Live', 'live'],
    [43_217, '-1:23', '1 minute 23 seconds behind live'],
    [100, '-12:00:00', '12 hours behind live'],
  ])('names %d s of a live', (time, label, spoken) => {
    expect(placeLabel(time, live)).toBe(label);
    expect(spokenPlace(time, live)).toBe(spoken);
  });
  it('names moments of a video', () => {
    expect(placeLabel(83, video)).toBe('1:23');
    expect(spokenPlace(83, video)).toBe('1 minute 23 seconds of 10 minutes');
    expect(spokenTime(0)).toBe('0 seconds');
    expect(spokenTime(3_661)).toBe('1 hour 1 minute 1 second');
  });
  it.each([
    ['ArrowLeft', 295],
    ['ArrowRight', 305],
    ['ArrowUp', 305],
    ['ArrowDown', 295],
    ['PageDown', 240],
    ['PageUp', 360],
    ['Home', 0],
    ['End', 600],
    ['x', null],
  ])('%s takes 300 s to %s', (key, target) => expect(keyTarget(key, 300, video)).toBe(target));
  it('stays inside of the range', () => {
    expect(keyTarget('ArrowLeft', 2, video)).toBe(0);
    expect(keyTarget('PageUp', 590, video)).toBe(600);
  });
});
