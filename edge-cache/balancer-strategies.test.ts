// Shares of 10,000 picks per strategy: by weight, by load, and what moves when an origin comes or goes. Chance is seeded.
import { describe, expect, it } from 'vitest';
import { seeded } from '../test/support/seeded.ts';
import {
  type Candidate,
  createConsistentHash,
  createIpHash,
  createLeastConnections,
  createRandom,
  createRoundRobin,
  type PickFor,
  type Selector,
} from './balancer.ts';

const PICKS = 10_000;
const origin = (name: string, weight = 1, active = 0): Candidate => ({ url: `http://${name}:1`, weight, active });
const three = [origin('a'), origin('b'), origin('c')];
const weighted = [origin('a', 1), origin('b', 2), origin('c', 5)];

const request = (n: number): PickFor => ({
  isRetry: false,
  key: `/v/-/content/v720/1/s${n}.writer.m4s`,
  client: `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`,
});

/** Picks without load, as requests that are over at once. */
function countsOf(selector: Selector, candidates: Candidate[]): number[] {
  const counts = new Map(candidates.map(({ url }) => [url, 0]));
  for (let n = 0; n < PICKS; n += 1) {
    const url = selector.pick(candidates, request(n)) ?? '';
    counts.set(url, (counts.get(url) ?? 0) + 1);
  }
  return candidates.map(({ url }) => counts.get(url) ?? 0);
}

/** Four standard deviations of a binomial count. */
function expectShares(counts: number[], weights: number[]): void {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  counts.forEach((count, index) => {
    const share = (weights[index] ?? 0) / total;
    expect(Math.abs(count - PICKS * share)).toBeLessThan(4 * Math.sqrt(PICKS * share * (1 - share)));
  });
}

/** Picks one after the other, none of which ends. */
function pileUp(selector: Selector, candidates: Candidate[], key: (n: number) => PickFor, picks = PICKS): number[] {
  const busy = candidates.map((candidate) => ({ ...candidate }));
  for (let n = 0; n < picks; n += 1) {
    const url = selector.pick(busy, key(n));
    for (const one of busy) if (one.url === url) one.active += 1;
  }
  return busy.map(({ active }) => active);
}

describe('round-robin', () => {
  it('gives exact shares by weight', () => {
    expect(countsOf(createRoundRobin(), weighted)).toEqual([1_250, 2_500, 6_250]);
  });

  it('lets the turns of a heavy origin lie between those of the others', () => {
    const selector = createRoundRobin();
    const picks = Array.from({ length: 8 }, (_, n) => selector.pick(weighted, request(n))?.charAt(7)).join('');
    expect(picks).toHaveLength(8);
    expect(picks).not.toMatch(/ccc/);
  });

  it('favours nobody when the set of origins changes with every request', () => {
    const selector = createRoundRobin();
    const counts: Record<string, number> = {};
    for (let n = 0; n < PICKS; n += 1) {
      const url = selector.pick(n % 2 === 0 ? three : [...three, origin(`x${n}`)], request(n)) ?? '';
      counts[url] = (counts[url] ?? 0) + 1;
    }
    const shares = three.map(({ url }) => counts[url] ?? 0);
    expect(Math.max(...shares) - Math.min(...shares)).toBeLessThan(PICKS / 20);
  });
});

describe('random', () => {
  it('gives near-equal shares, and shares by weight', () => {
    expectShares(countsOf(createRandom(seeded(3)), three), [1, 1, 1]);
    expectShares(countsOf(createRandom(seeded(4)), weighted), [1, 2, 5]);
  });

  it('keeps ten origins within a few requests of each other by choosing the less busy one of two', () => {
    const ten = Array.from({ length: 10 }, (_, n) => origin(`o${n}`));
    const loads = pileUp(createRandom(seeded(5)), ten, request);
    // One choice leaves them more than a hundred apart.
    expect(Math.max(...loads) - Math.min(...loads)).toBeLessThanOrEqual(10);
  });
});

