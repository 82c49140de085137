// How long one request to the origins may take, over all its tries.

export const limits = {
  /** One request with all its retries, until the head of the answer. Unit: ms. */
  totalMs: 8_000,
  /** No new round over the origins begins later than this: long enough for a restart under the supervisor. Unit: ms. */
  roundsMs: 3_000,
  /** What every origin that keeps up has already is given this long by an origin that seems to wait for it. Unit: ms. */
  dueMs: 1_000,
  /** While all origins have been away for longer than `roundsMs`: one request in all, and until the first byte. Unit: ms. */
  outage: { totalMs: 700, firstByteMs: 300 },
} as const;

/**
 * How long one request may go on: in all, with new rounds over the origins, and until a first byte.
 * @param hold the origin may hold its answer back for so long; `isDue`: an origin that keeps up would not
 * @param firstByteMs of a request that is not held
 * @param now monotonic milliseconds
 * @param downMs since when no origin has answered: the wait for a restart is counted from there
 */
export function clockOf(
  hold: { ms: number; isDue: boolean } | null,
  firstByteMs: number,
  now: () => number,
  downMs: number,
) {
  const startedMs = now();
  const isOutage = downMs >= limits.roundsMs;
  const totalMs = isOutage ? limits.outage.totalMs : (hold?.ms ?? limits.totalMs);
  const roundsMs = Math.max(0, limits.roundsMs - downMs);
  // A held request may wait for seconds before its origin dies: its rounds begin then.
  let roundsFromMs = hold === null ? startedMs : null;
  const leftMs = (): number => totalMs - (now() - startedMs);
  return {
    isOutage,
    leftMs,
    failed: (): void => {
      roundsFromMs ??= now();
    },
    isOver: (): boolean => leftMs() <= 0 || now() - (roundsFromMs ?? startedMs) >= roundsMs,
    firstByteMs(tries: number): number {
      if (isOutage) return Math.min(leftMs(), limits.outage.firstByteMs);
      if (hold === null) return Math.min(leftMs(), firstByteMs);
      return hold.isDue && tries === 0 ? Math.min(leftMs(), limits.dueMs) : leftMs();
    },
  };
}
