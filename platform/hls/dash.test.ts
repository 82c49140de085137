// DASH manifests of running broadcasts, recordings and uploads, read back by a reader of their own (test/support/mpd.ts).
import { expect, test } from 'vitest';
import { type Mpd, readMpd } from '../../test/support/mpd.ts';
import {
  A0,
  audio0,
  type ClosedPlan,
  closedSegment,
  epochOf,
  LIVE_CONTENT,
  pdtOf,
  renditionIndexOf,
  storedOf,
  V360,
  video360,
  video720,
  WRITER,
} from '../../test/support/timelines.ts';
import type { WriterTag } from '../contract/ids.ts';
import type { EpochInfo, RenditionInfo } from '../contract/records.ts';
import { writeDash } from './dash.ts';
import { type LiveDash, liveDash, rateText, recordedDash, storedDash } from './dash-periods.ts';
import type { LiveSegment } from './live-timeline.ts';
import { recordedSegments } from './recording.ts';

const OTHER = 'writer0002' as WriterTag;
/** Source time of the first epoch's first frame. */
const TS0 = 500_000;

/** An epoch whose media clock began at TS0 with msn 0. */
const epochAt = (epoch: number, msn0: number, renditions: RenditionInfo[] = [video360, audio0]): EpochInfo => ({
  ...epochOf(epoch, msn0, renditions),
  ts0: TS0 + msn0 * 2_000,
});

/** Audio begins a hundredth of a second early, as its frames fall. */
const segmentOf = (plan: ClosedPlan): LiveSegment =>
  closedSegment(plan, (msn, kind) => TS0 / 1_000 + msn * 2 - (kind === 'audio' ? 0.01 : 0));
const plansOf = (epoch: number, from: number, to: number): ClosedPlan[] =>
  Array.from({ length: to - from + 1 }, (_none, index) => ({ epoch, msn: from + index }));

function live(plans: ClosedPlan[], changes: Partial<LiveDash> = {}): Mpd {
  const manifest = liveDash({
    content: LIVE_CONTENT,
    epochs: [epochAt(1, 0)],
    segments: plans.map(segmentOf),
    windowS: 60,
    isEnded: false,
    nowMs: pdtOf(100) + 123,
    addressing: 'template',
    ...changes,
  });
  if (manifest === null) throw new Error('no manifest');
  return readMpd(writeDash(manifest));
}
const track = (mpd: Mpd, id: string, period = 0) => {
  const found = mpd.periods[period]?.sets.flatMap((set) => set.representations).find((one) => one.id === id);
  if (found === undefined) throw new Error(`no ${id} in Period ${period}`);
  return found;
};

test('a running broadcast: wall clock, window, update period, one Period of the epoch, addresses of the objects', () => {
  const mpd = live(plansOf(1, 0, 2));
  expect(mpd.attributes).toMatchObject({
    type: 'dynamic',
    availabilityStartTime: new Date(pdtOf(0)).toISOString(),
    publishTime: new Date(pdtOf(3)).toISOString(),
    minimumUpdatePeriod: 'PT2S',
    timeShiftBufferDepth: 'PT60S',
    suggestedPresentationDelay: 'PT6S',
    maxSegmentDuration: 'PT2S',
  });
  expect(mpd.utc).toBe(new Date(pdtOf(100) + 123).toISOString());
  expect(mpd.periods.map(({ id, startS }) => [id, startS])).toEqual([['1', 0]]);
  const base = `v/-/${LIVE_CONTENT}/v360/1`;
  expect(track(mpd, V360).init).toBe(`${base}/init.mp4`);
  expect(track(mpd, V360).segments.map(({ uri, startS }) => [uri, startS])).toEqual(
    [0, 1, 2].map((msn) => [`${base}/s${msn}.${WRITER}.m4s`, 2 * msn]),
  );
  expect(track(mpd, A0).segments[1]?.startS).toBeCloseTo(1.99, 4);
});

test('what a Representation says of itself', () => {
  const mpd = live([{ epoch: 1, msn: 0, has: [video720, video360, audio0] }], {
    epochs: [{ ...epochAt(1, 0, [video720, video360, audio0]), fps: { num: 30_000, den: 1_001 } }],
  });
  const [video, audio] = mpd.periods[0]?.sets ?? [];
  expect(video?.attributes).toMatchObject({ contentType: 'video', segmentAlignment: 'true', startWithSAP: '1' });
  expect(video?.representations.map(({ attributes }) => attributes)).toMatchObject([
    { id: 'v720', bandwidth: '2750000', codecs: 'avc1.64001e', width: '1280', height: '720', frameRate: '30000/1001' },
    { id: 'v360', bandwidth: '770000', width: '640', height: '360' },
  ]);
  expect(audio?.representations.map(({ attributes }) => attributes)).toMatchObject([
    { id: 'a0', codecs: 'mp4a.40.2', audioSamplingRate: '48000' },
  ]);
});

