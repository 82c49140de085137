// Texts for people.
import { describe, expect, it } from 'vitest';
import {
  embedCode,
  formatAge,
  formatBitrate,
  formatBytes,
  formatDuration,
  formatRenditions,
  parseSeconds,
  plural,
} from './format.ts';

describe('format', () => {
  it.each([
    ['90', 90],
    ['1:30', 90],
    ['1:02:03', 3_723],
    [' 12.5 ', 12.5],
    ['0:00', 0],
    ['', null],
    ['-5', null],
    ['1:75', null],
    ['soon', null],
  ])('time %j -> %s', (text, seconds) => expect(parseSeconds(text)).toBe(seconds));

  it('renditions in words', () => {
    expect(formatRenditions(['v720', 'v240', 'a0', 'a1'])).toBe('720p, 240p, audio');
    expect(formatRenditions([])).toBe('');
  });

  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1_500, '1.5 kB'],
    [999_600, '1.0 MB'],
    [123_456_789, '123 MB'],
    [2.5e12, '2.5 TB'],
    [null, ''],
  ])('size %s -> %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text));

  it.each([
    [0, ''],
    [640_000, '640 kbit/s'],
    [2_540_000, '2.5 Mbit/s'],
  ])('bit rate %s -> %s', (bps, text) => expect(formatBitrate(bps)).toBe(text));

  it.each([
    [75, '1:15'],
    [3_725, '1:02:05'],
    [null, ''],
  ])('duration %s -> %s', (seconds, text) => expect(formatDuration(seconds)).toBe(text));

  it.each([
    [5, '5 s'],
    [61, '1 min'],
    [7_300, '2 h'],
    [400_000, '4 days'],
  ])('age %s s -> %s', (seconds, text) => expect(formatAge(0, seconds * 1_000)).toBe(text));

  it('counts in words', () => expect([plural(1, 'viewer'), plural(2, 'viewer')]).toEqual(['1 viewer', '2 viewers']));

  it('escapes a title inside the embed code', () => {
    const code = embedCode('http://localhost:8080/embed/x', 'A "b" <c> & d');
    expect(code).toContain('title="A &quot;b&quot; &lt;c> &amp; d"');
    expect(code).toContain('src="http://localhost:8080/embed/x"');
  });
});
