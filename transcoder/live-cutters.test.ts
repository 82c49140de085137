// Parts out of fragments, on fragments written here: places, durations, key frames, the audio clock.
import { describe, expect, test } from 'vitest';
import type { RenditionName } from '../platform/contract/ids.ts';
import { type Fragment, readFragment, SYNC_SAMPLE_FLAGS, writeFragment } from '../platform/hls/cmaf.ts';
import { AudioCutter } from './live-audio-cutter.ts';
import { LiveEncoderFailed } from './live-errors.ts';
import { newGrid } from './live-grid.ts';
import { VideoCutter } from './live-video-cutter.ts';

const FPS = { num: 30, den: 1 };
const GRID = newGrid('default', FPS, 1_000, 10);
const V = 'v180' as RenditionName;
const A = 'a0' as RenditionName;
const NONE = { duration: 0, size: 0, flags: 0 };
const DELTA = 0x01010000;

const fragment = (tfdt: number, samples: { duration: number; flags: number; byte?: number }[]): Fragment => {
  const rows = samples.map(({ duration, flags }) => ({ duration, flags, size: 1, cts: 0 }));
  const data = Uint8Array.from(samples.map(({ byte }) => byte ?? 1));
  return readFragment(writeFragment({ sequence: 1, trackId: 1, tfdt, samples: rows, data }), NONE);
};
/** Video frames [from, from + count) of the epoch, a key frame each 30. */
const video = (from: number, count: number): Fragment =>
  fragment(
    (30 + from) * 3_000,
    Array.from({ length: count }, (_, i) => ({
      duration: 3_000,
      flags: (from + i) % 30 === 0 ? SYNC_SAMPLE_FLAGS : DELTA,
      byte: from + i,
    })),
  );

describe('VideoCutter', () => {
  test('gives one part per part, whatever the fragments', () => {
    const cutter = new VideoCutter(V, GRID, 10, 1);
    const parts = [video(0, 15), video(15, 7), video(22, 20), video(42, 18), video(60, 15)].flatMap((f) =>
      cutter.push(f),
    );
    expect(
      parts.map(({ msn, part, duration, tfdt, independent, last }) => [msn, part, duration, tfdt, independent, last]),
    ).toEqual([
      [10, 0, 45_000, 90_000, true, false],
      [10, 1, 45_000, 135_000, false, false],
      [10, 2, 45_000, 180_000, true, false],
      [10, 3, 45_000, 225_000, false, true],
      [11, 0, 45_000, 270_000, true, false],
    ]);
    const frames = parts.flatMap(({ bytes }) => [...readFragment(bytes, NONE).data]);
    expect(frames).toEqual(Array.from({ length: 75 }, (_, i) => i));
  });

  test('begins at a later segment', () => {
    const [part] = new VideoCutter(V, GRID, 12, 1).push(video(120, 15));
    expect(part).toMatchObject({ msn: 12, part: 0, tfdt: 450_000 });
  });

  test('refuses a gap, a repeat and a missing key frame', () => {
    expect(() => new VideoCutter(V, GRID, 10, 1).push(video(1, 15))).toThrow(LiveEncoderFailed);
    const cutter = new VideoCutter(V, GRID, 10, 1);
    cutter.push(video(0, 15));
    expect(() => cutter.push(video(14, 15))).toThrow(LiveEncoderFailed);
    const blind = fragment(
      90_000,
      Array.from({ length: 15 }, () => ({ duration: 3_000, flags: DELTA })),
    );
    expect(() => new VideoCutter(V, GRID, 10, 1).push(blind)).toThrow('no key frame');
  });

  test('the last part closes its segment, short or whole', () => {
    const short = new VideoCutter(V, GRID, 10, 1);
    short.push(video(0, 15));
    short.end();
    expect(short.push(video(15, 4))).toEqual([]);
    expect(short.finish()).toMatchObject([{ part: 1, duration: 12_000, last: true }]);
    const whole = new VideoCutter(V, GRID, 10, 1);
    whole.end();
    expect(whole.push(video(0, 15))).toEqual([]);
    expect(whole.push(video(15, 15))).toMatchObject([{ part: 0, last: false }]);
    expect(whole.finish()).toMatchObject([{ part: 1, last: true }]);
  });
});

describe('AudioCutter', () => {
  const cutter = (continuesAt: number | null = null) =>
    new AudioCutter({
      rendition: A,
      grid: GRID,
      firstMsn: 10,
      trackId: 1,
      sampleRate: 48_000,
      channels: 2,
      continuesAt,
      isAlone: false,
    });
  /** `count` frames, each its own fragment, at the times a millisecond clock gives them. */
  const feed = (target: AudioCutter, from: number, count: number) =>
    Array.from({ length: count }, (_, i) => Math.round(((from + i * 1_024) / 48_000) * 1_000) * 48).flatMap((at) =>
      target.push(fragment(at, [{ duration: 1_008, flags: SYNC_SAMPLE_FLAGS }])),
    );

  test('follows the video parts without drift', () => {
    const target = cutter();
    const parts = feed(target, 48_000, 48_000 / 16);
    expect(parts.length).toBeGreaterThan(120);
    parts.forEach((part, i) => {
      const before = parts[i - 1];
      if (before) expect(part.tfdt).toBe(before.tfdt + before.duration);
      expect(Math.abs(part.tfdt - (48_000 + i * 24_000))).toBeLessThanOrEqual(512);
      expect([23 * 1_024, 24 * 1_024]).toContain(part.duration);
      expect([part.msn, part.part]).toEqual([10 + Math.floor(i / 4), i % 4]);
    });
  });

  test('drops what comes before the segment, and goes on where the one before ended', () => {
    const target = cutter(48_200);
    const [part] = feed(target, 40_000, 40);
    expect(part?.tfdt).toBe(48_200);
    expect(target.push(fragment(0, [{ duration: 1_024, flags: SYNC_SAMPLE_FLAGS }]))).toEqual([]);
  });

  test('fills a hole with silence and drops what comes twice', () => {
    const target = cutter();
    const parts = [
      ...feed(target, 48_000, 10),
      ...feed(target, 48_000 + 30 * 1_024, 40),
      ...feed(target, 48_000 + 20 * 1_024, 30),
    ];
    parts.forEach((part, i) => {
      const before = parts[i - 1];
      if (before) expect(part.tfdt).toBe(before.tfdt + before.duration);
    });
    const first = readFragment(parts[0]?.bytes ?? new Uint8Array(0), NONE);
    expect(first.samples.slice(0, 10).every((sample) => sample.size === 1)).toBe(true);
    expect(first.samples.slice(10).every((sample) => sample.size === 9)).toBe(true);
    expect(parts).toHaveLength(3);
  });

  test('is silent where the source is, up to the frame asked for, and ends with the video', () => {
    const target = cutter();
    expect(target.fillTo(15)).toHaveLength(1);
    const rest = target.finish(20);
    expect(rest).toMatchObject([{ msn: 10, part: 1 }]);
    expect(Math.abs((rest[0]?.tfdt ?? 0) + (rest[0]?.duration ?? 0) - 80_000)).toBeLessThanOrEqual(512);
    expect(target.finish(20)).toEqual([]);
  });
});
