// What simulated viewers met: answers, times, what was late, what went wrong. Only what was due inside the measured span counts.
import { percentile } from '../support/report.ts';

export type What = 'playlist' | 'media';

export type TallyFigures = {
  requests: number;
  bytes: number;
  /** Warm-up included. */
  allBytes: number;
  /** Reason and how often; empty: nothing went wrong. */
  errors: Record<string, number>;
  /** Media that was not whole when half of its play time was over. */
  late: number;
  /** Playlists older than they may be. */
  behind: number;
  /** From when the answer was due, not from when the request was sent. Unit: ms. */
  playlistMs: Percentiles;
  mediaMs: Percentiles;
};
export type Percentiles = { p50: number | null; p99: number | null; p999: number | null; most: number | null };

const round = (value: number | null): number | null => (value === null ? null : Number(value.toFixed(1)));
export const percentilesOf = (values: readonly number[]): Percentiles => ({
  p50: round(percentile(values, 0.5)),
  p99: round(percentile(values, 0.99)),
  p999: round(percentile(values, 0.999)),
  most: round(percentile(values, 1)),
});

export class Tally {
  /** Wall clock; what was due before is warm-up. Unit: ms. */
  readonly fromMs: number;
  readonly #times: Record<What, number[]> = { playlist: [], media: [] };
  readonly #errors = new Map<string, number>();
  /** Times by the wall clock at which they were due, for faults in the middle of a run. */
  readonly #mediaAt: { dueMs: number; ms: number }[] = [];
  readonly #lastOf = new Map<string, number>();
  #requests = 0;
  #bytes = 0;
  #allBytes = 0;
  #late = 0;
  #behind = 0;

  constructor(fromMs: number) {
    this.fromMs = fromMs;
  }

  /**
   * @param dueMs wall clock from which the viewer waits
   * @param lateAfterMs more is late; null: nothing is
   */
  got(what: What, dueMs: number, bytes: number, lateAfterMs: number | null, nowMs = Date.now()): void {
    this.#allBytes += bytes;
    if (dueMs < this.fromMs) return;
    const ms = Math.max(0, nowMs - dueMs);
    this.#requests += 1;
    this.#bytes += bytes;
    this.#times[what].push(ms);
    if (what === 'media') this.#mediaAt.push({ dueMs, ms });
    if (lateAfterMs !== null && ms > lateAfterMs) this.#late += 1;
  }

  /** One of many viewers got a thing that they all wait for: the time of the last of them is kept. @param number its place in the stream */
  gotShared(what: What, number: number, dueMs: number, nowMs = Date.now()): void {
    const name = `${what} ${number}`;
    if (dueMs >= this.fromMs) this.#lastOf.set(name, Math.max(this.#lastOf.get(name) ?? 0, nowMs - dueMs));
  }

  failed(dueMs: number, reason: string): void {
    if (dueMs >= this.fromMs) this.#errors.set(reason, (this.#errors.get(reason) ?? 0) + 1);
  }

  sawBehind(dueMs: number): void {
    if (dueMs >= this.fromMs) this.#behind += 1;
  }

  figures(): TallyFigures {
    return {
      requests: this.#requests,
      bytes: this.#bytes,
      allBytes: this.#allBytes,
      errors: Object.fromEntries(this.#errors),
      late: this.#late,
      behind: this.#behind,
      playlistMs: percentilesOf(this.#times.playlist),
      mediaMs: percentilesOf(this.#times.media),
    };
  }

  /** Until the last viewer had what they all waited for; one value for each thing whose name begins so. Unit: ms. */
  lastViewerMs(prefix: What): Percentiles {
    return percentilesOf([...this.#lastOf].flatMap(([name, ms]) => (name.startsWith(prefix) ? [ms] : [])));
  }

  /** Times of media that was due before and from a moment on. */
  aroundMs(atMs: number): { before: Percentiles; after: Percentiles } {
    const of = (isBefore: boolean) =>
      percentilesOf(this.#mediaAt.flatMap(({ dueMs, ms }) => (dueMs < atMs === isBefore ? [ms] : [])));
    return { before: of(true), after: of(false) };
  }
}