test('the window slides; ids, starts and offsets of Periods stay, and every segment keeps its time', () => {
  const early = live(plansOf(1, 0, 31));
  const late = live(plansOf(1, 20, 51));
  expect(track(late, V360).segments[0]?.uri).toContain('/s22.');
  expect(late.periods.map(({ id, startS }) => [id, startS])).toEqual(
    early.periods.map(({ id, startS }) => [id, startS]),
  );
  for (const id of [V360, A0]) {
    const at = (mpd: Mpd) => track(mpd, id).segments.find(({ uri }) => uri.includes('/s25.'))?.startS;
    expect(at(late)).toBe(at(early));
  }
});

test('away and back: no segment of the gap, the next epoch is a Period later on the wall clock', () => {
  const plans = [
    ...plansOf(1, 0, 2),
    { epoch: 1, msn: 3, gap: true },
    { epoch: 1, msn: 4, gap: true },
    ...plansOf(2, 5, 6),
  ];
  // A new session counts its time from anew.
  const mpd = live(plans, { epochs: [epochAt(1, 0), { ...epochAt(2, 5) }] });
  expect(mpd.periods.map(({ id, startS }) => [id, startS])).toEqual([
    ['1', 0],
    ['2', 10],
  ]);
  expect(mpd.periods.map((_one, index) => track(mpd, V360, index).segments.length)).toEqual([3, 2]);
  expect(track(mpd, V360, 1).segments[0]?.startS).toBe(10);
});

test('another writer: with templates a Period of its own, named by where it begins; with lists the same Period', () => {
  const plans = [
    ...plansOf(1, 0, 2),
    ...plansOf(1, 3, 4).map((plan) => ({ ...plan, writer: OTHER })),
    ...plansOf(1, 5, 6),
  ];
  const mpd = live(plans);
  expect(mpd.periods.map(({ id, startS }) => [id, startS])).toEqual([
    ['1', 0],
    ['1.3', 6],
    ['1.5', 10],
  ]);
  expect(track(mpd, V360, 1).segments.map(({ uri }) => uri.includes(OTHER))).toEqual([true, true]);
  const listed = live(plans, { addressing: 'list' });
  expect(listed.periods.map(({ id }) => id)).toEqual(['1']);
  const flat = mpd.periods.flatMap((_one, index) => track(mpd, V360, index).segments);
  expect(track(listed, V360).segments).toEqual(flat);
});

test('a hole inside an epoch, or a rendition that ends, begins another Period', () => {
  const has = [video720, video360, audio0];
  const epochs = [epochAt(1, 0, has)];
  const mpd = live(
    [
      { epoch: 1, msn: 0, has },
      { epoch: 1, msn: 1 },
      { epoch: 1, msn: 3 },
    ],
    { epochs },
  );
  expect(mpd.periods.map(({ id, startS }) => [id, startS])).toEqual([
    ['1', 0],
    ['1.1', 2],
    ['1.3', 6],
  ]);
  expect(mpd.periods.map(({ sets }) => sets[0]?.representations.length)).toEqual([2, 1, 1]);
});

test('a long window is listed for ten minutes', () => {
  const mpd = live(plansOf(1, 0, 1_000), { windowS: 14_400 });
  expect(track(mpd, V360).segments).toHaveLength(300);
  expect(mpd.attributes['timeShiftBufferDepth']).toBe('PT600S');
});

test('after the end: static, everything held, the same clock', () => {
  const mpd = live(plansOf(1, 0, 400), { isEnded: true });
  // The sound stands 10 ms before the picture, and ends so.
  expect(mpd.attributes).toMatchObject({ type: 'static', mediaPresentationDuration: 'PT801.99S' });
  expect(track(mpd, V360).segments).toHaveLength(401);
  expect(track(mpd, V360).segments[400]?.startS).toBe(800);
});

test('after the end nobody waits for sound that ends a few frames before the picture', () => {
  const endOf = (audioS: number) => {
    const segments = plansOf(1, 0, 2).map(segmentOf);
    const sound = segments.at(-1)?.media.find(({ rendition }) => rendition === A0);
    if (sound !== undefined) sound.duration = Math.round(audioS * 48_000);
    const given = { content: LIVE_CONTENT, windowS: 60, isEnded: true, nowMs: 0, addressing: 'template' } as const;
    return liveDash({ ...given, epochs: [epochAt(1, 0)], segments })?.durationS;
  };
  expect(endOf(2)).toBeCloseTo(5.99, 6);
  expect(endOf(1.9425)).toBeCloseTo(5.9325, 6);
  expect(endOf(2.01)).toBe(6);
  // More than that is missing: the picture is shown to its end.
  expect(endOf(1)).toBe(6);
});

test('nothing to list yet: no manifest', () => {
  const nothing = { content: LIVE_CONTENT, windowS: 60, isEnded: false, nowMs: 0, addressing: 'template' } as const;
  expect(liveDash({ ...nothing, epochs: [epochAt(1, 0)], segments: [] })).toBeNull();
  expect(liveDash({ ...nothing, epochs: [], segments: plansOf(1, 0, 1).map(segmentOf) })).toBeNull();
});

