// Redis behind Sentinels: commands, subscriptions and the queue follow the master when it dies or is cut off.
import { afterEach, expect, it } from 'vitest';
import { createQueue } from '../../platform/adapters/queue.ts';
import { createRedis } from '../../platform/adapters/redis.ts';
import type { AssetId } from '../../platform/contract/ids.ts';
import { newId } from '../../platform/contract/ids.ts';
import { silentLogger } from '../../platform/runtime/log.ts';
import { type SentinelWorld, startSentinelWorld } from '../support/sentinel.ts';
import { waitUntil } from '../support/wait-until.ts';

let world: SentinelWorld;
const closing: { close(): Promise<void> }[] = [];

afterEach(async () => {
  for (const one of closing.splice(0)) await one.close();
  await world.stop();
});

async function connect() {
  const redis = createRedis(world.url, silentLogger);
  closing.push(redis);
  await redis.start();
  return redis;
}

it('follows the master when it is killed: commands, subscriptions, jobs', async () => {
  world = await startSentinelWorld();
  const redis = await connect();
  const listening = redis.duplicate();
  closing.push(listening);
  await listening.start();
  const heard: string[] = [];
  await listening.subscribe('hw:test', (message) => heard.push(message));
  const queue = createQueue(world.url, ['vod'], silentLogger);
  closing.push(queue);
  const done: string[] = [];
  queue.process('vod', 1, async (payload) => void done.push(payload.asset_id));
  await queue.start();
  await redis.client.set('before', 'kept');
  await waitUntil('the replica has it', () => world.isCopied('before', 'kept'), 10_000);
  let reconnects = 0;
  redis.onReconnect(() => {
    reconnects += 1;
  });

  const dead = await world.killMaster();
  await waitUntil('another master', async () => (await world.master()) !== dead, 20_000);
  await waitUntil('commands go there', () => redis.client.set('after', 'written').catch(() => false), 10_000);

  expect(await redis.client.get('before')).toBe('kept');
  expect(reconnects).toBeGreaterThan(0);
  await waitUntil('messages come through', async () => {
    await redis.client.publish('hw:test', 'hello').catch(() => undefined);
    return heard.length > 0;
  });
  const asset = newId<AssetId>();
  await waitUntil('jobs are taken', () =>
    queue.enqueue('vod', `vod:${asset}:1`, { version: 1, asset_id: asset, request_id: 'sentinel' }).catch(() => false),
  );
  await waitUntil('the job is done', () => done.includes(asset));
}, 90_000);

it('leaves a master that is cut off, and does not go back to it', async () => {
  world = await startSentinelWorld();
  const redis = await connect();
  const old = await world.master();
  const thaw = await world.freezeMaster();
  try {
    await waitUntil('another master', async () => (await world.master()) !== old, 20_000);
    await waitUntil('commands go there', () => redis.client.set('after', 'written').catch(() => false), 10_000);
  } finally {
    await thaw();
  }
  const now = await world.master();
  await waitUntil('the old one follows', async () => (await world.command(old, 'ROLE')).startsWith('slave'), 20_000);
  await redis.client.set('later', 'written');
  expect(await world.command(now, 'GET', 'later')).toBe('written');
}, 90_000);
