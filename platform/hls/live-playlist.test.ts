// Live media playlists as tables: sliding windows, epochs, gaps. Parts and delta updates: live-parts.test.ts.
import { describe, expect, test } from 'vitest';
import { readBack, type Show, textOf } from '../../test/support/live-texts.ts';
import {
  A0,
  audio0,
  blockOf,
  entriesOf,
  epochOf,
  pdtOf,
  segmentEntries,
  V360,
  video360,
  WRITER,
} from '../../test/support/timelines.ts';
import type { RenditionName, WriterTag } from '../contract/ids.ts';
import { livePlaylist, RunTexts, windowSegments } from './live-playlist.ts';
import { LiveTimeline } from './live-timeline.ts';

test('a running stream: sliding, wall clock on every segment, no end', () => {
  const { manifest, whole } = readBack(textOf({ entries: entriesOf(1, 0, 4), epochs: [epochOf(1, 0)], window: 3 }));
  expect(manifest).toMatchObject({ version: 9, targetDuration: 2, mediaSequence: 2, discontinuitySequence: 1 });
  expect(manifest.playlistType).toBeUndefined();
  expect(manifest.endList).toBeUndefined();
  expect(manifest.independentSegments).toBe(true);
  expect(manifest.segments.map((one) => [one.uri, one.duration, one.map?.uri, one.programDateTime])).toEqual(
    [2, 3, 4].map((msn) => [`1/s${msn}.${WRITER}.m4s`, 2, '1/init.mp4', pdtOf(msn)]),
  );
  expect(whole.every((one) => one.programDateTime instanceof Date)).toBe(true);
});

test('ENDLIST when it is over', () => {
  const { manifest, other } = readBack(textOf({ entries: entriesOf(1, 0, 4), epochs: [epochOf(1, 0)], isEnded: true }));
  expect(manifest.endList).toBe(true);
  expect(other.endlist).toBe(true);
});

test('of an open segment the parts are listed', () => {
  const [opened] = segmentEntries({ epoch: 1, msn: 3 });
  const { manifest } = readBack(
    textOf({ entries: [...entriesOf(1, 0, 2), ...(opened ? [opened] : [])], epochs: [epochOf(1, 0)] }),
  );
  expect(manifest.segments).toHaveLength(3);
  expect(manifest.preloadSegment?.parts).toHaveLength(1);
});

test('nothing listed is no playlist', () => {
  expect(textOf({ entries: [], epochs: [epochOf(1, 0)] })).toBe('');
  expect(textOf({ entries: entriesOf(4, 0, 3), epochs: [epochOf(1, 0)] })).toBe('');
});

describe('every step of a window sliding over epochs 1, 2 and 5', () => {
  const epochs = [epochOf(1, 0), epochOf(2, 6), epochOf(5, 10)];
  const entries = [...entriesOf(1, 0, 5), ...entriesOf(2, 6, 9), ...entriesOf(5, 10, 20)];
  const epochAt = (msn: number) => (msn < 6 ? 1 : msn < 10 ? 2 : 5);
  const sequences = new Map<number, number>();
  for (let newest = 0; newest <= 20; newest += 1) {
    test(`newest segment ${newest}`, () => {
      const held = entries.filter((entry) => entry.msn <= newest);
      const { manifest, other } = readBack(textOf({ entries: held, epochs, window: 4 }));
      const first = Math.max(0, newest - 3);
      expect(manifest.mediaSequence).toBe(first);
      expect(manifest.discontinuitySequence).toBe(epochAt(first));
      expect(other.discontinuitySequenceBase).toBe(epochAt(first));
      for (const [index, segment] of manifest.segments.entries()) {
        const msn = first + index;
        // The same segment has the same discontinuity sequence number in every playlist that lists it (RFC 8216, 6.2.2).
        expect(segment.timeline).toBe(sequences.get(msn) ?? segment.timeline);
        sequences.set(msn, segment.timeline);
        expect(segment.timeline).toBe(epochAt(msn));
        expect(segment.map?.uri).toBe(`${epochAt(msn)}/init.mp4`);
        expect(segment.discontinuity ?? false).toBe(index > 0 && epochAt(msn) !== epochAt(msn - 1));
      }
    });
  }
});

