// When the live target may move forward again after stalls: pure rule over times.

/** Calm playback for this long takes the target back to what the playlist asks for. Unit: ms. */
export const CALM_MS = 30_000;
/** Each stall soon after such a return doubles the time to wait, up to this. Unit: ms. */
export const MOST_CALM_MS = 480_000;
/** A stall within this time after a return means that the target was too near. Unit: ms. */
const SOON_MS = 60_000;

/** hls.js moves its target back at each stall and never forward again; this says when it should. */
export class TargetReturn {
  #lastStallMs: number | null = null;
  #returnedMs = Number.NEGATIVE_INFINITY;
  #calmMs = CALM_MS;

  /** @param nowMs steady clock */
  stalled(nowMs: number): void {
    if (nowMs - this.#returnedMs < SOON_MS) this.#calmMs = Math.min(MOST_CALM_MS, this.#calmMs * 2);
    this.#lastStallMs = nowMs;
    this.#returnedMs = Number.NEGATIVE_INFINITY;
  }

  /** The stalls so far were not the network's: the broadcaster was away. */
  forgive(): void {
    this.#lastStallMs = Number.NEGATIVE_INFINITY;
  }

  /** True once per return: the caller then sets the target. */
  isDue(nowMs: number): boolean {
    if (this.#lastStallMs === null || nowMs - this.#lastStallMs < this.#calmMs) return false;
    this.#lastStallMs = null;
    this.#returnedMs = nowMs;
    return true;
  }
}
