// Bit rate of one publisher over the last seconds, from whole-second buckets.
const WINDOW_S = 5;

/** Counts bytes; `now` is any steady clock in ms. */
export class RateMeter {
  private readonly buckets = new Map<number, number>();
  private readonly startedAt: number;

  constructor(now: number) {
    this.startedAt = now;
  }

  add(bytes: number, now: number): void {
    const second = Math.floor(now / 1_000);
    this.buckets.set(second, (this.buckets.get(second) ?? 0) + bytes);
    for (const old of this.buckets.keys()) if (old <= second - WINDOW_S - 1) this.buckets.delete(old);
  }

  /** Mean over the last five seconds, or over the meter's life while that is shorter. Unit: bit/s. */
  bitsPerSecond(now: number): number {
    let bytes = 0;
    for (const [second, count] of this.buckets) if ((second + 1) * 1_000 > now - WINDOW_S * 1_000) bytes += count;
    const seconds = Math.min(WINDOW_S, Math.max(1, (now - this.startedAt) / 1_000));
    return Math.round((bytes * 8) / seconds);
  }
}
