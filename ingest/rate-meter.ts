// Bit rate of one publisher over the last seconds, from whole-second buckets.
const WINDOW_S = 5;

/** Counts bytes; `now` is any steady clock in ms. */
export class RateMeter {
  private readonly buckets = new Map<number, number>();
  private readonly startedAt: number;
  private readonly windowS: number;

  /** @param windowS length of the mean, s */
  constructor(now: number, windowS = WINDOW_S) {
    this.startedAt = now;
    this.windowS = windowS;
  }

  add(bytes: number, now: number): void {
    const second = Math.floor(now / 1_000);
    const before = this.buckets.get(second);
    this.buckets.set(second, (before ?? 0) + bytes);
    if (before !== undefined) return;
    for (const old of this.buckets.keys()) if (old <= second - this.windowS - 1) this.buckets.delete(old);
  }

  /** Mean over the window, or over the meter's life while that is shorter. Unit: bit/s. */
  bitsPerSecond(now: number): number {
    const seconds = Math.min(this.windowS, Math.max(1, (now - this.startedAt) / 1_000));
    const begun = Math.floor(now / 1_000 - this.windowS);
    return Math.round((this.bytesFrom(begun) * 8) / seconds);
  }

  /** Mean over the whole window, never of more than it: a burst at the start counts little. Unit: bit/s. */
  bitsPerWindow(now: number): number {
    const whole = Math.floor(now / 1_000 - this.windowS) + 1;
    return Math.round((this.bytesFrom(whole) * 8) / this.windowS);
  }

  private bytesFrom(from: number): number {
    let bytes = 0;
    for (const [second, count] of this.buckets) if (second >= from) bytes += count;
    return bytes;
  }
}
