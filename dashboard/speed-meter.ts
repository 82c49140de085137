// Smoothed speed of a transfer over the last seconds.

/** Window over which the speed is taken. Unit: ms. */
const WINDOW_MS = 4_000;

/** Fed with how much has been sent so far. */
export class SpeedMeter {
  #samples: { atMs: number; bytes: number }[] = [];

  /**
   * @param bytes sent so far; less than before after an interruption, which starts the measure anew
   * @returns bytes per second, 0 while unknown
   */
  add(atMs: number, bytes: number): number {
    const last = this.#samples.at(-1);
    if (last !== undefined && bytes < last.bytes) this.#samples = [];
    this.#samples.push({ atMs, bytes });
    this.#samples = this.#samples.filter((sample) => atMs - sample.atMs <= WINDOW_MS);
    const first = this.#samples[0];
    if (first === undefined || atMs - first.atMs < 500) return 0;
    return ((bytes - first.bytes) * 1_000) / (atMs - first.atMs);
  }
}
