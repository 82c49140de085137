// Texts for people.
import { describe, expect, it } from 'vitest';
import { formatAgo, formatDuration } from './format.ts';

describe('formatDuration', () => {
  it.each([
    [0, '0:00'],
    [9.6, '0:10'],
    [75, '1:15'],
    [3_599.7, '1:00:00'],
    [3_725, '1:02:05'],
    [null, ''],
    [Number.NaN, ''],
  ])('%s -> %s', (seconds, text) => expect(formatDuration(seconds)).toBe(text));
});

describe('formatAgo', () => {
  it.each([
    [30, 'just now'],
    [60, '1 minute ago'],
    [3_599, '59 minutes ago'],
    [7_200, '2 hours ago'],
    [86_400 * 3, '3 days ago'],
    [86_400 * 800, '2 years ago'],
  ])('%s s -> %s', (seconds, text) => expect(formatAgo(0, seconds * 1_000)).toBe(text));
});
