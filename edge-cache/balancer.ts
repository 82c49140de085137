// How requests spread over origins: each strategy is one Selector; a new one is a sibling in the table.

/** An origin that may be asked now. */
export type Candidate = {
  url: string;
  /** Share of the load beside the others' weights, above 0; already lowered while the origin starts slowly. */
  weight: number;
  /** Requests under way. */
  active: number;
};

/** What a request is chosen for. */
export type PickFor = {
  /** The request has already failed on another origin, or runs beside one that is late. */
  isRetry: boolean;
  /** What is asked for: one text per object. */
  key: string;
  /** Address of the viewer who caused the request. */
  client: string;
};

/** Chooses among the origins that may be asked now. */
export interface Selector {
  /**
   * @param candidates in order of their addresses
   * @returns the address of one of them; null when there is none
   */
  pick(candidates: readonly Candidate[], request: PickFor): string | null;
}

/**
 * Each in turn, by weight. Retries have a turn of their own: were they counted with first tries, one failing origin of two would
 * get every first try.
 */
export function createRoundRobin(): Selector {
  const turns = { first: createTurns(), retry: createTurns() };
  return { pick: (candidates, { isRetry }) => turns[isRetry ? 'retry' : 'first'](candidates) };
}

/**
 * Smooth weighted turns: each origin saves its weight up at each turn, the richest is chosen and pays for all. So the turns of a
 * heavy origin lie between those of the others, not in a row.
 */
function createTurns(): (candidates: readonly Candidate[]) => string | null {
  let credits = new Map<string, number>();
  let last = '';
  return (candidates) => {
    const isSameSet = credits.size === candidates.length && candidates.every(({ url }) => credits.has(url));
    if (!isSameSet) credits = new Map();
    // Equally rich ones follow in order after the last one chosen: a set that often changes must not favour its first.
    const from = Math.max(
      0,
      candidates.findIndex(({ url }) => url > last),
    );
    let chosen: { url: string; credit: number } | null = null;
    let total = 0;
    for (const { url, weight } of [...candidates.slice(from), ...candidates.slice(0, from)]) {
      const credit = (credits.get(url) ?? 0) + weight;
      credits.set(url, credit);
      total += weight;
      if (chosen === null || credit > chosen.credit) chosen = { url, credit };
    }
    if (chosen === null) return null;
    credits.set(chosen.url, chosen.credit - total);
    last = chosen.url;
    return chosen.url;
  };
}

/**
 * Two drawn by weight, the less busy one of them chosen: nearly as even as least-connections, without every edge running to the same one.
 * @param random in [0, 1)
 * Source: M. Mitzenmacher, The Power of Two Choices in Randomized Load Balancing, 2001.
 */
export function createRandom(random: () => number = Math.random): Selector {
  const draw = (candidates: readonly Candidate[]): Candidate | null => {
    let left = random() * candidates.reduce((sum, { weight }) => sum + weight, 0);
    for (const candidate of candidates) {
      left -= candidate.weight;
      if (left < 0) return candidate;
    }
    return candidates.at(-1) ?? null;
  };
  return {
    pick(candidates) {
      const first = draw(candidates);
      const second = draw(candidates.filter((candidate) => candidate !== first));
      if (first === null || second === null) return first?.url ?? null;
      return busyness(second) < busyness(first) ? second.url : first.url;
    },
  };
}

const busyness = ({ active, weight }: Candidate): number => active / weight;

/** The one with the fewest requests under way for its weight; among equals each in turn. */
export function createLeastConnections(): Selector {
  const turns = createRoundRobin();
  return {
    pick(candidates, request) {
      const least = Math.min(...candidates.map(busyness));
      return turns.pick(
        candidates.filter((candidate) => busyness(candidate) === least),
        request,
      );
    },
  };
}

/** The same origin for the same viewer while it may be asked. One fetch serves many viewers: the first of them counts. */
export const createIpHash = (): Selector => ({
  pick: (candidates, { client }) => ranked(candidates, client)[0]?.url ?? null,
});

/** No origin gets more than this times its share of the requests under way. */
const BOUND = 1.25;

/**
 * The same origin for the same object while it may be asked and is not overloaded; then the object's second choice, and so on.
 * When an origin comes or goes, only objects that it has or had move.
 * Source: V. Mirrokni, M. Thorup, M. Zadimoghaddam, Consistent Hashing with Bounded Loads, 2018; over highest random weight in place of a ring.
 */
export const createConsistentHash = (): Selector => ({
  pick(candidates, { key }) {
    const load = 1 + candidates.reduce((sum, { active }) => sum + active, 0);
    const weights = candidates.reduce((sum, { weight }) => sum + weight, 0);
    const hasRoom = ({ active, weight }: Candidate): boolean => active < Math.ceil((BOUND * load * weight) / weights);
    const order = ranked(candidates, key);
    return (order.find(hasRoom) ?? order[0])?.url ?? null;
  },
});

/**
 * Every text's own order of the origins, the first ones in proportion to the weights.
 * Source: D. Thaler, C. Ravishankar, Using Name-Based Mappings to Increase Hit Rates, 1998; weights by -ln(u) / w.
 */
function ranked(candidates: readonly Candidate[], text: string): Candidate[] {
  const seed = hashOf(text);
  return candidates
    .map((candidate) => {
      const uniform = (mixed(seed ^ Math.imul(hashOf(candidate.url), 0x9e3779b1)) + 0.5) / 2 ** 32;
      return { candidate, distance: -Math.log(uniform) / candidate.weight };
    })
    .sort((a, b) => a.distance - b.distance)
    .map(({ candidate }) => candidate);
}

/** FNV-1a, 32 bits. The same on every edge, so that all edges agree. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash;
}

/** Every bit of the result hangs on every bit of `hash` (the finalizer of MurmurHash3). @returns 32 bits, unsigned */
function mixed(hash: number): number {
  let bits = hash ^ (hash >>> 16);
  bits = Math.imul(bits, 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}

/** Strategy name (HEADWATER_EDGE_STRATEGY) -> its maker. */
export const strategies = {
  'round-robin': createRoundRobin,
  random: () => createRandom(),
  'least-connections': createLeastConnections,
  'ip-hash': createIpHash,
  'consistent-hash': createConsistentHash,
} as const satisfies Record<string, () => Selector>;
export type Strategy = keyof typeof strategies;
