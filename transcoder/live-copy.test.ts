// The cutting rules of pass-through over frames that the test makes up: lengths of parts and segments, whatever the source does.
import { describe, expect, test } from 'vitest';
import type { RenditionName } from '../platform/contract/ids.ts';
import { readFragment, readInit } from '../platform/hls/cmaf.ts';
import { writeAudioInit, writeVideoInit } from '../platform/hls/cmaf-init.ts';
import { CopyAudioCutter } from './live-copy-audio.ts';
import { LiveGopOutOfRange } from './live-copy-errors.ts';
import { copyLimits, partTargetOf, targetDurationOf } from './live-copy-limits.ts';
import { type CopyPart, CopyVideoCutter, type SourceFrame } from './live-copy-video.ts';

const V = 'v360' as RenditionName;
const A = 'a0' as RenditionName;
const NO_DEFAULTS = { duration: 0, size: 0, flags: 0 };

/** Frames at these times (ms), key frames where asked. */
const framesAt = (times: readonly number[], isKey: (dts: number, i: number) => boolean): SourceFrame[] =>
  times.map((dts, i) => ({ dts, pts: dts, isKey: isKey(dts, i), data: Uint8Array.from([i & 255]) }));
const steady = (seconds: number, fps: number): number[] =>
  Array.from({ length: Math.round(seconds * fps) }, (_, i) => Math.round((i * 1_000) / fps));

function cutAll(frames: readonly SourceFrame[], targetDuration = 2, partTarget = 0.35): CopyPart[] {
  const limits = copyLimits(partTarget, targetDuration, 48_000);
  const cutter = new CopyVideoCutter({ rendition: V, firstMsn: 7, limits, nominalTicks: 3_000 });
  return [...frames.flatMap((frame) => cutter.push(frame)), ...cutter.finish()];
}
const segmentsOf = (parts: readonly CopyPart[]): { seconds: number; independent: boolean }[] => {
  const segments: { seconds: number; independent: boolean }[] = [];
  for (const part of parts) {
    if (part.part === 0) segments.push({ seconds: 0, independent: part.independent });
    const last = segments.at(-1);
    if (last) last.seconds += part.duration / 90_000;
  }
  return segments;
};

describe('target durations', () => {
  test.each([
    [[2, 2], 2],
    [[0.5, 0.5], 2],
    [[2.002, 2.002], 2],
    [[2, 4.2], 5],
    [[10, 10.05], 10],
  ])('of GOPs %j: %i s', (gops, expected) => {
    expect(targetDurationOf(gops)).toBe(expected);
  });

  test('beyond 10 s the source is refused, with what to do about it', () => {
    expect(() => targetDurationOf([2, 10.2])).toThrow(LiveGopOutOfRange);
    const { fault } = new LiveGopOutOfRange(10.2, 10);
    expect(fault.type).toBe('GOP_OUT_OF_RANGE');
    expect(fault.messages.join(' ')).toMatch(/10\.2 s.*key frame interval of the encoder to 2 seconds/);
  });
});

describe('part targets', () => {
  test.each([24, 25, 29.97, 30, 50, 60])('at %d fps are those of the profile', (fps) => {
    expect(['ultra', 'low', 'default'].map((mode) => partTargetOf(mode as 'low', 1 / fps, 48_000))).toEqual([
      0.215, 0.35, 0.52,
    ]);
  });
  test.each([
    [12, 0.173],
    [10, 0.215],
    [3, 0.344],
  ])('at %d fps hold whole frames', (fps, expected) => {
    expect(partTargetOf('ultra', 1 / fps, 48_000)).toBe(expected);
  });
});

describe('segments', () => {
  test('short GOPs are joined up to 2 s, longer ones stand alone', () => {
    const joined = cutAll(framesAt(steady(8, 30), (_, i) => i % 15 === 0));
    expect(segmentsOf(joined).map(({ seconds }) => Math.round(seconds * 100))).toEqual([200, 200, 200, 200]);
    const alone = cutAll(framesAt(steady(9, 30), (_, i) => i % 45 === 0));
    expect(segmentsOf(alone).map(({ seconds }) => Math.round(seconds * 100))).toEqual([150, 150, 150, 150, 150, 150]);
  });

  test('begin where numbers say, and every one with a key frame', () => {
    const parts = cutAll(framesAt(steady(6, 25), (_, i) => i % 50 === 0));
    expect(parts.filter((part) => part.part === 0).map((part) => part.msn)).toEqual([7, 8, 9]);
    expect(segmentsOf(parts).every(({ independent }) => independent)).toBe(true);
    expect(parts.filter((part) => part.last)).toHaveLength(3);
  });

  test('without a key frame in time are ended all the same, rounded to the target duration', () => {
    const parts = cutAll(framesAt(steady(10, 30), (_, i) => i === 0 || i === 240));
    const segments = segmentsOf(parts);
    for (const { seconds } of segments) expect(Math.round(seconds)).toBeLessThanOrEqual(2);
    expect(segments.map(({ independent }) => independent)).toEqual([true, false, false, false, true]);
  });

  test('keep their cuts when a second worker begins at one of them', () => {
    const frames = framesAt(steady(12, 29.97), (_, i) => i % 20 === 0);
    const all = cutAll(frames);
    const start = all.find((part) => part.msn === 9)?.tfdt ?? 0;
    const limits = copyLimits(0.35, 2, 48_000);
    const cutter = new CopyVideoCutter({ rendition: V, firstMsn: 9, limits, nominalTicks: 3_000 });
    const rest = frames.filter((frame) => frame.dts * 90 >= start).flatMap((frame) => cutter.push(frame));
    const again = [...rest, ...cutter.finish()];
    expect(again).toEqual(all.filter((part) => part.msn >= 9));
  });
});

