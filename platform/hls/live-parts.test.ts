// Low-latency tags: control, parts, hints, reports, delta updates; read back by two independent parsers where they know the tag.
import { describe, expect, test } from 'vitest';
import { readBack, tags, textFrom, textOf } from '../../test/support/live-texts.ts';
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
import type { WriterTag } from '../contract/ids.ts';
import type { EpochInfo } from '../contract/records.ts';
import type { TimelineEntry } from '../contract/timeline.ts';
import { livePlaylist, RunTexts } from './live-playlist.ts';
import { LiveTimeline } from './live-timeline.ts';

const epochs = [epochOf(1, 0)];
/** Segments 0 to `last` of four parts each, and the first `open` parts of the next. */
const running = (last: number, open: number): TimelineEntry[] =>
  Array.from({ length: last + 2 }, (_none, msn) => segmentEntries({ epoch: 1, msn, parts: 4 }))
    .flat()
    .filter((entry) => entry.msn <= last || entry.part < open);
const plain = (epoch: EpochInfo): EpochInfo => ({ ...epoch, part_target: null });

describe('control', () => {
  test('is the same in every rendition, in multiples of both targets', () => {
    const controls = [V360, A0].map((rendition) => {
      const text = textOf({ entries: running(4, 2), epochs, rendition });
      return tags(text, 'EXT-X-SERVER-CONTROL').concat(tags(text, 'EXT-X-PART-INF'));
    });
    expect(controls[0]).toEqual([
      '#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=12,PART-HOLD-BACK=1.56,HOLD-BACK=6',
      '#EXT-X-PART-INF:PART-TARGET=0.52',
    ]);
    expect(controls[1]).toEqual(controls[0]);
  });
  test.each([
    [0.215, 2, 'CAN-SKIP-UNTIL=12,PART-HOLD-BACK=0.645,HOLD-BACK=6'],
    [0.35, 2, 'CAN-SKIP-UNTIL=12,PART-HOLD-BACK=1.05,HOLD-BACK=6'],
    [0.5, 5, 'CAN-SKIP-UNTIL=30,PART-HOLD-BACK=1.5,HOLD-BACK=15'],
    [null, 4, 'CAN-SKIP-UNTIL=24,HOLD-BACK=12'],
  ])('part target %s, target duration %s', (partTarget, targetDuration, expected) => {
    const shape = { part_target: partTarget, target_duration: targetDuration };
    const text = textOf({ entries: running(4, 2), epochs: [{ ...epochOf(1, 0), ...shape }] });
    expect(tags(text, 'EXT-X-SERVER-CONTROL')).toEqual([`#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,${expected}`]);
    expect(tags(text, 'EXT-X-TARGETDURATION')).toEqual([`#EXT-X-TARGETDURATION:${targetDuration}`]);
  });
});

