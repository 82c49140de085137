// Must show D: a network split with the platform on the wrong side of it: the master is alive and takes what is lost with it.
import { describe, it } from 'vitest';
import { failoverHooks, isAble, runFailover } from '../support/redis-failover.ts';

failoverHooks();

describe.runIf(isAble)('a Redis master on the wrong side of a split', () => {
  it('loses no upload, no job and no picture, and comes back as a replica', async () => {
    await runFailover('Redis split', (world) => world.splitMaster(), 3);
  }, 300_000);
});
