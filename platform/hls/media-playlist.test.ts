// On-demand media playlists, read back by two independent parsers.
import { expect, test } from 'vitest';
import { readMedia } from '../../test/support/playlist-parsers.ts';
import { V360, WRITER } from '../../test/support/timelines.ts';
import type { RenditionIndex } from '../contract/timeline.ts';
import { vodPlaylist, writeMediaPlaylist } from './media-playlist.ts';

const indexOf = (durations: number[], timescale = 90_000): RenditionIndex => ({
  version: 1,
  rendition: V360,
  epoch: 3,
  writer: WRITER,
  timescale,
  target_duration: 6,
  segments: durations.map((duration, msn) => ({ msn, tfdt: 0, duration, bytes: 10, sha256: '00' })),
});

test('a finished rendition: VOD, one MAP, every segment, ENDLIST', () => {
  const { manifest, other } = readMedia(writeMediaPlaylist(vodPlaylist(indexOf([540_000, 540_000, 123_456]))));
  expect(manifest).toMatchObject({
    version: 6,
    playlistType: 'VOD',
    endList: true,
    mediaSequence: 0,
    targetDuration: 6,
  });
  expect(manifest.segments.map((one) => [one.uri, one.duration, one.map?.uri, one.discontinuity ?? false])).toEqual([
    [`3/s0.${WRITER}.m4s`, 6, '3/init.mp4', false],
    [`3/s1.${WRITER}.m4s`, 6, '3/init.mp4', false],
    [`3/s2.${WRITER}.m4s`, 1.371733, '3/init.mp4', false],
  ]);
  expect(other.playlistType).toBe('VOD');
  expect(other.endlist).toBe(true);
  expect(other.segments.map((one) => one.uri)).toEqual(manifest.segments.map((one) => one.uri));
});

test('an on-demand epoch is no discontinuity', () => {
  const text = writeMediaPlaylist(vodPlaylist(indexOf([540_000, 540_000])));
  expect(text).not.toContain('DISCONTINUITY');
  expect(text.match(/EXT-X-MAP/g)).toHaveLength(1);
});

test('digits suffice: an hour of odd durations adds up to within a millisecond', () => {
  const durations = Array.from({ length: 600 }, (_none, index) => 540_541 - (index % 7));
  const { manifest } = readMedia(writeMediaPlaylist(vodPlaylist(indexOf(durations))));
  const exact = durations.reduce((sum, duration) => sum + duration, 0) / 90_000;
  const shown = manifest.segments.reduce((sum, segment) => sum + segment.duration, 0);
  expect(Math.abs(shown - exact)).toBeLessThan(0.001);
});

test.each([
  { name: 'shorter than announced', durations: [180_000], expected: 6 },
  { name: 'rounds down to the target', durations: [584_999], expected: 6 },
  { name: 'rounds up over the target', durations: [585_000], expected: 7 },
])('target duration: $name', ({ durations, expected }) => {
  const { manifest } = readMedia(writeMediaPlaylist(vodPlaylist(indexOf(durations))));
  expect(manifest.targetDuration).toBe(expected);
});

test('the text ends each line with a line feed and begins with the header', () => {
  const text = writeMediaPlaylist(vodPlaylist(indexOf([540_000])));
  expect(text.startsWith('#EXTM3U\n#EXT-X-VERSION:6\n')).toBe(true);
  expect(text.endsWith('#EXT-X-ENDLIST\n')).toBe(true);
  expect(text).not.toMatch(/\r|\n\n/);
});
