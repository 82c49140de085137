// What the pool makes of checks, failures and time: who is asked, and with what weight.
import { describe, expect, it } from 'vitest';
import { A, B, C, type PoolWorld, poolOver } from '../test/support/pool-world.ts';
import { type Candidate, createRoundRobin, type Selector, strategies } from './balancer.ts';

const NONE: ReadonlySet<string> = new Set();
const fail = (world: PoolWorld, url: string, times: number, isDead = false): void => {
  for (let n = 0; n < times; n += 1) world.pool.failed(url, isDead);
};
const picks = (world: PoolWorld, count: number): Record<string, number> => {
  const counts: Record<string, number> = { [A]: 0, [B]: 0, [C]: 0 };
  for (let n = 0; n < count; n += 1) {
    const url = world.pool.pick(NONE) ?? 'none';
    counts[url] = (counts[url] ?? 0) + 1;
  }
  return counts;
};

/** Shows what a strategy is given. */
function seeing(): { selector: Selector; seen: () => readonly Candidate[] } {
  let last: readonly Candidate[] = [];
  const selector: Selector = {
    pick(candidates) {
      last = candidates;
      return candidates[0]?.url ?? null;
    },
  };
  return { selector, seen: () => last };
}

describe('health checks', () => {
  it('take an origin out below the threshold of the window, and in again at it', async () => {
    const world = poolOver(createRoundRobin(), { probes: { window: 8, threshold: 3 } });
    const ups: number[] = [];
    const check = async (times: number) => {
      for (let n = 0; n < times; n += 1) {
        await world.check();
        ups.push(world.pool.counts().up);
      }
    };
    world.dead.add(A);
    await check(6);
    expect(ups).toEqual([3, 3, 3, 3, 3, 2]);
    world.dead.clear();
    ups.length = 0;
    await check(3);
    expect(ups).toEqual([2, 2, 3]);
  });

  it('end the requests that an origin holds back when it goes out, not later ones', async () => {
    const world = poolOver(createRoundRobin());
    world.pool.refresh();
    const held = world.pool.whenOut(A);
    world.dead.add(A);
    await world.check();
    expect(held.aborted).toBe(false);
    await world.check();
    expect(held.aborted).toBe(true);
    world.dead.clear();
    await world.check();
    expect(world.pool.whenOut(A).aborted).toBe(false);
  });
});

describe('weights', () => {
  it('are those of the source', () => {
    const world = poolOver(createRoundRobin(), {}, { [A]: 3 });
    expect(picks(world, 500)).toEqual({ [A]: 300, [B]: 100, [C]: 100 });
  });

  it('rise from a tenth in the time of a slow start, for one that came back', async () => {
    const { selector, seen } = seeing();
    const world = poolOver(selector, { slowStartMs: 10_000 }, { [A]: 2 });
    const weight = (): number | undefined => {
      world.pool.pick(NONE);
      return seen().find(({ url }) => url === A)?.weight;
    };
    await world.check();
    expect(weight()).toBe(2);
    world.dead.add(A);
    await world.check();
    await world.check();
    expect(weight()).toBeUndefined();
    world.dead.clear();
    await world.check();
    expect(weight()).toBeCloseTo(0.2);
    world.pass(5_000);
    expect(weight()).toBeCloseTo(1);
    world.pass(5_000);
    expect(weight()).toBe(2);
  });

  it('rise for one that joins and one that was ejected, not for those of the first list', async () => {
    const { selector, seen } = seeing();
    const world = poolOver(selector, { slowStartMs: 10_000 });
    const weights = (): number[] => {
      world.pool.pick(NONE);
      return seen().map(({ weight }) => weight);
    };
    world.list([A, B]);
    expect(weights()).toEqual([1, 1]);
    world.list([A, B, C]);
    world.pool.refresh();
    expect(weights()).toEqual([1, 1, 0.1]);
    world.pass(20_000);
    fail(world, B, 5);
    world.pass(35_000);
    expect(weights()).toEqual([1, 0.5, 1]);
  });
});

describe('requests under way', () => {
  it('are counted until they are over, once', () => {
    const { selector, seen } = seeing();
    const world = poolOver(selector);
    const activeOf = (url: string): number | undefined => {
      world.pool.pick(NONE);
      return seen().find((one) => one.url === url)?.active;
    };
    world.pool.refresh();
    const [end] = [world.pool.began(A), world.pool.began(A)];
    expect([activeOf(A), activeOf(B)]).toEqual([2, 0]);
    end();
    end();
    expect(activeOf(A)).toBe(1);
  });

  it('turn new ones to the least busy origin', () => {
    const world = poolOver(strategies['least-connections']());
    world.pool.refresh();
    world.pool.began(A);
    world.pool.began(C);
    expect([world.pool.pick(NONE), world.pool.pick(NONE)]).toEqual([B, B]);
  });
});