describe('least-connections', () => {
  it('keeps requests under way equal, or as the weights are', () => {
    const even = pileUp(createLeastConnections(), three, request);
    expect(Math.max(...even) - Math.min(...even)).toBeLessThanOrEqual(1);
    expect(pileUp(createLeastConnections(), weighted, request)).toEqual([1_250, 2_500, 6_250]);
  });

  it('sends a slow origin less', () => {
    const selector = createLeastConnections();
    const busy = three.map((candidate) => ({ ...candidate }));
    let slow = 0;
    const under: { at: number; url: string | null }[] = [];
    for (let n = 0; n < PICKS; n += 1) {
      for (const { url } of under.filter(({ at }) => at === n))
        for (const one of busy) if (one.url === url) one.active -= 1;
      const chosen = selector.pick(busy, request(n));
      for (const one of busy) if (one.url === chosen) one.active += 1;
      const isSlow = chosen === three[0]?.url;
      if (isSlow) slow += 1;
      under.push({ at: n + (isSlow ? 30 : 3), url: chosen });
      if (under.length > 100) under.shift();
    }
    expect(slow).toBeLessThan(PICKS / 6);
  });

  it('takes turns, by weight, while nobody is busy', () => {
    expect(countsOf(createLeastConnections(), weighted)).toEqual([1_250, 2_500, 6_250]);
  });
});

describe.each([
  ['ip-hash', createIpHash],
  ['consistent-hash', createConsistentHash],
] as const)('%s', (_name, create) => {
  const placesOf = (candidates: Candidate[]): string[] =>
    Array.from({ length: PICKS }, (_, n) => create().pick(candidates, request(n)) ?? '');

  it('gives near-equal shares, and shares by weight', () => {
    expectShares(countsOf(create(), three), [1, 1, 1]);
    expectShares(countsOf(create(), weighted), [1, 2, 5]);
  });

  it('is the same on every edge and in any order', () => {
    expect(placesOf([...three].reverse())).toEqual(placesOf(three));
  });

  it('moves only what an origin had when it goes, to all others evenly', () => {
    const before = placesOf(three);
    const after = placesOf(three.slice(0, 2));
    const gone = three[2]?.url;
    const moved = { [three[0]?.url ?? '']: 0, [three[1]?.url ?? '']: 0 };
    before.forEach((place, n) => {
      const now = after[n] ?? '';
      if (place === gone) moved[now] = (moved[now] ?? 0) + 1;
      else expect(now).toBe(place);
    });
    const [one = 0, other = 0] = Object.values(moved);
    expect(one + other).toBeGreaterThan(PICKS / 4);
    expect(Math.abs(one - other)).toBeLessThan(4 * Math.sqrt((one + other) / 4) * 2);
  });

  it('moves only what a new origin takes, a fair share', () => {
    const before = placesOf(three);
    const after = placesOf([...three, origin('d')]);
    const moved = after.filter((place, n) => place !== before[n]);
    expect(new Set(moved)).toEqual(new Set(['http://d:1']));
    expect(Math.abs(moved.length - PICKS / 4)).toBeLessThan(4 * Math.sqrt((PICKS * 3) / 16));
  });
});

describe('ip-hash', () => {
  it('looks at the viewer alone', () => {
    const selector = createIpHash();
    const places = Array.from({ length: 100 }, (_, n) => selector.pick(three, { ...request(n), client: '192.0.2.7' }));
    expect(new Set(places).size).toBe(1);
  });
});

describe('consistent-hash', () => {
  it('looks at the object alone', () => {
    const selector = createConsistentHash();
    const places = Array.from({ length: 100 }, (_, n) => selector.pick(three, { ...request(n), key: '/one' }));
    expect(new Set(places).size).toBe(1);
  });

  it.each([
    ['one object that everybody wants', () => request(1)],
    ['as many objects as requests', request],
  ] as const)('gives no origin more than 1.25 times its share: %s', (_what, key) => {
    const most = (weight: number, weights: number) => Math.ceil((1.25 * PICKS * weight) / weights);
    for (const load of pileUp(createConsistentHash(), three, key)) expect(load).toBeLessThanOrEqual(most(1, 3));
    pileUp(createConsistentHash(), weighted, key).forEach((load, index) => {
      expect(load).toBeLessThanOrEqual(most(weighted[index]?.weight ?? 0, 8));
    });
  });

  it('sends what has no room to the second choice of the object, always the same', () => {
    const selector = createConsistentHash();
    const hot = selector.pick(three, request(1));
    const full = three.map((one) => (one.url === hot ? { ...one, active: 50 } : one));
    const seconds = Array.from({ length: 100 }, () => selector.pick(full, request(1)));
    expect(new Set(seconds).size).toBe(1);
    expect(seconds[0]).not.toBe(hot);
    expect(seconds[0]).toBe(
      selector.pick(
        three.filter(({ url }) => url !== hot),
        request(1),
      ),
    );
  });
});
