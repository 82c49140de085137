// Latency profiles: part and GOP lengths in frames, fixed by profile and frame rate, never by the source (docs/architecture.md, 4).
export const LATENCY_MODES = ['ultra', 'low', 'default', 'standard'] as const;
export type LatencyMode = (typeof LATENCY_MODES)[number];

/** Output frame rates; a source snaps to the nearest, rates above 60 are halved first. */
export const FRAME_RATES = [
  { num: 24, den: 1 },
  { num: 25, den: 1 },
  { num: 30_000, den: 1001 },
  { num: 30, den: 1 },
  { num: 50, den: 1 },
  { num: 60, den: 1 },
] as const;
export type FrameRate = { num: number; den: number };

export type Grid = {
  /** Frames of one part, one GOP, one segment (2 GOP). */
  partFrames: number;
  gopFrames: number;
  segmentFrames: number;
  /** PART-TARGET, seconds; null without parts. */
  partTargetS: number | null;
};

/** EXT-X-TARGETDURATION of every encoded live playlist. Unit: s. Pass-through takes it from the source (EpochInfo.target_duration). */
export const LIVE_TARGET_DURATION_S = 2;
/** Largest target duration that pass-through accepts. Unit: s. */
export const MAX_TARGET_DURATION_S = 10;
/** PART-HOLD-BACK is this many part targets, HOLD-BACK this many target durations, CAN-SKIP-UNTIL this many (rfc8216bis, 4.4.3.8). */
export const PART_HOLD_BACK_TARGETS = 3;
export const HOLD_BACK_TARGETS = 3;
export const SKIP_UNTIL_TARGETS = 6;
/** An origin holds a request back this many target durations at most, until there is news. */
export const LONGEST_WAIT_TARGETS = 3;
/** Directive-bearing answers are exact, and parts are listed, this many target durations back from the live edge. */
export const PARTS_KEPT_TARGETS = 3;

const PARTS: Record<Exclude<LatencyMode, 'standard'>, { targetS: number; frames: Record<number, [number, number]> }> = {
  ultra: { targetS: 0.215, frames: { 24: [5, 25], 25: [5, 25], 30: [6, 30], 50: [10, 50], 60: [12, 60] } },
  low: { targetS: 0.35, frames: { 24: [8, 24], 25: [8, 24], 30: [10, 30], 50: [16, 48], 60: [20, 60] } },
  default: { targetS: 0.52, frames: { 24: [12, 24], 25: [12, 24], 30: [15, 30], 50: [24, 48], 60: [30, 60] } },
};

/** Nearest supported rate to a source's `fps` (frames per second); unknown or absurd rates become 30. */
export function snapFrameRate(fps: number): FrameRate {
  if (!Number.isFinite(fps) || fps <= 0) return { num: 30, den: 1 };
  let wanted = fps;
  while (wanted > 61) wanted /= 2;
  let best: FrameRate = FRAME_RATES[3];
  for (const rate of FRAME_RATES) {
    if (Math.abs(rate.num / rate.den - wanted) < Math.abs(best.num / best.den - wanted)) best = rate;
  }
  return { num: best.num, den: best.den };
}

/** Part, GOP and segment lengths of a profile at a snapped frame rate. `standard` cuts like `default`, without parts in playlists. */
export function gridFor(mode: LatencyMode, rate: FrameRate): Grid {
  const profile = PARTS[mode === 'standard' ? 'default' : mode];
  const [partFrames, gopFrames] = profile.frames[Math.round(rate.num / rate.den)] ?? [15, 30];
  return {
    partFrames,
    gopFrames,
    segmentFrames: 2 * gopFrames,
    partTargetS: mode === 'standard' ? null : profile.targetS,
  };
}
