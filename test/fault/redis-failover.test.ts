// Must show D: Redis behind Sentinels, the master cut off from everybody and back as a replica.
import { describe, it } from 'vitest';
import { failoverHooks, isAble, runFailover } from '../support/redis-failover.ts';

failoverHooks();

describe.runIf(isAble)('a Redis master that is cut off', () => {
  it('loses no upload, no job and no picture, and comes back as a replica', async () => {
    await runFailover('Redis failover', (world) => world.freezeMaster(), 0);
  }, 300_000);
});
