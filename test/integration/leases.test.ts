// Leases on a real Redis: one holder, renewal, loss, an emptied and a dead Redis.
import { once } from 'node:events';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createLeases, type Leases } from '../../platform/adapters/leases.ts';
import { createRedis, type RedisConnection } from '../../platform/adapters/redis.ts';
import { leaseKey } from '../../platform/contract/redis-keys.ts';
import { silentLogger } from '../../platform/runtime/log.ts';
import { delay } from '../../platform/runtime/waits.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { waitUntil } from '../support/wait-until.ts';

let server: TestRedis;
let redis: RedisConnection;
let leases: Leases;
beforeAll(async () => {
  server = await startRedis();
  redis = createRedis(server.url, silentLogger);
  await redis.start();
  leases = createLeases(redis, silentLogger);
});
afterAll(async () => {
  await redis?.close();
  await server?.stop();
});
beforeEach(() => server.flush());

test('of many who ask, one holds it; released, the next may', async () => {
  const asked = await Promise.all(Array.from({ length: 10 }, () => leases.acquire('one', 3_000)));
  const held = asked.filter((lease) => lease !== null);
  expect(held).toHaveLength(1);
  expect(await leases.holder('one')).not.toBeNull();
  await held[0]?.release();
  await held[0]?.release();
  expect(await leases.holder('one')).toBeNull();
  expect(held[0]?.lost.aborted).toBe(false);
  const next = await leases.acquire('one', 3_000);
  expect(next).not.toBeNull();
  await next?.release();
});

test('is renewed for longer than its time', async () => {
  const lease = await leases.acquire('long', 300);
  for (let i = 0; i < 10; i += 1) {
    await delay(100);
    expect(await leases.acquire('long', 300)).toBeNull();
  }
  expect(lease?.lost.aborted).toBe(false);
  await lease?.release();
});

test('comes back under the same token after FLUSHALL', async () => {
  const lease = await leases.acquire('flushed', 600);
  const token = await leases.holder('flushed');
  await server.flush();
  await waitUntil('the lease is back', async () => (await leases.holder('flushed')) === token, 2_000);
  expect(lease?.lost.aborted).toBe(false);
  await lease?.release();
});

test('is lost when another holds it, and then leaves the other alone', async () => {
  const lease = await leases.acquire('taken', 600);
  if (lease === null) throw new Error('not acquired');
  await redis.client.set(leaseKey('taken'), 'another', { px: 60_000 });
  if (!lease.lost.aborted) await once(lease.lost, 'abort');
  await lease.release();
  expect(await leases.holder('taken')).toBe('another');
});

test('is lost in its own time when Redis dies', async () => {
  const own = await startRedis();
  const link = createRedis(own.url, silentLogger);
  await link.start();
  const lease = await createLeases(link, silentLogger).acquire('dead', 900);
  if (lease === null) throw new Error('not acquired');
  await own.kill();
  const killedAt = performance.now();
  if (!lease.lost.aborted) await once(lease.lost, 'abort');
  expect(performance.now() - killedAt).toBeLessThan(1_000);
  await lease.release();
  await link.close();
});

test('a kept one outlives a Redis that is away, and is lost only to another holder', async () => {
  const own = await startRedis();
  const link = createRedis(own.url, silentLogger);
  await link.start();
  const kept = createLeases(link, silentLogger);
  const lease = await kept.acquire('kept', 600, { isKept: true });
  if (lease === null) throw new Error('not acquired');
  const token = await kept.holder('kept');
  await own.kill();
  await delay(1_500);
  expect(lease.lost.aborted).toBe(false);
  await own.restart();
  await waitUntil('the lease is back', async () => (await kept.holder('kept').catch(() => null)) === token, 5_000);
  await link.client.set(leaseKey('kept'), 'another', { px: 60_000 });
  if (!lease.lost.aborted) await once(lease.lost, 'abort');
  await lease.release();
  expect(await kept.holder('kept')).toBe('another');
  await link.close();
  await own.stop();
});
