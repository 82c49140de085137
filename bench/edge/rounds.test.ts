import { describe, expect, it } from 'vitest';
import { isChosen, meaningless, seededRandom, spreadOf, turns, zipf } from './rounds.ts';

describe('turns', () => {
  it('ask every peer once a round, another one first each time', () => {
    const order = turns(['a', 'b', 'c'], 3).map(({ round, peer }) => `${round}${peer}`);
    expect(order).toEqual(['0a', '0b', '0c', '1b', '1c', '1a', '2c', '2a', '2b']);
  });

  it('of nobody are none', () => {
    expect(turns([], 3)).toEqual([]);
  });
});

describe('the spread', () => {
  it.each([
    [[3, 1, 2], { median: 2, least: 1, most: 3 }],
    [[4, 1, 2, 3], { median: 2.5, least: 1, most: 4 }],
    [[7], { median: 7, least: 7, most: 7 }],
  ])('of %j', (values, expected) => {
    expect(spreadOf(values)).toEqual(expected);
  });

  it('of nothing is an error, not zero', () => {
    expect(() => spreadOf([])).toThrow('nothing was measured');
  });
});

it.each([
  ['playlist-tls', 'all', true],
  ['playlist-tls', 'none', false],
  ['playlist-tls', 'tls', true],
  ['playlist-tls', 'part, playlist-tls', true],
  ['segment1m-plain', 'segment', false],
  ['origin-killed', 'live,origin-killed', true],
])('%s is meant by %s: %s', (name, choice, expected) => {
  expect(isChosen(name, choice)).toBe(expected);
});

it('a word that means nothing is found out', () => {
  expect(meaningless('tls, plan,none', ['playlist-tls', 'playlist-plain'])).toEqual(['plan']);
  expect(meaningless('all', ['playlist-tls'])).toEqual([]);
});

describe('what viewers draw', () => {
  it('is the same for the same seed', () => {
    const [one, two, other] = [seededRandom(1), seededRandom(1), seededRandom(2)];
    const drawn = Array.from({ length: 5 }, one);
    expect(Array.from({ length: 5 }, two)).toEqual(drawn);
    expect(Array.from({ length: 5 }, other)).not.toEqual(drawn);
  });

  it('follows the law of Zipf', () => {
    const draw = zipf(100, 0.8, seededRandom(1));
    const counts = new Array<number>(100).fill(0);
    for (let i = 0; i < 100_000; i += 1) {
      const rank = draw();
      counts[rank] = (counts[rank] ?? 0) + 1;
    }
    // Rank 16 is asked for 16^-0.8 as often as rank 1.
    expect((counts[0] ?? 0) / (counts[15] ?? 1)).toBeGreaterThan(7.5);
    expect((counts[0] ?? 0) / (counts[15] ?? 1)).toBeLessThan(11);
    expect(Math.min(...counts)).toBeGreaterThan(0);
  });
});
