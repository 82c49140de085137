// How fast a viewer who follows the live edge plays: pure rule. hls.js's own stops a second before the buffer's end and beyond four seconds of delay; this does not.

export type LivePlace = {
  /** Behind the newest media, and where it should be. Unit: s. */
  latencyS: number;
  targetS: number;
  /** Media ahead of the play head. Unit: s. */
  bufferedS: number;
  /** Length between two arrivals of media: of a part, or of a segment where there are none. Unit: s. */
  stepS: number;
  /** Since the newest media arrived. Unit: s. */
  ageS: number;
  /** Speed until now. */
  speed: number;
};

/** Hurrying begins this far behind the target and ends this near to it, so that the speed does not flicker. Unit: s. */
const BEGIN_S = 0.15;
const END_S = 0.03;
/** Speed gained per second of delay, and the steps it goes in: each change is a small job for the audio. */
const GAIN_PER_S = 0.4;
const STEP = 0.05;
/** Least buffer, in arrivals, with which to hurry; and how late the next arrival may be. */
const LEAST_STEPS = 1.25;
const OVERDUE_STEPS = 1.75;

/**
 * Playback speed that takes the viewer to the target: 1 at the target, while little is buffered, and while new media is overdue
 * (hurrying then would only bring the stall nearer).
 * @param maxRate 1: never faster
 */
export function catchUpSpeed(place: LivePlace, maxRate: number): number {
  const behindS = place.latencyS - place.targetS;
  if (behindS <= (place.speed > 1 ? END_S : BEGIN_S) || place.bufferedS < LEAST_STEPS * place.stepS) return 1;
  if (place.ageS > OVERDUE_STEPS * place.stepS) return 1;
  const wanted = 1 + Math.max(STEP, Math.round((behindS * GAIN_PER_S) / STEP) * STEP);
  return Math.max(1, Math.min(maxRate, Number(wanted.toFixed(2))));
}
