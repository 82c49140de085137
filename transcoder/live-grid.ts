// The grid of a live epoch: which source frame is which frame of the output, and in which segment and part it stands. Pure arithmetic:
// every worker that takes the broadcast over computes the same cuts from the epoch's record.
import { type FrameRate, gridFor, type LatencyMode } from '../platform/contract/latency.ts';
import type { EpochInfo } from '../platform/contract/records.ts';

/** Ticks per second of every video rendition: a whole number of them makes one frame at each supported rate. */
export const VIDEO_TIMESCALE = 90_000;
/** The same per ms, the unit of the FLV clock. */
export const TICKS_PER_MS = VIDEO_TIMESCALE / 1_000;

export type LiveGrid = {
  fps: FrameRate;
  partFrames: number;
  gopFrames: number;
  segmentFrames: number;
  /** Number of the epoch's first frame: round(ts0 x fps). */
  firstFrame: number;
  /**
   * How far the publisher's frames stand behind the grid's: less than half a frame. Taken out, it leaves the whole-ms timestamps of the FLV
   * clock room for their rounding; left in, frames that stand between two places would fall now to one and now to the other. Unit: ms.
   */
  phaseMs: number;
  msn0: number;
};

/** Number of the frame nearest to a time. @param ts ms */
export const frameAt = (ts: number, fps: FrameRate): number => Math.round((ts * fps.num) / (fps.den * 1_000));
/** Number of the output frame that shows a source timestamp. @param ts ms */
export const frameOf = (ts: number, { fps, phaseMs }: LiveGrid): number => frameAt(ts - phaseMs, fps);
/** Source time of an output frame. Unit: s. */
export const secondsOfFrame = (frame: number, fps: FrameRate): number => (frame * fps.den) / fps.num;
/** Decode time of an output frame in a timescale, rounded. */
export const ticksOfFrame = (frame: number, fps: FrameRate, timescale: number): number =>
  Math.round((frame * fps.den * timescale) / fps.num);
/** Ticks of one frame in VIDEO_TIMESCALE; whole at every supported rate. */
export const frameTicks = (fps: FrameRate): number => (VIDEO_TIMESCALE * fps.den) / fps.num;

export function gridOf(epoch: EpochInfo): LiveGrid {
  return {
    fps: epoch.fps,
    partFrames: epoch.part_frames,
    gopFrames: epoch.gop_frames,
    segmentFrames: epoch.segment_frames,
    ...beginAt(epoch.ts0, epoch.fps),
    msn0: epoch.msn0,
  };
}

function beginAt(ts0: number, fps: FrameRate): Pick<LiveGrid, 'firstFrame' | 'phaseMs'> {
  const firstFrame = frameAt(ts0, fps);
  return { firstFrame, phaseMs: ts0 - 1_000 * secondsOfFrame(firstFrame, fps) };
}

/**
 * Grid of a new epoch.
 * @param ts0 source timestamp (ms) of its first frame
 */
export function newGrid(mode: LatencyMode, fps: FrameRate, ts0: number, msn0: number): LiveGrid {
  const { partFrames, gopFrames, segmentFrames } = gridFor(mode, fps);
  return { fps, partFrames, gopFrames, segmentFrames, ...beginAt(ts0, fps), msn0 };
}

/** Segment and part of the frame at `index`, counted from the epoch's first frame. */
export function placeOf(grid: LiveGrid, index: number): { msn: number; part: number } {
  const segment = Math.floor(index / grid.segmentFrames);
  const part = Math.floor((index - segment * grid.segmentFrames) / grid.partFrames);
  return { msn: grid.msn0 + segment, part };
}

/** Index of a segment's first frame. */
export const indexOfSegment = (grid: LiveGrid, msn: number): number => (msn - grid.msn0) * grid.segmentFrames;

/** Wall clock of a frame, from the epoch's own origin. Unit: ms since the epoch. */
export const clockOf = (epoch: EpochInfo, index: number): number =>
  epoch.pdt0 + (index * 1_000 * epoch.fps.den) / epoch.fps.num;

/** Wall clock of a part's first frame. @param part of the epoch's first rendition. Unit: ms since the epoch. */
export function pdtOf(epoch: EpochInfo, part: { msn: number; part: number; tfdt: number }): number {
  if (epoch.grid === 'copy') {
    return epoch.pdt0 + (part.tfdt * 1_000) / (epoch.renditions[0]?.timescale ?? 1_000) - epoch.ts0;
  }
  return clockOf(epoch, indexOfSegment(gridOf(epoch), part.msn) + part.part * epoch.part_frames);
}

/** Length of a part (ms), and parts of a whole segment: what gap entries are made of. */
export function gapGridOf(epoch: EpochInfo): { partMs: number; partsPerSegment: number } {
  if (epoch.grid === 'copy') {
    const partS = epoch.part_target ?? epoch.target_duration;
    return { partMs: 1_000 * partS, partsPerSegment: Math.max(1, Math.floor(epoch.target_duration / partS)) };
  }
  const partMs = (epoch.part_frames * 1_000 * epoch.fps.den) / epoch.fps.num;
  return { partMs, partsPerSegment: Math.ceil(epoch.segment_frames / epoch.part_frames) };
}
