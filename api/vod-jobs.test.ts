// One open job per asset, whatever was queued before.
import { describe, expect, test } from 'vitest';
import type { AssetId } from '../platform/contract/ids.ts';
import type { JobState } from '../platform/contract/jobs.ts';
import { memoryQueue } from '../test/support/api-parts.ts';
import { createVodJobs } from './vod-jobs.ts';

const ASSET = 'A'.repeat(22) as AssetId;
const id = (round: number) => `vod:${ASSET}:${round}`;

async function queueWith(states: Record<number, JobState>) {
  const queue = memoryQueue();
  for (const [round, state] of Object.entries(states)) {
    await queue.enqueue('vod', id(Number(round)), {});
    const job = queue.jobs.get(id(Number(round)));
    if (job) job.state = state;
  }
  return queue;
}

describe('ensure', () => {
  const cases: [string, Record<number, JobState>, number, string, string[]][] = [
    ['nothing queued', {}, 0, 'added', [id(0)]],
    ['one waits', { 0: 'waiting' }, 0, 'present', [id(0)]],
    ['one runs', { 0: 'active' }, 1, 'present', [id(0)]],
    ['one waits for its next attempt', { 0: 'delayed' }, 2, 'present', [id(0)]],
    ['one failed', { 0: 'failed' }, 0, 'added', [id(0), id(1)]],
    ['old rounds are forgotten, a later one runs', { 3: 'active' }, 3, 'present', [id(3)]],
    ['old rounds are forgotten, none is open', {}, 5, 'added', [id(5)]],
    ['a completed one', { 0: 'completed', 1: 'failed' }, 1, 'added', [id(0), id(1), id(2)]],
  ];
  test.each(cases)('%s', async (_name, states, term, result, ids) => {
    const queue = await queueWith(states);
    expect(await createVodJobs(queue).ensure(ASSET, term, 'r')).toBe(result);
    expect([...queue.jobs.keys()]).toEqual(ids);
  });

  test('of two callers at once one adds', async () => {
    const queue = memoryQueue();
    const jobs = createVodJobs(queue);
    const results = await Promise.all([jobs.ensure(ASSET, 0, 'a'), jobs.ensure(ASSET, 0, 'b')]);
    expect(results.sort()).toEqual(['added', 'present']);
  });
});

test('waiting jobs are removed, running ones stay', async () => {
  const queue = await queueWith({ 0: 'active', 1: 'waiting', 2: 'delayed', 3: 'failed' });
  await createVodJobs(queue).removeWaiting(ASSET, 0);
  expect([...queue.jobs.keys()]).toEqual([id(0), id(3)]);
});
