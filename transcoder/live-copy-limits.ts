// The lengths of pass-through: target duration, part target, and where parts and segments of a source may be cut. Pure arithmetic over the
// frames themselves, so that a second worker which reads the same frames cuts at the same places.
import { gridFor, type LatencyMode, MAX_TARGET_DURATION_S, snapFrameRate } from '../platform/contract/latency.ts';
import { AAC_FRAME_SAMPLES } from './flv-codecs.ts';
import { LiveGopOutOfRange } from './live-copy-errors.ts';
import { VIDEO_TIMESCALE } from './live-grid.ts';

/** Source timestamps are whole milliseconds, and EXTINF is rounded: a GOP this much over a whole second is taken for it. Unit: s. */
const ROUNDING_S = 0.1;
/** Short GOPs are joined into segments up to this length. Unit: s. */
const JOINED_S = 2;
/** Parts shorter than this share of the part target are against the rules (rfc8216bis, 4.4.4.9). */
const LEAST_PART = 0.85;
/** Parts of one segment that a fragment's number has room for. */
const PARTS = 4_096;

/** Number of a part's fragments, the same for every worker. */
export const sequenceOf = ({ msn, part }: { msn: number; part: number }): number =>
  ((msn * PARTS + part) % 0xffffffff) + 1;

/** Lengths in VIDEO_TIMESCALE ticks. */
export type CopyLimits = {
  /** Most of a part, so that the audio beside it, cut at whole frames, keeps to the part target too. */
  part: number;
  /** A part of at least this length need not wait for another frame. */
  leastPart: number;
  /** A segment is closed at a key frame unless another GOP like the last would end before this. */
  joined: number;
  /** No segment is longer, key frame or not: its rounded EXTINF must not exceed the target duration. */
  longest: number;
  /** Most AAC frames of a part. */
  audioFrames: number;
};

/**
 * EXT-X-TARGETDURATION of a source.
 * @param gopSeconds its first two distances of key frames, or what is known of them
 * @throws LiveGopOutOfRange
 */
export function targetDurationOf(gopSeconds: readonly number[]): number {
  const longest = Math.max(0, ...gopSeconds);
  const target = Math.max(JOINED_S, Math.ceil(longest - ROUNDING_S));
  if (target > MAX_TARGET_DURATION_S) throw new LiveGopOutOfRange(longest, MAX_TARGET_DURATION_S);
  return target;
}
/** Longest wait for the second key frame. Unit: s. */
export const GOP_LIMIT_S = MAX_TARGET_DURATION_S + ROUNDING_S;

/** Target that parts are cut by; `standard` cuts them too, for playback that joins in the middle of a segment. */
const targetOf = (mode: LatencyMode): number =>
  gridFor(mode === 'standard' ? 'default' : mode, snapFrameRate(30)).partTargetS ?? 1;

/** Whole AAC frames that fit a time; at 0 Hz there is no audio. */
const framesIn = (seconds: number, sampleRate: number): number =>
  Math.floor((seconds * sampleRate) / AAC_FRAME_SAMPLES + 1e-6);

/** @param sampleRate of the audio, 0: none. Unit of the answer: s */
function partLimit(target: number, sampleRate: number): number {
  return sampleRate === 0 ? target : (framesIn(target, sampleRate) * AAC_FRAME_SAMPLES) / sampleRate;
}

/**
 * PART-TARGET of a source: the profile's own, or less where frames are so long that parts of whole frames would stay below 85 % of it.
 * @param frameS length of a frame, s
 * @param sampleRate of the audio, 0: none
 */
export function partTargetOf(mode: LatencyMode, frameS: number, sampleRate: number): number {
  const target = targetOf(mode);
  const frames = Math.max(1, Math.floor((partLimit(target, sampleRate) + 0.001) / frameS));
  const length = frames * frameS;
  if (length <= target && length >= (LEAST_PART + 0.01) * target) return target;
  const audio = sampleRate === 0 ? 0 : Math.ceil((length * sampleRate) / AAC_FRAME_SAMPLES) * AAC_FRAME_SAMPLES;
  const longest = Math.max(length, sampleRate === 0 ? 0 : audio / sampleRate);
  return Math.ceil((longest + 0.002) * 1_000) / 1_000;
}

/** @param partTarget EpochInfo.part_target; null in profile `standard` */
export function copyLimits(partTarget: number | null, targetDuration: number, sampleRate: number): CopyLimits {
  const target = partTarget ?? targetOf('standard');
  const ticks = (seconds: number) => Math.round(seconds * VIDEO_TIMESCALE);
  return {
    part: ticks(partLimit(target, sampleRate) + 0.001),
    leastPart: ticks(LEAST_PART * target),
    joined: ticks(Math.min(JOINED_S, targetDuration) + ROUNDING_S),
    longest: ticks(targetDuration + 0.49),
    audioFrames: framesIn(target, sampleRate),
  };
}
