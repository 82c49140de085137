// The order of a measurement and what is made of its figures: peers take turns, so that a machine that drifts treats them alike.

export type Spread = { median: number; least: number; most: number };

/**
 * ABAB: every round asks all peers, each round beginning with another one.
 * @returns peers in the order of measuring, `rounds` x `peers` of them
 */
export function turns<T>(peers: readonly T[], rounds: number): { round: number; peer: T }[] {
  return Array.from({ length: rounds }, (_, round) =>
    peers.map((_peer, index) => ({ round, peer: peers[(index + round) % peers.length] as T })),
  ).flat();
}

/** @throws Error without a value: nothing measured is not zero */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const [least, most] = [sorted[0], sorted.at(-1)];
  if (least === undefined || most === undefined) throw new Error('nothing was measured');
  const middle = sorted.length / 2;
  const [below = least, above = least] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  return { median: (below + above) / 2, least, most };
}

/** Three significant digits: more would be noise. */
export const rounded = (value: number): number => Number(value.toPrecision(3));

export const roundedSpread = ({ median, least, most }: Spread): Spread => ({
  median: rounded(median),
  least: rounded(least),
  most: rounded(most),
});

/** An item is meant by its name or by a word of it, as in `playlist-tls`: `playlist`, `tls`. `all` and `none` mean what they say. */
export function isChosen(name: string, choice: string): boolean {
  const words = choice.split(',').map((word) => word.trim());
  return words.some((word) => word === 'all' || word === name || name.split('-').includes(word));
}

/** Words of a choice that mean nothing: a slip of the pen must not look like a result. */
export const meaningless = (choice: string, names: readonly string[]): string[] =>
  choice
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== 'none' && !names.some((name) => isChosen(name, word)));

/** Seeded, so that every server meets the same viewers: mulberry32. @returns 0 <= x < 1 */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Draws ranks by Zipf's law.
 * @param alpha 0: all alike; the usual figure for videos is 0.8
 * @returns rank 0 first
 */
export function zipf(count: number, alpha: number, random: () => number): () => number {
  const sums: number[] = [];
  let sum = 0;
  for (let rank = 1; rank <= count; rank += 1) {
    sum += rank ** -alpha;
    sums.push(sum);
  }
  return () => {
    const drawn = random() * sum;
    let [low, high] = [0, count - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sums[middle] ?? sum) > drawn) high = middle;
      else low = middle + 1;
    }
    return low;
  };
}
