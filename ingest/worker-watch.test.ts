import { expect, test } from 'vitest';
import { hotJobId, liveJobId } from '../platform/contract/jobs.ts';
import { leases as leaseNames } from '../platform/contract/redis-keys.ts';
import { silentLogger } from '../platform/runtime/log.ts';
import { sampleBroadcast } from '../test/support/sample-records.ts';
import { WorkerWatch } from './worker-watch.ts';

test('the second worker is asked for while the first one is there, and each lease is looked at once', async () => {
  const record = sampleBroadcast({ redundancy: 'hot' });
  const [live, hot] = [leaseNames.live(record.id), leaseNames.liveHot(record.id)];
  const jobs: string[] = [];
  let looks: string[] = [];
  let leader: string | null = null;
  const terms = {
    async holder(lease: string) {
      looks.push(lease);
      return lease === live ? leader : null;
    },
    jobState: async (id: string) => (jobs.includes(id) ? ('waiting' as const) : null),
    async enqueue(id: string) {
      jobs.push(id);
      return 'added' as const;
    },
    isIndexed: async () => true,
    term: async () => 0,
  };
  const watch = new WorkerWatch(record, true, { terms, nodes: { liveWorkers: () => 2 } }, silentLogger);
  for (let now = 0; now <= 5_000; now += 250) await watch.step(now, false);
  expect(jobs).toEqual([liveJobId(record.id, 1)]);
  expect(looks).not.toContain(hot);
  leader = 'worker';
  for (let now = 5_250; now <= 10_000; now += 250) {
    looks = [];
    await watch.step(now, false);
    expect(looks.filter((lease) => lease === live)).toEqual([live]);
  }
  expect(jobs).toEqual([liveJobId(record.id, 1), hotJobId(record.id, 0)]);
  looks = [];
  await watch.step(20_000, true);
  expect(looks).toEqual([live]);
});
