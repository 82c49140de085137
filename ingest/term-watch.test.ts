import { beforeEach, describe, expect, test } from 'vitest';
import type { BroadcastId } from '../platform/contract/ids.ts';
import { type JobState, liveJobId } from '../platform/contract/jobs.ts';
import { silentLogger } from '../platform/runtime/log.ts';
import { TermWatch } from './term-watch.ts';

const ID = 'broadcastAAAAAAAAAAAAA' as BroadcastId;
const job = (term: number, round = 0): string => `${liveJobId(ID, term)}${round === 0 ? '' : `:${round}`}`;

let holder: string | null;
let isIndexed: boolean;
let term: number | null;
let states: Map<string, JobState>;
let isAway: boolean;

const watch = (isNew: boolean): TermWatch =>
  new TermWatch(
    ID,
    isNew,
    {
      async holder(lease) {
        if (isAway) throw new Error('away');
        expect(lease).toBe(`live:${ID}`);
        return holder;
      },
      isIndexed: async () => isIndexed,
      term: async () => term,
      jobState: async (id) => states.get(id) ?? null,
      async enqueue(id, payload) {
        expect(payload).toEqual({ version: 1, broadcast_id: ID, term: (term ?? 0) + 1, place: 'leader' });
        states.set(id, 'waiting');
        return 'added';
      },
    },
    silentLogger,
  );
/** Steps each quarter second of [from, to]. */
async function run(watched: TermWatch, from: number, to: number): Promise<void> {
  for (let now = from; now <= to; now += 250) await watched.step(now);
}

beforeEach(() => {
  holder = null;
  isIndexed = true;
  term = 0;
  states = new Map();
  isAway = false;
});

describe("the watch over a broadcast's worker", () => {
  test('a new broadcast gets its first job at once, and only one', async () => {
    const watched = watch(true);
    expect(await watched.step(0)).toBe(true);
    await run(watched, 500, 20_000);
    expect([...states.keys()]).toEqual([job(1)]);
  });

  test('a held lease gets none', async () => {
    holder = 'worker';
    await run(watch(false), 0, 20_000);
    expect(states.size).toBe(0);
  });

  test('a lapsed lease gets the next term at the second look', async () => {
    const watched = watch(false);
    term = 4;
    holder = 'worker';
    await run(watched, 0, 1_000);
    holder = null;
    await run(watched, 1_250, 1_500);
    expect(states.size).toBe(0);
    await watched.step(1_750);
    expect([...states.keys()]).toEqual([job(5)]);
  });

  test('a gap shorter than that is none', async () => {
    const watched = watch(false);
    for (let now = 0; now < 20_000; now += 250) {
      holder = now % 500 === 0 ? 'worker' : null;
      await watched.step(now);
    }
    expect(states.size).toBe(0);
  });

  test('an emptied Redis gives the worker longer to take its lease again', async () => {
    const watched = watch(false);
    term = 1;
    isIndexed = false;
    await run(watched, 0, 250);
    isIndexed = true;
    await run(watched, 500, 1_250);
    expect(states.size).toBe(0);
    await watched.step(1_500);
    expect([...states.keys()]).toEqual([job(2)]);
  });

  test('a job that ended without a holder is followed by another of the same term, ever more slowly', async () => {
    const watched = watch(true);
    let rounds = 0;
    for (let now = 0; now <= 60_000; now += 500) {
      if (await watched.step(now)) rounds += 1;
      for (const id of states.keys()) states.set(id, 'completed');
    }
    expect(rounds).toBeGreaterThan(5);
    expect(rounds).toBeLessThan(14);
    expect([...states.keys()].slice(0, 3)).toEqual([job(1), job(1, 1), job(1, 2)]);
  });

  test('a job whose worker died before it took the lease is given up after three seconds', async () => {
    const watched = watch(true);
    await watched.step(0);
    states.set(job(1), 'active');
    await run(watched, 500, 3_000);
    expect(states.size).toBe(1);
    await run(watched, 3_500, 5_000);
    expect([...states.keys()]).toEqual([job(1), job(1, 1)]);
  });

  test('a worker that took the term between two looks has its time', async () => {
    const watched = watch(true);
    await watched.step(0);
    states.set(job(1), 'active');
    term = 1;
    await watched.step(750);
    holder = 'worker';
    await watched.step(1_000);
    expect([...states.keys()]).toEqual([job(1)]);
  });

  test('a broadcast that is over gets none', async () => {
    term = null;
    await run(watch(true), 0, 5_000);
    expect(states.size).toBe(0);
  });

  test('while Redis is away nothing is concluded', async () => {
    const watched = watch(false);
    holder = 'worker';
    await watched.step(0);
    isAway = true;
    await expect(watched.step(500)).rejects.toThrow();
    await expect(watched.step(5_000)).rejects.toThrow();
    isAway = false;
    holder = null;
    expect(await watched.step(5_500)).toBe(false);
  });
});
