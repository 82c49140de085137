// Counts stalls the way a viewer feels them: the picture stands still although nobody paused, sought or reached the end.

export type PlayheadSample = {
  /** Steady clock, ms. */
  nowMs: number;
  /** Media time, s. */
  positionS: number;
  /** Paused, seeking, ended, or nothing played yet. */
  isIdle: boolean;
};

/** Standing still for longer than this is a stall; shorter gaps are the element's own steps. Unit: ms. */
export const STALL_AFTER_MS = 350;

/** Fed with samples of the play head, a few per second. */
export class StallMeter {
  #movedAtMs = 0;
  #positionS = Number.NaN;
  #stallBeganMs: number | null = null;
  #stalls = 0;
  #closedMs = 0;
  #lastMs = 0;

  /** @returns true while the picture stands still */
  sample(sample: PlayheadSample): boolean {
    const { nowMs, positionS } = sample;
    const isMoving = positionS !== this.#positionS;
    this.#positionS = positionS;
    this.#lastMs = nowMs;
    if (isMoving || sample.isIdle) {
      if (this.#stallBeganMs !== null) this.#closedMs += nowMs - this.#stallBeganMs;
      this.#stallBeganMs = null;
      this.#movedAtMs = nowMs;
      return false;
    }
    if (this.#stallBeganMs === null && nowMs - this.#movedAtMs >= STALL_AFTER_MS) {
      this.#stalls += 1;
      this.#stallBeganMs = this.#movedAtMs;
    }
    return this.#stallBeganMs !== null;
  }

  /** Stalls so far, the running one included. */
  get stalls(): number {
    return this.#stalls;
  }

  /** Time stood still so far, ms. */
  get stallMs(): number {
    return Math.round(this.#closedMs + this.currentMs);
  }

  /** Length of the running stall, ms; 0 without one. */
  get currentMs(): number {
    return this.#stallBeganMs === null ? 0 : this.#lastMs - this.#stallBeganMs;
  }
}
