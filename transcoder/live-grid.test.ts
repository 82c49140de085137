// The grid for every latency mode and rate: whole ticks, whole parts, and the same cuts from every place a worker may begin.
import { describe, expect, test } from 'vitest';
import { FRAME_RATES, LATENCY_MODES } from '../platform/contract/latency.ts';
import type { EpochInfo } from '../platform/contract/records.ts';
import { epochOf } from '../test/support/timelines.ts';
import {
  clockOf,
  frameAt,
  frameOf,
  frameTicks,
  gridOf,
  indexOfSegment,
  newGrid,
  placeOf,
  secondsOfFrame,
  ticksOfFrame,
  VIDEO_TIMESCALE,
} from './live-grid.ts';

const cases = LATENCY_MODES.flatMap((mode) => FRAME_RATES.map((fps) => ({ mode, fps, rate: fps.num / fps.den })));

describe.each(cases)('$mode at $rate', ({ mode, fps }) => {
  const grid = newGrid(mode, fps, 67, 100);

  test('segments are whole parts and two groups of pictures', () => {
    expect(grid.segmentFrames % grid.partFrames).toBe(0);
    expect(grid.gopFrames % grid.partFrames).toBe(0);
    expect(grid.segmentFrames).toBe(2 * grid.gopFrames);
  });

  test('a frame is a whole number of ticks', () => {
    expect(Number.isInteger(frameTicks(fps))).toBe(true);
    for (const frame of [0, 1, 7, 12_345, 9_999_999]) {
      expect(ticksOfFrame(frame, fps, VIDEO_TIMESCALE)).toBe(frame * frameTicks(fps));
    }
  });

  test('places and segment starts are inverse', () => {
    for (const msn of [100, 101, 1_234]) {
      const index = indexOfSegment(grid, msn);
      expect(placeOf(grid, index)).toEqual({ msn, part: 0 });
      expect(placeOf(grid, index + grid.partFrames)).toEqual({ msn, part: 1 });
      expect(placeOf(grid, index - 1)).toEqual({ msn: msn - 1, part: grid.segmentFrames / grid.partFrames - 1 });
    }
  });

  test('a frame time in whole ms leads back to the frame', () => {
    for (const frame of [0, 1, 2, 1_000, 7_776_001]) {
      expect(frameAt(Math.round(secondsOfFrame(frame, fps) * 1_000), fps)).toBe(frame);
    }
  });

  test('whatever the publisher begins with, each of its whole-ms frames has a place of its own', () => {
    for (let ts0 = 0; ts0 < 100; ts0 += 1) {
      const own = newGrid(mode, fps, ts0, 0);
      expect(Math.abs(own.phaseMs)).toBeLessThanOrEqual(500 / (fps.num / fps.den) + 1e-6);
      const frames = Array.from({ length: 1_200 }, (_none, i) => i + 54_000);
      const places = frames.map((i) => frameOf(Math.round(ts0 + 1_000 * secondsOfFrame(i, fps)), own));
      expect(places).toEqual(frames.map((i) => i + own.firstFrame));
    }
  });
});

const epoch = (fps: EpochInfo['fps']): EpochInfo => ({
  ...epochOf(3, 40, []),
  ...{ ts0: 1_067, pdt0: 1_700_000_000_000, fps },
});

test('a worker that reads the record gets the grid of the one that wrote it', () => {
  const fps = { num: 30, den: 1 };
  expect(gridOf(epoch(fps))).toEqual(newGrid('default', fps, 1_067, 40));
  expect(gridOf(epoch(fps)).firstFrame).toBe(32);
});

test('wall clock runs with the frames', () => {
  expect(clockOf(epoch({ num: 30_000, den: 1_001 }), 30_000)).toBe(1_700_000_000_000 + 1_001_000);
});
