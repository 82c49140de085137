// How requests spread over origins: each strategy is one Selector; a new one is a sibling in the table.

/** Chooses among the origins that may be asked now. */
export interface Selector {
  /**
   * @param candidates addresses in a stable order
   * @param isRetry the request has already failed on another origin
   * @returns null when there is no candidate
   */
  pick(candidates: readonly string[], isRetry: boolean): string | null;
}

/**
 * Each in turn. Retries have a turn of their own: were they counted with first tries, one failing origin of two would
 * get every first try.
 */
export function createRoundRobin(): Selector {
  const turns = { first: 0, retry: 0 };
  return {
    pick(candidates, isRetry) {
      if (candidates.length === 0) return null;
      const turn = isRetry ? 'retry' : 'first';
      const chosen = candidates[turns[turn] % candidates.length] ?? null;
      turns[turn] = (turns[turn] + 1) % Number.MAX_SAFE_INTEGER;
      return chosen;
    },
  };
}

/** Uniformly random. @param random in [0, 1) */
export function createRandom(random: () => number = Math.random): Selector {
  return { pick: (candidates) => candidates[Math.floor(random() * candidates.length)] ?? null };
}

/** Strategy name (HEADWATER_EDGE_STRATEGY) -> its maker. */
export const strategies = {
  'round-robin': createRoundRobin,
  random: () => createRandom(),
} as const satisfies Record<string, () => Selector>;
export type Strategy = keyof typeof strategies;