describe('parts', () => {
  test('of the open segment and the two before it, before the EXTINF of their segment', () => {
    const { manifest } = readBack(textOf({ entries: running(6, 2), epochs }));
    expect(manifest.segments.map((one) => one.parts?.length ?? 0)).toEqual([0, 0, 0, 0, 0, 4, 4]);
    expect(manifest.preloadSegment?.parts?.map((part) => [part.uri, part.duration, part.independent ?? false])).toEqual(
      [
        [`1/p7.0.${WRITER}.m4s`, 0.5, true],
        [`1/p7.1.${WRITER}.m4s`, 0.5, false],
      ],
    );
    expect(manifest.preloadSegment?.dateTimeString).toBe(new Date(pdtOf(7)).toISOString());
  });
  test('when a segment has just closed, the next counts as open', () => {
    const { manifest } = readBack(textOf({ entries: running(6, 0), epochs }));
    expect(manifest.segments.map((one) => one.parts?.length ?? 0)).toEqual([0, 0, 0, 0, 0, 4, 4]);
  });
  test('of no bytes are left out; their writer does not go on', () => {
    const [first, , , last] = segmentEntries({ epoch: 1, msn: 3, parts: 4 });
    if (first === undefined || last === undefined) throw new Error('four parts were asked for');
    for (const part of Object.values(last.renditions)) Object.assign(part, { bytes: 0, duration: 0 });
    const text = textOf({ entries: [...running(2, 0), first, { ...last, part: 1 }], epochs });
    const { manifest } = readBack(text);
    expect(manifest.segments.at(-1)?.parts?.map((part) => part.uri)).toEqual([`1/p3.0.${WRITER}.m4s`]);
    expect(tags(text, 'EXT-X-PRELOAD-HINT')).toEqual(['#EXT-X-PRELOAD-HINT:TYPE=PART,URI="1/p4.0.none.m4s"']);
  });
  test('while nobody publishes: GAP parts, then the GAP segment, as long as the grid says, in every rendition', () => {
    const gaps = [5, 6].flatMap((msn) => segmentEntries({ epoch: 1, msn, parts: 4, renditions: [], gap: true }));
    const entries = [...running(4, 0), ...gaps.slice(0, 6)];
    for (const rendition of [V360, A0]) {
      const text = textOf({ entries, epochs, rendition });
      const { manifest, whole } = readBack(text);
      expect(whole.map((one) => one.gap ?? false)).toEqual([false, false, false, false, false, true]);
      expect(manifest.segments.at(-1)?.duration).toBe(2);
      const parts = [...(manifest.segments.at(-1)?.parts ?? []), ...(manifest.preloadSegment?.parts ?? [])];
      expect(parts.map((part) => [part.duration, part.gap])).toEqual(Array.from({ length: 6 }, () => [0.5, true]));
      expect(tags(text, 'EXT-X-PRELOAD-HINT')).toEqual(['#EXT-X-PRELOAD-HINT:TYPE=PART,URI="1/p6.2.none.m4s"']);
    }
  });
  test('a gap is one of parts of the part target in pass-through', () => {
    const copy = { ...epochOf(1, 0), grid: 'copy' as const, part_frames: 0, segment_frames: 0 };
    const gap = segmentEntries({ epoch: 1, msn: 3, parts: 3, renditions: [], gap: true });
    const text = textOf({ entries: [...running(2, 0), ...gap], epochs: [copy] });
    expect(readBack(text).whole.at(-1)).toMatchObject({ gap: true, duration: 1.56 });
    // Its segments may begin without a key frame.
    expect(text).not.toContain('INDEPENDENT-SEGMENTS');
  });
  test('a rung that an epoch lacks: GAP parts as long as those of the others', () => {
    const dropped = [epochOf(1, 0), epochOf(2, 3, [audio0])];
    const entries = [
      ...running(2, 0),
      ...segmentEntries({ epoch: 2, msn: 3, parts: 4, renditions: [audio0] }).slice(0, 2),
    ];
    const text = textOf({ entries, epochs: dropped });
    const { manifest } = readBack(text);
    expect(manifest.preloadSegment?.parts?.map((part) => [part.uri, part.duration, part.gap])).toEqual([
      ['2/p3.0.none.m4s', 0.5, true],
      ['2/p3.1.none.m4s', 0.5, true],
    ]);
    expect(tags(text, 'EXT-X-PRELOAD-HINT')).toEqual(['#EXT-X-PRELOAD-HINT:TYPE=PART,URI="2/p3.2.none.m4s"']);
    expect(tags(textOf({ entries, epochs: dropped, rendition: A0 }), 'EXT-X-PRELOAD-HINT')).toEqual([
      `#EXT-X-PRELOAD-HINT:TYPE=PART,URI="2/p3.2.${WRITER}.m4s"`,
    ]);
  });
  test('a new epoch begins with its discontinuity and init, also while its first segment is open', () => {
    const entries = [...running(2, 0), ...segmentEntries({ epoch: 2, msn: 3, parts: 4 }).slice(0, 1)];
    const text = textOf({ entries, epochs: [epochOf(1, 0), epochOf(2, 3)] });
    const tail = text.slice(text.indexOf('#EXT-X-DISCONTINUITY\n')).split('\n');
    expect(tail.slice(0, 4)).toEqual([
      '#EXT-X-DISCONTINUITY',
      '#EXT-X-MAP:URI="2/init.mp4"',
      `#EXT-X-PROGRAM-DATE-TIME:${new Date(pdtOf(3)).toISOString()}`,
      `#EXT-X-PART:DURATION=0.500000,URI="2/p3.0.${WRITER}.m4s",INDEPENDENT=YES`,
    ]);
  });
  test('audio alone', () => {
    const only = [epochOf(1, 0, [audio0])];
    const entries = [0, 1, 2].flatMap((msn) => segmentEntries({ epoch: 1, msn, renditions: [audio0] }));
    const text = textOf({ entries, epochs: only, rendition: A0 });
    expect(readBack(text).manifest.segments).toHaveLength(3);
    expect(tags(text, 'EXT-X-RENDITION-REPORT')).toEqual([]);
  });
  test('no parts, no hint, no PART-INF where the profile has none; reports name segments', () => {
    const text = textOf({ entries: running(4, 2), epochs: [plain(epochOf(1, 0))] });
    const { manifest } = readBack(text);
    expect(manifest.segments).toHaveLength(5);
    expect(text).not.toMatch(/EXT-X-PART|PRELOAD-HINT/);
    expect(tags(text, 'EXT-X-RENDITION-REPORT')).toEqual(['#EXT-X-RENDITION-REPORT:URI="../a0/index.m3u8",LAST-MSN=4']);
  });
  test('after the end: whole segments and ENDLIST alone', () => {
    const text = textOf({ entries: running(4, 2), epochs, isEnded: true });
    expect(text).not.toMatch(/EXT-X-PART:|PRELOAD-HINT|RENDITION-REPORT/);
    expect(readBack(text).manifest).toMatchObject({ endList: true });
    expect(readBack(text).manifest.segments).toHaveLength(5);
  });
});

