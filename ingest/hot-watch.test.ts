import { beforeEach, expect, test } from 'vitest';
import type { BroadcastId } from '../platform/contract/ids.ts';
import { hotJobId, type JobState } from '../platform/contract/jobs.ts';
import { silentLogger } from '../platform/runtime/log.ts';
import { HotWatch } from './hot-watch.ts';
import { hotAdvice } from './worker-watch.ts';

const ID = 'broadcastAAAAAAAAAAAAA' as BroadcastId;

let leader: string | null;
let second: string | null;
let states: Map<string, JobState>;

const watch = (): HotWatch =>
  new HotWatch(
    ID,
    {
      async holder(lease) {
        expect(lease).toBe(`live-hot:${ID}`);
        return second;
      },
      jobState: async (id) => states.get(id) ?? null,
      async enqueue(id, payload) {
        expect(payload).toEqual({ version: 1, broadcast_id: ID, term: 0, place: 'hot' });
        states.set(id, 'waiting');
        return 'added';
      },
    },
    silentLogger,
  );
async function run(watched: HotWatch, from: number, to: number, nodes = 2): Promise<void> {
  for (let now = from; now <= to; now += 250) await watched.step(now, { hasLeader: leader !== null, nodes });
}

beforeEach(() => {
  leader = 'worker';
  second = null;
  states = new Map();
});

test('with a leader, two workers and nobody beside it, one job goes out', async () => {
  const watched = watch();
  await run(watched, 0, 1_000);
  expect(states.size).toBe(0);
  await run(watched, 1_250, 20_000);
  expect([...states.keys()]).toEqual([hotJobId(ID, 0)]);
});

test.each([
  ['one worker is no redundancy', 1, 'worker', null],
  ['without a leader that one comes first', 2, null, null],
  ['a second worker is enough', 2, 'worker', 'second'],
])('%s', async (_name, nodes, first, other) => {
  leader = first;
  second = other;
  await run(watch(), 0, 20_000, nodes);
  expect(states.size).toBe(0);
});

test('a job that landed on the leader comes again, ever more slowly', async () => {
  const watched = watch();
  for (let now = 0; now <= 60_000; now += 250) {
    await watched.step(now, { hasLeader: true, nodes: 2 });
    for (const id of states.keys()) states.set(id, 'completed');
  }
  expect(states.size).toBeGreaterThan(5);
  expect(states.size).toBeLessThan(14);
  expect([...states.keys()].slice(0, 2)).toEqual([hotJobId(ID, 0), hotJobId(ID, 1)]);
});

test('a second worker that dies is replaced', async () => {
  const watched = watch();
  second = 'second';
  await run(watched, 0, 5_000);
  second = null;
  await run(watched, 5_250, 7_000);
  expect([...states.keys()]).toEqual([hotJobId(ID, 0)]);
});

test('a worker that died before it took the lease is given up', async () => {
  const watched = watch();
  await run(watched, 0, 1_500);
  states.set(hotJobId(ID, 0), 'active');
  await run(watched, 1_750, 4_000);
  expect(states.size).toBe(1);
  await run(watched, 4_250, 8_000);
  expect([...states.keys()]).toEqual([hotJobId(ID, 0), hotJobId(ID, 1)]);
});

test('the broadcaster is told of a missing worker', () => {
  expect(hotAdvice(2)).toEqual([]);
  expect(hotAdvice(1)).toEqual([
    'Hot redundancy needs 2 workers that take live jobs; one is running. Start another transcoder.',
  ]);
  expect(hotAdvice(0)[0]).toContain('0 are running');
});
