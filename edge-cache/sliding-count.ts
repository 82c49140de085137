// How often something happened lately, in constant memory: what the retry budget and the circuits decide by.

const BUCKETS = 10;

/** Counts events of the last `windowMs`, to a tenth of it. */
export class SlidingCount {
  readonly #bucketMs: number;
  readonly #now: () => number;
  readonly #buckets = new Array<number>(BUCKETS).fill(0);
  /** Number of the newest bucket since the clock's zero. */
  #newest: number;
  #total = 0;

  /** @param now monotonic milliseconds */
  constructor(windowMs: number, now: () => number) {
    this.#bucketMs = windowMs / BUCKETS;
    this.#now = now;
    this.#newest = this.#bucketNow();
  }

  add(): void {
    this.#forget();
    const place = this.#newest % BUCKETS;
    this.#buckets[place] = (this.#buckets[place] ?? 0) + 1;
    this.#total += 1;
  }

  get total(): number {
    this.#forget();
    return this.#total;
  }

  clear(): void {
    this.#buckets.fill(0);
    this.#total = 0;
  }

  #bucketNow(): number {
    return Math.floor(this.#now() / this.#bucketMs);
  }

  #forget(): void {
    const newest = this.#bucketNow();
    for (let passed = Math.min(BUCKETS, newest - this.#newest); passed > 0; passed -= 1) {
      const place = (newest - passed + 1) % BUCKETS;
      this.#total -= this.#buckets[place] ?? 0;
      this.#buckets[place] = 0;
    }
    this.#newest = newest;
  }
}
