// The seek bar's arithmetic and words: places on the bar, times on a live window or in a video. Pure.
import { formatDuration } from './format.ts';

export type SeekRange = {
  /** First and last place that can be sought. Unit: s of media time. */
  startS: number;
  endS: number;
  /** The range slides; `endS` is where live plays. */
  isLive: boolean;
};

/** Place on the bar, 0 to 1. */
export function ratioAt(timeS: number, range: SeekRange): number {
  const span = range.endS - range.startS;
  return span <= 0 ? 1 : Math.min(1, Math.max(0, (timeS - range.startS) / span));
}

/** Media time at a place on the bar. */
export const timeAt = (ratio: number, range: SeekRange): number =>
  range.startS + Math.min(1, Math.max(0, ratio)) * Math.max(0, range.endS - range.startS);

/** `-1:23` behind live, `Live` at its edge; `1:23` in a video. */
export function placeLabel(timeS: number, range: SeekRange): string {
  if (!range.isLive) return formatDuration(Math.max(0, timeS - range.startS));
  const behind = Math.round(range.endS - timeS);
  return behind <= 0 ? 'Live' : `-${formatDuration(behind)}`;
}

/** The same for screen readers: `1 minute 23 seconds behind live`, `1 minute 23 seconds of 10 minutes`. */
export function spokenPlace(timeS: number, range: SeekRange): string {
  if (!range.isLive) return `${spokenTime(timeS - range.startS)} of ${spokenTime(range.endS - range.startS)}`;
  const behind = Math.round(range.endS - timeS);
  return behind <= 0 ? 'live' : `${spokenTime(behind)} behind live`;
}

/** `1 hour 2 minutes 3 seconds`; `0 seconds`. */
export function spokenTime(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const parts = [
    [Math.floor(whole / 3_600), 'hour'],
    [Math.floor(whole / 60) % 60, 'minute'],
    [whole % 60, 'second'],
  ] as const;
  const said = parts.filter(([count]) => count > 0).map(([count, unit]) => `${count} ${unit}${count === 1 ? '' : 's'}`);
  return said.length === 0 ? '0 seconds' : said.join(' ');
}

const SMALL_STEP_S = 5;
const LARGE_STEP_S = 60;

/**
 * Where a key takes the play head.
 * @returns null when the key is none of the bar's
 */
export function keyTarget(key: string, timeS: number, range: SeekRange): number | null {
  const steps: Record<string, number> = {
    ArrowLeft: -SMALL_STEP_S,
    ArrowDown: -SMALL_STEP_S,
    ArrowRight: SMALL_STEP_S,
    ArrowUp: SMALL_STEP_S,
    PageDown: -LARGE_STEP_S,
    PageUp: LARGE_STEP_S,
  };
  if (key === 'Home') return range.startS;
  if (key === 'End') return range.endS;
  const step = steps[key];
  return step === undefined ? null : Math.min(range.endS, Math.max(range.startS, timeS + step));
}