describe('an origin that answers its checks and fails requests', () => {
  it('is left alone for 30 s though its checks are good', async () => {
    const world = poolOver(createRoundRobin());
    world.pool.refresh();
    fail(world, A, 5);
    await world.check();
    expect(picks(world, 100)[A]).toBe(0);
    expect(world.pool.states()).toEqual({ up: 2, failed: 0, ejected: 1, open: 0 });
    expect(world.counted).toEqual(['ejection']);
    world.pass(30_000);
    expect(picks(world, 99)[A]).toBe(33);
  });

  it('is believed at once when it was away in between: it is another process', async () => {
    const world = poolOver(createRoundRobin());
    world.pool.refresh();
    fail(world, A, 5);
    world.dead.add(A);
    await world.check();
    await world.check();
    world.dead.clear();
    await world.check();
    expect(world.pool.counts().up).toBe(3);
  });

  it('is not ejected by refused and reset connections, which end with its restart', async () => {
    const world = poolOver(createRoundRobin());
    world.pool.refresh();
    fail(world, A, 15, true);
    expect(world.pool.counts().up).toBe(2);
    await world.check();
    expect(world.pool.counts().up).toBe(3);
    expect(world.counted).toEqual([]);
  });

  it('is not ejected when it is the last one that answers', async () => {
    const world = poolOver(createRoundRobin());
    world.dead.add(A).add(B);
    await world.check();
    await world.check();
    fail(world, C, 10);
    expect(world.pool.counts().up).toBe(1);
  });
});

describe('circuits', () => {
  it('keep all but one request at a time away until one succeeds', () => {
    const world = poolOver(createRoundRobin());
    world.pool.refresh();
    fail(world, A, 20, false);
    world.pass(30_000);
    expect(picks(world, 30)[A]).toBe(1);
    world.pool.succeeded(A);
    expect(picks(world, 30)[A]).toBe(10);
    expect(world.counted).toEqual(['ejection', 'circuit open', 'circuit half-open', 'circuit closed']);
  });

  it('refuse at once when nobody has answered anything lately, one trial at a time aside', () => {
    const world = poolOver(createRoundRobin());
    world.pool.refresh();
    for (const url of [A, B, C]) fail(world, url, 20);
    expect(world.pool.pick(NONE)).toBeNull();
    world.pass(1_000);
    const trials = Array.from({ length: 10 }, () => world.pool.pick(NONE));
    expect(trials.filter((url) => url !== null).length).toBeLessThanOrEqual(3);
    expect(trials.at(-1)).toBeNull();
  });

  it('do not refuse where some requests succeed', () => {
    const world = poolOver(createRoundRobin());
    world.list([A]);
    world.pool.refresh();
    world.pool.succeeded(A);
    fail(world, A, 20);
    expect(world.pool.states().open).toBe(1);
    expect(world.pool.pick(NONE)).toBe(A);
  });

  it('are tried at once when a health check is good after refused connections', async () => {
    const world = poolOver(createRoundRobin());
    world.list([A]);
    world.pool.refresh();
    fail(world, A, 20, true);
    expect(world.pool.pick(NONE)).toBeNull();
    await world.check();
    expect([world.pool.pick(NONE), world.pool.pick(NONE)]).toEqual([A, null]);
  });

  it('are closed when health checks had taken the origin out and take it back', async () => {
    const world = poolOver(createRoundRobin());
    world.list([A]);
    world.dead.add(A);
    await world.check();
    await world.check();
    fail(world, A, 20);
    expect(world.pool.pick(NONE)).toBeNull();
    world.dead.clear();
    await world.check();
    expect([world.pool.pick(NONE), world.pool.pick(NONE)]).toEqual([A, A]);
    fail(world, A, 19);
    expect(world.pool.states().up).toBe(1);
  });
});

describe('an outage', () => {
  it('lasts from when no origin is thought well until one answers', async () => {
    const world = poolOver(createRoundRobin());
    await world.check();
    expect(world.pool.downMs()).toBe(0);
    for (const url of [A, B, C]) world.dead.add(url);
    await world.check();
    await world.check();
    world.pass(4_000);
    expect(world.pool.downMs()).toBe(4_000);
    world.dead.clear();
    await world.check();
    expect(world.pool.downMs()).toBe(0);
  });

  it('ends with an answer to a request, whatever the checks say', async () => {
    const world = poolOver(createRoundRobin());
    for (const url of [A, B, C]) world.dead.add(url);
    await world.check();
    await world.check();
    world.pass(4_000);
    world.pool.succeeded(A);
    expect(world.pool.downMs()).toBe(0);
  });
});

describe('a spare origin', () => {
  it('is another one that is thought well, or none', async () => {
    const world = poolOver(createRoundRobin());
    const request = { key: '', client: '' };
    world.dead.add(C);
    await world.check();
    await world.check();
    expect(world.pool.spare(new Set([A]), request)).toBe(B);
    expect(world.pool.spare(new Set([A, B]), request)).toBeNull();
  });
});