describe('gaps', () => {
  const epochs = [epochOf(1, 0), epochOf(2, 4)];
  const gapsOf = (show: Show) =>
    readBack(textOf(show)).whole.map((one) => [one.mediaSequenceNumber, one.gap ?? false, one.duration]);

  test('a rendition without an object says GAP for as long as the others last; the others play', () => {
    const entries = [
      ...entriesOf(1, 0, 1),
      ...segmentEntries({ epoch: 1, msn: 2, renditions: [{ ...audio0, timescale: 47_040 }] }),
      ...entriesOf(1, 3, 3),
    ];
    expect(gapsOf({ entries, epochs })).toEqual([
      [0, false, 2],
      [1, false, 2],
      [2, true, 1.96],
      [3, false, 2],
    ]);
    expect(gapsOf({ entries, epochs, rendition: A0 }).map(([, isGap]) => isGap)).toEqual([false, false, false, false]);
  });

  test('a gap entry is a gap in every rendition, as long as the grid says', () => {
    const gap = segmentEntries({ epoch: 1, msn: 1, renditions: [], gap: true, parts: 4 });
    const entries = [...entriesOf(1, 0, 0), ...gap, ...entriesOf(1, 2, 2)];
    for (const rendition of [V360, A0]) {
      expect(gapsOf({ entries, epochs, rendition })[1]).toEqual([1, true, 2]);
    }
  });

  test('a number that no segment took is a gap of the epoch after it, also when the one before has left', () => {
    const entries = [...entriesOf(1, 0, 2), ...entriesOf(2, 5, 7)];
    const { manifest, whole } = readBack(textOf({ entries, epochs }));
    expect(whole.map((one) => one.gap ?? false)).toEqual([false, false, false, true, true, false, false, false]);
    expect(manifest.segments.map((one) => one.timeline)).toEqual([1, 1, 1, 2, 2, 2, 2, 2]);
    expect(manifest.segments.map((one) => one.programDateTime)).toEqual([0, 1, 2, 3, 4, 5, 6, 7].map(pdtOf));
    const slid = readBack(textOf({ entries, epochs, window: 4 }));
    expect(slid.manifest.mediaSequence).toBe(5);
    expect(slid.manifest.segments[0]?.timeline).toBe(2);
  });

  test('a rung that a later epoch dropped: gaps there, and no address of an init that does not exist', () => {
    const dropped = [epochOf(1, 0), epochOf(2, 2, [audio0])];
    const entries = [
      ...entriesOf(1, 0, 1),
      ...segmentEntries({ epoch: 2, msn: 2, renditions: [audio0] }),
      ...segmentEntries({ epoch: 2, msn: 3, renditions: [audio0] }),
    ];
    const text = textOf({ entries, epochs: dropped });
    expect(gapsOf({ entries, epochs: dropped }).map(([, isGap]) => isGap)).toEqual([false, false, true, true]);
    expect(text).not.toContain('2/init.mp4');
    expect(textOf({ entries, epochs: dropped, rendition: A0 })).toContain('2/init.mp4');
  });

  test('all renditions list the same numbers', () => {
    const entries = [
      ...entriesOf(1, 0, 2),
      ...segmentEntries({ epoch: 2, msn: 4, renditions: [video360] }),
      ...segmentEntries({ epoch: 2, msn: 5, renditions: [audio0] }),
    ];
    const numbers = (rendition: RenditionName) => gapsOf({ entries, epochs, rendition }).map(([msn]) => msn);
    expect(numbers(V360)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(numbers(A0)).toEqual(numbers(V360));
  });
});

test('the text depends on what is held, not on how it came', () => {
  const epochs = [epochOf(1, 0), epochOf(2, 6)];
  const entries = [...entriesOf(1, 0, 5), ...entriesOf(2, 6, 12)];
  const straight = textOf({ entries, epochs, window: 8 });
  const pieces = [entries.slice(16), entries.slice(4, 20), entries.slice(0, 6), entries.slice(8)].flat();
  expect(textOf({ entries: pieces, epochs, window: 8 })).toBe(straight);
});

test('each segment is named by the writer that stored it', () => {
  const other = 'writer0002' as WriterTag;
  const entries = [...entriesOf(1, 0, 0), ...segmentEntries({ epoch: 1, msn: 1, writer: other })];
  const { manifest } = readBack(textOf({ entries, epochs: [epochOf(1, 0)] }));
  expect(manifest.segments.map((one) => one.uri)).toEqual([`1/s0.${WRITER}.m4s`, `1/s1.${other}.m4s`]);
});

test('no rounded duration is above the target, at the rates with the longest segments', () => {
  const odd = { ...video360, timescale: 30_000 };
  const entries = segmentEntries({ epoch: 1, msn: 0, renditions: [odd] });
  for (const entry of entries) {
    const segment = entry.renditions[V360]?.segment;
    if (segment !== undefined) segment.duration = 60 * 1_001;
  }
  const { manifest } = readBack(textOf({ entries, epochs: [epochOf(1, 0, [odd])] }));
  expect(manifest.segments[0]?.duration).toBe(2.002);
  expect(Math.round(manifest.segments[0]?.duration ?? 9)).toBeLessThanOrEqual(manifest.targetDuration);
});

test.each([
  [120, 2, 60],
  [20, 2, 10],
  [21, 2, 11],
  [120, 4, 30],
  [43_200, 2, 21_600],
])('a window of %d s at target duration %d is %d segments', (windowS, targetS, expected) => {
  expect(windowSegments(windowS, targetS)).toBe(expected);
});

test('twelve hours in five renditions: at most 20 ms of processor time for each text', () => {
  const names = ['v1080', 'v720', 'v480', 'v360', 'a0'] as RenditionName[];
  const renditions = names.map((name) => ({ ...video360, name }));
  const timeline = new LiveTimeline(21_600);
  for (let first = 0; first < 21_600; first += 30) {
    const block = blockOf([]);
    for (let msn = first; msn < first + 30; msn += 1) {
      const media = { writer: WRITER, bytes: 1_000, sha256: '', duration: 180_000, tfdt: msn * 180_000 };
      const all = Object.fromEntries(names.map((name) => [name, media]));
      block.segments.push({ msn, pdt: pdtOf(msn), gap: false, last_part: 3, term: 1, renditions: all });
    }
    timeline.acceptBlock({ ...block, epoch: 1 });
  }
  timeline.accept(segmentEntries({ epoch: 1, msn: 21_600, renditions }));
  const texts = new RunTexts();
  const at = { epoch: 1, msn: 21_600, part: 3 };
  const epochs = [epochOf(1, 0, renditions)];
  const write = (rendition: RenditionName) => {
    const began = process.cpuUsage();
    const text = livePlaylist({ timeline, epochs, rendition, at, isEnded: false, isDelta: false }, texts) ?? '';
    const body = Buffer.from(text);
    const { user, system } = process.cpuUsage(began);
    expect(body.byteLength).toBeGreaterThan(1_500_000);
    return (user + system) / 1_000;
  };
  // The collector and the compiler work for the same process: what the writing itself takes is the least of several rounds.
  const rounds = Array.from({ length: 8 }, () => names.map(write));
  const tookMs = names.map((_name, at) => Math.min(...rounds.map((took) => took[at] ?? Number.POSITIVE_INFINITY)));
  expect(Math.max(...tookMs)).toBeLessThan(20);
});
