// Whether the encoder keeps up: the age of frames when their part comes out, and what to do when it grows. Pure: the clock is passed in.

/** `lighter`: drop the top rung. `heavier`: take it back. `rejoin`: leave out what is late. */
export type LoadVerdict = 'fine' | 'lighter' | 'heavier' | 'rejoin';

/** Behind by more than this, and not catching up, for so long: a rung too many. Unit: ms. */
const LATE_MS = 2_000;
const LATE_FOR_MS = 3_000;
/** With one rung left there is nothing to drop: behind by so much, the rest is left out. Unit: ms. */
const JUMP_MS = 8_000;
/** Less than this for the time below is headroom. Unit: ms. */
const EASY_MS = 1_000;
const EASY_FOR_MS = 30_000;
/** A rung that had to go again soon after it came back waits twice as long the next time. Unit: ms. */
const EASY_CAP_MS = 600_000;
/** A backlog that shrinks at least so fast is being worked off: ms per ms. */
const CATCH_UP = 0.05;

type Sample = { at: number; lagMs: number };

export class LoadWatch {
  #late: Sample[] = [];
  #easySince: number | null = null;
  #easyForMs = EASY_FOR_MS;
  #restoredAt = Number.NEGATIVE_INFINITY;
  #dropped = 0;

  /** @param dropped rungs that the worker before left out */
  begin(dropped: number): void {
    this.#dropped = dropped;
    this.reset();
  }

  /** Rungs left out now, from the top. */
  get dropped(): number {
    return this.#dropped;
  }

  /**
   * A part came out of the encoder.
   * @param now ms of a steady clock
   * @param lagMs age of its newest frame since it arrived at the ingest
   * @param rungs video renditions of the whole ladder
   */
  observe(now: number, lagMs: number, rungs: number): LoadVerdict {
    const isLast = rungs - this.#dropped <= 1;
    if (lagMs > LATE_MS) return this.#observeLate({ at: now, lagMs }, isLast);
    this.#late = [];
    if (lagMs > EASY_MS || this.#dropped === 0) {
      this.#easySince = null;
      return 'fine';
    }
    this.#easySince ??= now;
    return now - this.#easySince >= this.#easyForMs ? 'heavier' : 'fine';
  }

  /** The verdict was followed: a new epoch begins. */
  follow(verdict: LoadVerdict, now: number): void {
    this.#late = [];
    this.#easySince = null;
    if (verdict === 'lighter') {
      const isSoon = now - this.#restoredAt < EASY_FOR_MS;
      this.#easyForMs = isSoon ? Math.min(EASY_CAP_MS, 2 * this.#easyForMs) : EASY_FOR_MS;
      this.#dropped += 1;
    }
    if (verdict === 'heavier') {
      this.#dropped -= 1;
      this.#restoredAt = now;
    }
  }

  /** What is late now is no fault of the encoder: it was away, begins anew, or waits for the store. */
  reset(): void {
    this.#late = [];
    this.#easySince = null;
  }

  #observeLate(sample: Sample, isLast: boolean): LoadVerdict {
    this.#easySince = null;
    this.#late = [...this.#late.filter((past) => sample.at - past.at <= 2 * LATE_FOR_MS), sample];
    const past = this.#late.find((early) => sample.at - early.at <= LATE_FOR_MS + 1_000);
    const first = this.#late[0];
    if (first === undefined || past === undefined || sample.at - first.at < LATE_FOR_MS) return 'fine';
    const isCatchingUp = past.lagMs - sample.lagMs >= CATCH_UP * (sample.at - past.at);
    if (isCatchingUp) return 'fine';
    if (!isLast) return 'lighter';
    return sample.lagMs > JUMP_MS ? 'rejoin' : 'fine';
  }
}

/** Arrival times of frames on their way through the encoder: tells how old a part is when it comes out. */
export class Arrivals {
  #frames: { pts: number; arrival: number }[] = [];
  #newest = 0;

  /** @param pts ms of the FLV clock @param arrival ms since the epoch */
  add(pts: number, arrival: number): void {
    this.#frames.push({ pts, arrival });
  }

  /** Arrival of the newest frame that lies before `endPts` (ms of the FLV clock); those frames are forgotten. */
  until(endPts: number): number {
    // Frames stand in decode order: with B-frames a later one may be shown before its neighbours, so all are looked at.
    for (const { pts, arrival } of this.#frames) if (pts < endPts) this.#newest = Math.max(this.#newest, arrival);
    this.#frames = this.#frames.filter((frame) => frame.pts >= endPts);
    return this.#newest;
  }
}
