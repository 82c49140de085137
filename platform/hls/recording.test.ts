// Recordings and clips as on-demand playlists: gaps left out, epochs joined, read back by two independent parsers.
import { expect, test } from 'vitest';
import { readMedia } from '../../test/support/playlist-parsers.ts';
import {
  A0,
  audio0,
  type ClosedPlan,
  closedSegment,
  epochOf,
  pdtOf,
  V360,
  V720,
  video360,
  video720,
  WRITER,
} from '../../test/support/timelines.ts';
import type { WriterTag } from '../contract/ids.ts';
import type { EpochInfo } from '../contract/records.ts';
import { writeMediaPlaylist } from './media-playlist.ts';
import { recordedDurationS, recordedPlaylist, recordedRenditions, recordedSegments } from './recording.ts';

const OTHER = 'writer0002' as WriterTag;

const BASE = '../../content/v360/';

function listed(plans: ClosedPlan[], epochs: EpochInfo[], rendition = V360) {
  const segments = recordedSegments(
    plans.map((plan) => closedSegment(plan)),
    epochs,
  );
  const text = writeMediaPlaylist(recordedPlaylist({ rendition, segments, base: BASE }));
  const { manifest, other } = readMedia(text);
  expect(other.segments.map((one) => one.uri)).toEqual(manifest.segments.map((one) => one.uri));
  expect(manifest).toMatchObject({ playlistType: 'VOD', endList: true, mediaSequence: 0 });
  return { text, manifest, segments };
}

test('a whole broadcast: every segment, wall clock kept, one initialisation segment, the end', () => {
  const { manifest } = listed(
    [0, 1, 2].map((msn) => ({ epoch: 1, msn })),
    [epochOf(1, 0)],
  );
  expect(manifest.segments.map((one) => one.uri)).toEqual([0, 1, 2].map((msn) => `${BASE}1/s${msn}.${WRITER}.m4s`));
  expect(manifest.segments.map((one) => one.map?.uri)).toEqual(Array(3).fill(`${BASE}1/init.mp4`));
  expect(manifest.segments[2]?.dateTimeString).toBe(new Date(pdtOf(2)).toISOString());
  expect(manifest.targetDuration).toBe(2);
});

test('gaps are left out; the next epoch follows behind one discontinuity with its own initialisation segment', () => {
  const epochs = [epochOf(1, 0), epochOf(4, 5)];
  const gaps = [2, 3, 4].map((msn) => ({ epoch: 1, msn, gap: true }));
  const { manifest, text, segments } = listed(
    [{ epoch: 1, msn: 0 }, { epoch: 1, msn: 1 }, ...gaps, { epoch: 4, msn: 5 }, { epoch: 4, msn: 6 }],
    epochs,
  );
  expect(manifest.segments.map((one) => one.discontinuity ?? false)).toEqual([false, false, true, false]);
  expect(manifest.segments.map((one) => one.map?.uri)).toEqual([
    ...Array(2).fill(`${BASE}1/init.mp4`),
    ...Array(2).fill(`${BASE}4/init.mp4`),
  ]);
  expect(text.match(/#EXT-X-DISCONTINUITY$/gm)).toHaveLength(1);
  expect(text).not.toContain('GAP');
  expect(text).toContain('#EXT-X-VERSION:6\n');
  expect(recordedDurationS(segments)).toBe(8);
});

test('something missing inside an epoch parts what is left', () => {
  const { manifest } = listed(
    [0, 1, 3].map((msn) => ({ epoch: 1, msn })),
    [epochOf(1, 0)],
  );
  expect(manifest.segments.map((one) => one.discontinuity ?? false)).toEqual([false, false, true]);
});

test('a rendition that lacks a segment or a whole epoch shows gaps there, the others nothing of it', () => {
  const epochs = [epochOf(1, 0, [video720, video360, audio0]), epochOf(2, 2)];
  const has = [video720, video360, audio0];
  const plans = [
    { epoch: 1, msn: 0, has },
    { epoch: 1, msn: 1 },
    { epoch: 2, msn: 2 },
  ];
  const high = listed(plans, epochs, V720);
  expect(high.text).toContain('#EXT-X-VERSION:8\n');
  expect(high.text.match(/#EXT-X-GAP/g)).toHaveLength(2);
  expect(high.manifest.segments.map((one) => one.duration)).toEqual([2, 2, 2]);
  const low = listed(plans, epochs);
  expect(low.text).not.toContain('GAP');
  const breaks = (text: string) =>
    text
      .split('\n')
      .filter((line) => /^#EXT(INF|-X-DISCONTINUITY$)/.test(line))
      .join();
  expect(breaks(high.text)).toBe(breaks(low.text));
});

test('what is empty or of an unknown epoch counts as missing', () => {
  const plans = [
    { epoch: 1, msn: 0 },
    { epoch: 1, msn: 1, seconds: 0 },
    { epoch: 9, msn: 2 },
  ];
  expect(listed(plans, [epochOf(1, 0)]).segments).toHaveLength(1);
});

test('renditions: all that have a segment, described by the newest epoch that names them', () => {
  const newer = { ...video360, codecs: 'avc1.640020' };
  const epochs = [epochOf(1, 0, [video720, video360, audio0]), epochOf(2, 1, [newer])];
  const segments = recordedSegments(
    [closedSegment({ epoch: 1, msn: 0 }), closedSegment({ epoch: 2, msn: 1, has: [newer] })],
    epochs,
  );
  expect(recordedRenditions(segments)).toEqual([newer, audio0]);
});

test('target duration: what the epochs say, or the longest segment', () => {
  const epoch = { ...epochOf(1, 0), target_duration: 4 };
  expect(listed([{ epoch: 1, msn: 0 }], [epoch]).manifest.targetDuration).toBe(4);
  expect(listed([{ epoch: 1, msn: 0, seconds: 7 }], [epoch]).manifest.targetDuration).toBe(7);
});

test('each segment names the worker that stored it', () => {
  const { manifest } = listed(
    [
      { epoch: 1, msn: 0 },
      { epoch: 1, msn: 1, writer: OTHER },
    ],
    [epochOf(1, 0)],
  );
  expect(manifest.segments[1]?.uri).toContain(OTHER);
  expect(manifest.segments[1]?.discontinuity ?? false).toBe(false);
});

test('audio has its own lengths', () => {
  const { manifest } = listed([{ epoch: 1, msn: 0 }], [epochOf(1, 0)], A0);
  expect(manifest.segments[0]?.duration).toBe(2);
});

test('pass-through: no promise that segments begin with a key frame', () => {
  const plans = [{ epoch: 1, msn: 0 }];
  expect(listed(plans, [epochOf(1, 0)]).text).toContain('#EXT-X-INDEPENDENT-SEGMENTS');
  expect(listed(plans, [{ ...epochOf(1, 0), grid: 'copy' }]).text).not.toContain('INDEPENDENT');
});