describe('what comes next', () => {
  test('the hint names the next part, or the first of the next segment, with the writer of the newest', () => {
    const hintOf = (entries: TimelineEntry[]) => tags(textOf({ entries, epochs }), 'EXT-X-PRELOAD-HINT');
    const open = running(3, 2);
    expect(hintOf(open)).toEqual([`#EXT-X-PRELOAD-HINT:TYPE=PART,URI="1/p4.2.${WRITER}.m4s"`]);
    const other = segmentEntries({ epoch: 1, msn: 4, parts: 4, writer: 'writer0002' as WriterTag });
    expect(hintOf([...running(3, 0), ...other])).toEqual(['#EXT-X-PRELOAD-HINT:TYPE=PART,URI="1/p5.0.writer0002.m4s"']);
  });
  test('reports name every other rendition of the epochs so far, at the same place', () => {
    const v240 = { ...video360, name: 'v240' as typeof V360 };
    const all = [epochOf(1, 0, [video360, v240, audio0])];
    const { manifest } = readBack(textOf({ entries: running(3, 2), epochs: all }));
    expect(manifest.renditionReports).toEqual([
      { uri: '../a0/index.m3u8', lastMsn: 4, lastPart: 1 },
      { uri: '../v240/index.m3u8', lastMsn: 4, lastPart: 1 },
    ]);
  });
});