describe('parts', () => {
  test('of frames with uneven lengths keep to the rules as far as whole frames can', () => {
    // 15 to 60 frames a second, as a phone sends them.
    const times: number[] = [0];
    for (let i = 1; (times.at(-1) ?? 0) < 20_000; i += 1)
      times.push((times.at(-1) ?? 0) + ([17, 33, 67, 20, 50][i % 5] ?? 33));
    const parts = cutAll(framesAt(times, (_, i) => i % 50 === 0));
    for (const part of parts) {
      expect(part.duration / 90_000).toBeLessThanOrEqual(0.35);
      if (!part.last) expect(part.duration / 90_000, `${part.msn}.${part.part}`).toBeGreaterThan(0.35 * 0.85 - 0.067);
    }
  });

  test('follow one another without a hole, and decode times never fall', () => {
    const times = steady(4, 30).map((dts, i) => (i === 20 ? dts - 40 : dts));
    let end = 0;
    for (const part of cutAll(framesAt(times, (_, i) => i % 60 === 0))) {
      expect(part.tfdt).toBe(end);
      end = part.tfdt + part.duration;
      expect(readFragment(part.bytes, NO_DEFAULTS).samples.every((sample) => sample.duration > 0)).toBe(true);
    }
  });

  test('show frames when the source says, B-frames too', () => {
    const frames = framesAt(steady(2, 30), (_, i) => i === 0).map((frame) => ({ ...frame, pts: frame.dts + 67 }));
    const [part] = cutAll(frames);
    const fragment = readFragment(part?.bytes ?? new Uint8Array(0), NO_DEFAULTS);
    expect(new Set(fragment.samples.map((sample) => sample.cts))).toEqual(new Set([67 * 90]));
    expect([fragment.isKey, fragment.samples[1]?.flags]).toEqual([true, 0x01010000]);
  });
});

describe('audio', () => {
  const cutter = (options: { maxFrames?: number; continuesAt?: number | null } = {}): CopyAudioCutter =>
    new CopyAudioCutter({
      rendition: A,
      sampleRate: 48_000,
      silence: Uint8Array.from([0]),
      maxFrames: options.maxFrames ?? 16,
      startsAt: 0,
      continuesAt: options.continuesAt ?? null,
    });
  const cutAt = (ms: number, part: number, last = false) => ({ msn: 0, part, end: ms * 90, last });
  const frameMs = (i: number): number => Math.round((i * 1_024) / 48);

  test('is cut beside the video, at the frame that is nearest', () => {
    const audio = cutter();
    const parts = [333, 667, 1_000].flatMap((ms, i) => audio.cut(cutAt(ms, i, i === 2)));
    for (let i = 0; i < 50; i += 1) parts.push(...audio.push(frameMs(i), Uint8Array.from([i])));
    expect(parts.map((part) => part.duration / 1_024)).toEqual([16, 15, 16]);
    expect(parts.map((part) => part.tfdt)).toEqual([0, 16 * 1_024, 31 * 1_024]);
    expect(parts.map((part) => [part.part, part.last])).toEqual([
      [0, false],
      [1, false],
      [2, true],
    ]);
  });

  test('that is lost becomes silence, that comes twice is dropped', () => {
    const audio = cutter();
    const sent = [0, 1, 2, 2, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17];
    const parts = [
      ...audio.cut(cutAt(333, 0)),
      ...sent.flatMap((i) => audio.push(frameMs(i), Uint8Array.from([i + 1]))),
    ];
    const data = [...readFragment(parts[0]?.bytes ?? new Uint8Array(0), NO_DEFAULTS).data];
    expect(data.filter((byte) => byte === 0).length).toBeGreaterThan(1);
    expect(data).toHaveLength(16);
  });

  test('that stays away is filled up to where the video is', () => {
    const audio = cutter();
    expect(audio.cut(cutAt(333, 0))).toEqual([]);
    expect(audio.fillTo(400 * 90).map((part) => part.duration / 1_024)).toEqual([16]);
    audio.cut(cutAt(667, 1, true));
    expect(audio.finish().map((part) => part.last)).toEqual([true]);
  });

  test('goes on where the audio of the segment before ended', () => {
    const audio = cutter({ continuesAt: 31 * 1_024 });
    const parts = audio.cut(cutAt(1_000, 2));
    for (let i = 25; i < 50; i += 1) parts.push(...audio.push(frameMs(i), Uint8Array.from([i])));
    expect(parts[0]).toMatchObject({ tfdt: 31 * 1_024, duration: 16 * 1_024 });
    expect(readFragment(parts[0]?.bytes ?? new Uint8Array(0), NO_DEFAULTS).data[0]).toBe(31);
  });
});

test('init parts say what the decoder must know', () => {
  const config = Uint8Array.from([1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, 0]);
  const video = readInit(writeVideoInit({ timescale: 90_000, width: 640, height: 360, pixelAspect: 4 / 3, config }));
  expect(video).toMatchObject({ kind: 'video', codecs: 'avc1.64001f', width: 640, height: 360, timescale: 90_000 });
  const audio = readInit(writeAudioInit({ timescale: 44_100, channels: 1, config: Uint8Array.from([0x12, 0x08]) }));
  expect(audio).toMatchObject({
    kind: 'audio',
    codecs: 'mp4a.40.2',
    sampleRate: 44_100,
    channels: 1,
    timescale: 44_100,
  });
});
