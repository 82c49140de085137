// Distribution of 1,000 requests, also when an origin leaves and comes back. Through the pool, as requests do it.
import { describe, expect, it } from 'vitest';
import { A, B, C, type PoolWorld, poolOver } from '../test/support/pool-world.ts';
import { seeded } from '../test/support/seeded.ts';
import { type Candidate, createRandom, createRoundRobin, type PickFor, strategies } from './balancer.ts';

const NONE: ReadonlySet<string> = new Set();
const idle = (...urls: string[]): Candidate[] => urls.map((url) => ({ url, weight: 1, active: 0 }));
const first: PickFor = { isRetry: false, key: '/object', client: '192.0.2.1' };
const retry: PickFor = { ...first, isRetry: true };

/** Sends `count` requests; a dead origin's are tried again elsewhere, as upstream.ts does. Answers served per origin. */
function send(world: PoolWorld, count: number): Record<string, number> {
  const served: Record<string, number> = {};
  for (let i = 0; i < count; i += 1) {
    const tried = new Set<string>();
    for (let origin = world.pool.pick(tried); origin !== null; origin = world.pool.pick(tried)) {
      if (!world.dead.has(origin)) {
        world.pool.succeeded(origin);
        served[origin] = (served[origin] ?? 0) + 1;
        break;
      }
      world.pool.failed(origin, true);
      tried.add(origin);
    }
  }
  return served;
}

const spread = (served: Record<string, number>): number =>
  Math.max(...Object.values(served)) - Math.min(...Object.values(served));

describe('round-robin', () => {
  it('gives 1,000 requests in equal shares', () => {
    const served = send(poolOver(createRoundRobin()), 1_000);
    expect(Object.keys(served).sort()).toEqual([A, B, C]);
    expect(spread(served)).toBeLessThanOrEqual(1);
  });

  it('stays even while an origin dies and after it came back', async () => {
    const world = poolOver(createRoundRobin());
    world.dead.add(B);
    const without = send(world, 1_000);
    expect(without[B]).toBeUndefined();
    expect(spread(without)).toBeLessThanOrEqual(2);
    world.dead.delete(B);
    await world.check();
    const again = send(world, 1_000);
    expect(Object.keys(again)).toHaveLength(3);
    expect(spread(again)).toBeLessThanOrEqual(1);
  });

  it('stays even while an origin leaves the registry and after it came back', async () => {
    const world = poolOver(createRoundRobin());
    send(world, 1_000);
    world.list([A, C]);
    world.dead.add(B);
    await world.check();
    await world.check();
    await world.check();
    expect(world.pool.counts()).toEqual({ known: 2, up: 2 });
    const without = send(world, 1_000);
    expect(without[B]).toBeUndefined();
    expect(spread(without)).toBeLessThanOrEqual(1);
    world.dead.delete(B);
    world.list([A, B, C]);
    await world.check();
    expect(spread(send(world, 1_000))).toBeLessThanOrEqual(1);
  });

  it('spreads first tries evenly though one of two origins fails every time', () => {
    const selector = createRoundRobin();
    const served: Record<string, number> = {};
    for (let i = 0; i < 1_000; i += 1) {
      const origin = selector.pick(idle(A, B), first) ?? '';
      served[origin] = (served[origin] ?? 0) + 1;
      if (origin === A) selector.pick(idle(B), retry);
    }
    expect(served).toEqual({ [A]: 500, [B]: 500 });
  });
});

describe('random', () => {
  it('gives 1,000 requests in near-equal shares, without and with all origins', async () => {
    const world = poolOver(createRandom(seeded(7)));
    const near = (served: Record<string, number>, share: number) => {
      // Four standard deviations of a binomial distribution.
      const slack = 4 * Math.sqrt(1_000 * share * (1 - share));
      for (const count of Object.values(served)) expect(Math.abs(count - 1_000 * share)).toBeLessThan(slack);
    };
    near(send(world, 1_000), 1 / 3);
    world.dead.add(B);
    const without = send(world, 1_000);
    expect(without[B]).toBeUndefined();
    near(without, 1 / 2);
    world.dead.delete(B);
    await world.check();
    const again = send(world, 1_000);
    expect(Object.keys(again)).toHaveLength(3);
    near(again, 1 / 3);
  });

  it('does not repeat a turn', () => {
    const selector = createRandom(seeded(1));
    const picks = Array.from({ length: 60 }, () => selector.pick(idle(A, B, C), first));
    expect(picks.slice(0, 30)).not.toEqual(picks.slice(30));
    expect(picks.some((pick, i) => pick === picks[i + 1])).toBe(true);
  });
});

describe('every strategy', () => {
  it.each(Object.entries(strategies))('%s answers null without candidates and the one there is', (_name, create) => {
    expect(create().pick([], first)).toBeNull();
    expect(create().pick(idle(A), retry)).toBe(A);
  });
});

describe('the pool', () => {
  it('prefers others at once after a refusal, until a check succeeds', async () => {
    const world = poolOver(createRoundRobin());
    world.pool.refresh();
    world.pool.failed(A, true);
    for (let i = 0; i < 20; i += 1) expect(world.pool.pick(NONE)).not.toBe(A);
    await world.check();
    expect(new Set(Array.from({ length: 3 }, () => world.pool.pick(NONE)))).toContain(A);
  });

  it('takes an origin out after two missed checks, not after one', async () => {
    const world = poolOver(createRoundRobin());
    await world.check();
    world.dead.add(A);
    await world.check();
    expect(world.pool.counts().up).toBe(3);
    await world.check();
    expect(world.pool.counts().up).toBe(2);
  });

  it('asks the ones that are out when nothing else is left', async () => {
    const world = poolOver(createRoundRobin());
    for (const url of [A, B, C]) world.dead.add(url);
    await world.check();
    await world.check();
    expect(world.pool.counts().up).toBe(0);
    const tried = new Set<string>();
    for (let i = 0; i < 3; i += 1) tried.add(world.pool.pick(tried) ?? 'none');
    expect([...tried].sort()).toEqual([A, B, C]);
    expect(world.pool.pick(tried)).toBeNull();
  });

  it('keeps its list when the source is empty, and for 30 s an origin that answers but is listed no more', async () => {
    const world = poolOver(createRoundRobin());
    await world.check();
    world.list([]);
    await world.check();
    expect(world.pool.counts().known).toBe(3);
    world.list([A]);
    await world.check();
    expect(world.pool.counts().known).toBe(3);
    world.pass(30_000);
    await world.check();
    expect(world.pool.counts().known).toBe(1);
  });

  it('suspects an origin after five failures in a row of any kind', () => {
    const world = poolOver(createRoundRobin());
    world.pool.refresh();
    for (let i = 0; i < 4; i += 1) world.pool.failed(A, false);
    world.pool.succeeded(A);
    for (let i = 0; i < 4; i += 1) world.pool.failed(A, false);
    expect(world.pool.counts().up).toBe(3);
    world.pool.failed(A, false);
    expect(world.pool.counts().up).toBe(2);
  });
});
