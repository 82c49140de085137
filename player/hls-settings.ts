// Every setting of hls.js that differs from its defaults, and why. Numbers of the live edge come from the playlist, never from here.

/** Fastest speed at which a viewer behind the live target catches up; `?catchup=` of the page overrides it. */
export const CATCH_UP_RATE = 1.2;
/** A stall moves the live target back by this much, until playback has been calm again (live-target.ts). Unit: s. */
const STALL_STEP_S = 0.4;
/**
 * A viewer who follows the live edge and fell this many target durations behind (slow start, outage) is taken back to
 * it; one who paused or went back in time stays there.
 */
export const FOLLOWING_COUNT = 6;
/** Origins hold a blocked playlist for at most this many target durations, then answer 503. */
const HOLD_TARGETS = 3;
const HOLD_SLACK_MS = 2_000;
/** Parts (or segments, where there are none) after which a held playlist is overdue. */
const OVERDUE_STEPS = 2;
const OVERDUE_SLACK_MS = 800;
/** Assumed until the first playlist came. Unit: s. */
const USUAL_TARGET_S = 2;

type Retries = { maxNumRetry: number; retryDelayMs: number; maxRetryDelayMs: number };

const retries = (maxNumRetry: number, retryDelayMs: number, maxRetryDelayMs: number): Retries => ({
  maxNumRetry,
  retryDelayMs,
  maxRetryDelayMs,
});
// The time limits are those of the edge loader, which knows the edges; hls.js counts the repetitions.
const policy = (errorRetry: Retries) => ({
  default: { maxTimeToFirstByteMs: 40_000, maxLoadTimeMs: 60_000, timeoutRetry: retries(2, 0, 0), errorRetry },
});

/**
 * Settings for one source. liveSyncDuration and liveSyncDurationCount stay unset: either would override the playlist's
 * PART-HOLD-BACK and HOLD-BACK, which are right for each latency mode. (liveMaxLatencyDurationCount may not be given without
 * liveSyncDurationCount: it is set on the running instance.)
 * @param workerPath address of the hls.js worker script
 */
export const hlsSettings = (isLive: boolean, workerPath: string) => ({
  enableWorker: true,
  workerPath,
  lowLatencyMode: true,
  liveDurationInfinity: true,
  // Catching up is our own rule: live-catch-up.ts.
  maxLiveSyncPlaybackRate: 1,
  liveSyncOnStallIncrease: STALL_STEP_S,
  // What has been played is kept for a minute only, so a page that is open for a day needs no more memory than one of an hour.
  backBufferLength: 60,
  maxBufferLength: isLive ? 12 : 30,
  maxMaxBufferLength: isLive ? 30 : 90,
  startFragPrefetch: true,
  testBandwidth: false,
  abrEwmaDefaultEstimate: 2_000_000,
  errorPenaltyExpireMs: 20_000,
  manifestLoadPolicy: policy(retries(4, 200, 1_500)),
  playlistLoadPolicy: policy(retries(6, 200, 1_500)),
  fragLoadPolicy: policy(retries(6, 150, 1_000)),
});

/** Time limits of a playlist that the platform may hold back. Unit: ms. */
export type HeldLimits = {
  /** Longer than the origin holds it, so that its 503 arrives instead of a timeout. */
  firstByteMs: number;
  /** New media is overdue: another edge is asked as well. */
  hedgeMs: number;
};

/** @param playlist as hls.js holds it; null before the first one. Unit: s */
export function heldLimits(playlist: { targetduration: number; partTarget: number } | null): HeldLimits {
  const targetS = playlist?.targetduration ?? USUAL_TARGET_S;
  const stepS = playlist?.partTarget || targetS;
  return {
    firstByteMs: HOLD_TARGETS * targetS * 1_000 + HOLD_SLACK_MS,
    hedgeMs: OVERDUE_STEPS * stepS * 1_000 + OVERDUE_SLACK_MS,
  };
}

/** The catch-up speed that a page's query asks for: 1 (none) to 2; anything else is the usual one. */
export function catchUpRate(wanted: string | null): number {
  const rate = Number(wanted ?? Number.NaN);
  return rate >= 1 && rate <= 2 ? rate : CATCH_UP_RATE;
}