describe('delta updates', () => {
  test('leave out what ends before the skip boundary, and count it', () => {
    const whole = textOf({ entries: running(20, 2), epochs });
    const delta = textOf({ entries: running(20, 2), epochs, isDelta: true });
    const skipped = Number(/SKIPPED-SEGMENTS=(\d+)/.exec(delta)?.[1]);
    const uris = (text: string) => text.split('\n').filter((line) => line.endsWith('.m4s'));
    expect(skipped).toBe(15);
    expect(uris(delta)).toEqual(uris(whole).slice(skipped));
    // Six target durations are left: five and a half segments and the open parts would be one too few.
    expect(uris(delta).length * 2 + 1).toBeGreaterThanOrEqual(12);
    const behind = (text: string) => text.slice(text.indexOf('#EXT-X-PROGRAM-DATE-TIME'));
    expect(whole.endsWith(behind(delta))).toBe(true);
    expect(tags(delta, 'EXT-X-MEDIA-SEQUENCE')).toEqual(tags(whole, 'EXT-X-MEDIA-SEQUENCE'));
    expect(tags(delta, 'EXT-X-MAP')).toEqual([]);
    expect(readBack(delta).manifest.skip).toEqual({ skippedSegments: 15 });
  });
  test('are whole playlists while nothing is older than the boundary', () => {
    const entries = running(4, 2);
    expect(textOf({ entries, epochs, isDelta: true })).toBe(textOf({ entries, epochs }));
  });
  test.each([3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14])(
    'an epoch that begins with segment %i is told where it is listed, and only there; gaps and holes count',
    (msn0) => {
      const both = [epochOf(1, 0), epochOf(2, msn0)];
      const entries = [
        ...entriesOf(1, 0, msn0 - 3),
        ...segmentEntries({ epoch: 1, msn: msn0 - 2, renditions: [], gap: true, parts: 4 }),
        ...entriesOf(2, msn0, 14),
      ];
      const whole = textOf({ entries, epochs: both });
      const delta = textOf({ entries, epochs: both, isDelta: true });
      const skipped = Number(/SKIPPED-SEGMENTS=(\d+)/.exec(delta)?.[1]);
      const after = whole.split('\n').slice(whole.split('\n').findIndex((line) => line.includes(`/s${skipped}.`)) - 4);
      expect(delta.split('\n').slice(-10)).toEqual(after.slice(-10));
      const isListed = skipped < msn0 - 1 || skipped === msn0 - 1;
      expect(tags(delta, 'EXT-X-DISCONTINUITY')).toHaveLength(isListed ? 1 : 0);
      expect(tags(delta, 'EXT-X-MAP')).toHaveLength(isListed ? 1 : 0);
    },
  );
});

describe('an answer is a function of its place', () => {
  const two = [epochOf(1, 0), epochOf(2, 44)];
  const entries = [
    ...Array.from({ length: 44 }, (_none, msn) => segmentEntries({ epoch: 1, msn, parts: 4 })).flat(),
    ...[44, 45, 46, 47].flatMap((msn) => segmentEntries({ epoch: 2, msn, parts: 4 })),
  ];
  const upTo = (msn: number, part: number) => (entry: TimelineEntry) =>
    entry.msn < msn || (entry.msn === msn && entry.part <= part);
  // As far back as answers are exact.
  const places = [44, 45, 46, 47].flatMap((msn) => [0, 1, 2, 3].map((part) => ({ msn, part })));
  const views = [V360, A0].flatMap((rendition) => [false, true].map((isDelta) => ({ rendition, isDelta })));

  test.each(places)(
    'as of $msn.$part: the newest place then, and later, from entries or blocks, in any order',
    (place) => {
      const at = { epoch: 2, ...place };
      const then = new LiveTimeline(20);
      then.accept(entries.filter(upTo(place.msn, place.part)));
      const later = new LiveTimeline(20);
      later.accept(entries);
      const fresh = new LiveTimeline(20);
      fresh.accept(entries.filter(({ msn }) => msn >= 36));
      fresh.acceptBlock(blockOf(entries.filter(({ epoch, msn }) => epoch === 1 && msn >= 30 && msn < 40)));
      fresh.acceptBlock(blockOf(entries.filter(({ epoch, msn }) => epoch === 1 && msn < 30)));
      const mixed = new LiveTimeline(20);
      for (const piece of [entries.slice(100), entries.slice(140), entries.slice(60, 130), entries])
        mixed.accept(piece);
      for (const view of views) {
        const text = textFrom(then, { epochs: two.filter(({ epoch }) => epoch <= at.epoch), ...view });
        expect(text).toContain('#EXT-X-RENDITION-REPORT');
        for (const timeline of [later, fresh, mixed])
          expect(textFrom(timeline, { epochs: two, at, ...view })).toBe(text);
      }
    },
  );

  test('kept text of runs is the text', () => {
    const timeline = new LiveTimeline(40);
    const texts = new RunTexts();
    for (const entry of entries) {
      timeline.accept([entry]);
      for (const view of views) {
        const show = { timeline, epochs: two, at: entry, isEnded: false, ...view };
        expect(livePlaylist(show, texts)).toBe(livePlaylist(show));
      }
    }
  });
});