test('pass-through: the media clock is the source clock itself', () => {
  const epoch: EpochInfo = { ...epochAt(1, 0, [{ ...video360, frame_rate: 25 }]), grid: 'copy', ts0: 1_234.5 };
  const segment = segmentOf({ epoch: 1, msn: 0, has: [video360] });
  const media = segment.media.map((one) => ({ ...one, tfdt: 1.2345 * 90_000 }));
  const mpd = live([], { epochs: [epoch], segments: [{ ...segment, media }] });
  expect(track(mpd, V360).segments[0]?.startS).toBeCloseTo(0, 4);
  expect(track(mpd, V360).attributes['frameRate']).toBe('25');
  expect(mpd.periods[0]?.sets[0]?.attributes['startWithSAP']).toBeUndefined();
});

test('a recording: Periods joined end to end, whatever lay between; static', () => {
  const epochs = [epochAt(1, 0), epochAt(2, 5)];
  const plans = [...plansOf(1, 0, 2), { epoch: 1, msn: 3, gap: true }, ...plansOf(2, 5, 6)];
  const manifest = recordedDash(LIVE_CONTENT, recordedSegments(plans.map(segmentOf), epochs), 'template');
  if (manifest === null) throw new Error('no manifest');
  const mpd = readMpd(writeDash(manifest));
  expect(mpd.periods.map(({ id, startS, durationS }) => [id, startS, durationS])).toEqual([
    ['0', 0, 6],
    ['1', 6, 4],
  ]);
  expect(mpd.attributes['mediaPresentationDuration']).toBe('PT10S');
  expect(track(mpd, V360, 1).segments.map(({ startS }) => startS)).toEqual([6, 8]);
  expect(track(mpd, A0, 1).segments[0]?.startS).toBeCloseTo(5.99, 4);
  expect(recordedDash(LIVE_CONTENT, [], 'template')).toBeNull();
});

test('an upload: one Period from its tables, video first whatever the order', () => {
  const stored = [storedOf(audio0), storedOf(video360)].map((one) => ({ stored: one, index: renditionIndexOf(one) }));
  const manifest = storedDash(LIVE_CONTENT, stored);
  if (manifest === null) throw new Error('no manifest');
  const mpd = readMpd(writeDash(manifest));
  expect(mpd.attributes).toMatchObject({ mediaPresentationDuration: 'PT15S', maxSegmentDuration: 'PT6S' });
  expect(mpd.periods[0]?.sets.map(({ contentType }) => contentType)).toEqual(['video', 'audio']);
  expect(track(mpd, V360).segments.map(({ startS, durationS }) => [startS, durationS])).toEqual([
    [0, 6],
    [6, 6],
    [12, 3],
  ]);
});

test('a clip of an upload begins at its own start', () => {
  const index = renditionIndexOf(video360);
  const cut = { ...index, segments: index.segments.slice(1) };
  const manifest = storedDash(LIVE_CONTENT, [{ stored: storedOf(video360), index: cut }]);
  if (manifest === null) throw new Error('no manifest');
  const mpd = readMpd(writeDash(manifest));
  expect(track(mpd, V360).segments.map(({ startS, uri }) => [startS, /s\d+/.exec(uri)?.[0]])).toEqual([
    [0, 's1'],
    [6, 's2'],
  ]);
  expect(storedDash(LIVE_CONTENT, [{ stored: storedOf(video360), index: { ...index, segments: [] } }])).toBeNull();
});

test('ten minutes of equal segments are one line; the reader itself refuses what is broken', () => {
  const manifest = liveDash({
    content: LIVE_CONTENT,
    epochs: [epochAt(1, 0)],
    segments: plansOf(1, 0, 299).map(segmentOf),
    windowS: 600,
    isEnded: false,
    nowMs: 0,
    addressing: 'template',
  });
  if (manifest === null) throw new Error('no manifest');
  const text = writeDash(manifest);
  expect(text.match(/<S /g)).toHaveLength(2);
  expect(text).toContain('r="299"');
  expect(() => readMpd(text.replace('</Period>', ''))).toThrow('closes another');
  expect(() => readMpd(text.replace('publishTime', 'published'))).toThrow('publishTime');
  expect(() => readMpd(text.replace('start="PT0S"', 'start="PT3S"'))).not.toThrow();
  expect(() => readMpd(text.replace(/presentationTimeOffset="45000000"/, 'presentationTimeOffset="45900000"'))).toThrow(
    'before its Period',
  );
});

test.each([
  [30, '30'],
  [29.97, '30000/1001'],
  [23.976, '24000/1001'],
  [59.94, '60000/1001'],
  [12.5, '12500/1000'],
  [0, null],
  [Number.NaN, null],
])('%d frames per second: %s', (rate, expected) => expect(rateText(rate)).toBe(expected));
