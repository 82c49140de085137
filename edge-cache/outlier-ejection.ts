// Origins that pass their health checks and yet fail requests: left alone for a while, but never most of them.

/** Failures in a row. */
const CONSECUTIVE = 5;
/** Times the number of ejections so far. Unit: ms. */
const EJECTION_MS = 30_000;
const LONGEST_EJECTION_MS = 300_000;
/** Part of the known origins that may be ejected at a time: when more of them fail, it is not the origins. */
const MOST_EJECTED = 0.5;

type Ejections = { failures: number; ejections: number; untilMs: number };

/** Counts answers of 5xx and timeouts. What says nothing about an origin must not be told here. */
export class OutlierEjection {
  readonly #now: () => number;
  readonly #records = new Map<string, Ejections>();

  /** @param now monotonic milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  isEjected(url: string): boolean {
    return this.endMs(url) > this.#now();
  }

  /** End of the last ejection on the same clock; -Infinity without one. Unit: ms. */
  endMs(url: string): number {
    return this.#records.get(url)?.untilMs ?? Number.NEGATIVE_INFINITY;
  }

  succeeded(url: string): void {
    const record = this.#records.get(url);
    if (record !== undefined) record.failures = 0;
  }

  /**
   * A request failed.
   * @param known number of origins known
   * @returns length of the ejection that this began, ms; null when it began none
   */
  failed(url: string, known: number): number | null {
    const nowMs = this.#now();
    const record = this.#records.get(url) ?? { failures: 0, ejections: 0, untilMs: Number.NEGATIVE_INFINITY };
    this.#records.set(url, record);
    if (record.untilMs > nowMs) return null;
    record.failures += 1;
    if (record.failures < CONSECUTIVE || this.#ejected() + 1 > known * MOST_EJECTED) return null;
    // As long in service as it was out, and one ejection is forgiven.
    const forgiven = Math.floor((nowMs - record.untilMs) / EJECTION_MS / Math.max(1, record.ejections));
    record.ejections = Math.max(0, record.ejections - forgiven) + 1;
    record.failures = 0;
    const ms = Math.min(LONGEST_EJECTION_MS, EJECTION_MS * record.ejections);
    record.untilMs = nowMs + ms;
    return ms;
  }

  /** The origin is another process now, or is no longer listed. */
  forget(url: string): void {
    this.#records.delete(url);
  }

  #ejected(): number {
    const nowMs = this.#now();
    return [...this.#records.values()].filter(({ untilMs }) => untilMs > nowMs).length;
  }
}
