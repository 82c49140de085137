// Registry, heartbeat and event bus on a real Redis.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createEventBus } from '../../platform/adapters/event-bus.ts';
import { createRedis, type RedisConnection } from '../../platform/adapters/redis.ts';
import { createHeartbeat, createRegistry } from '../../platform/adapters/registry.ts';
import type { PlatformEvent } from '../../platform/contract/events.ts';
import { type AssetId, type NodeId, newId } from '../../platform/contract/ids.ts';
import { NODE_TTL_MS, type NodeInfo, type Role } from '../../platform/contract/nodes.ts';
import { eventsChannel, nodeExpiryKey, nodesKey } from '../../platform/contract/redis-keys.ts';
import { silentLogger } from '../../platform/runtime/log.ts';
import { delay } from '../../platform/runtime/waits.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { waitUntil } from '../support/wait-until.ts';

let server: TestRedis;
let redis: RedisConnection;
beforeAll(async () => {
  server = await startRedis();
  redis = createRedis(server.url, silentLogger);
  await redis.start();
});
afterAll(async () => {
  await redis?.close();
  await server?.stop();
});
beforeEach(() => server.flush());

function newNode(role: Role): NodeInfo {
  return {
    id: newId<NodeId>(),
    role,
    url: 'http://127.0.0.1:1',
    public_url: null,
    private_url: 'http://127.0.0.1:2',
    state: 'healthy',
    started_at: Date.now(),
    pid: 1,
    version: '0.1.0',
    load: { connections: 1 },
  };
}

test('nodes appear with what they say now, drain, and leave at once', async () => {
  const node = newNode('origin');
  let connections = 1;
  const heartbeat = createHeartbeat(redis, () => ({ ...node, load: { connections } }), silentLogger);
  await heartbeat.start();
  const registry = createRegistry(redis, ['origin', 'edge'], silentLogger);
  expect(registry.ageMs()).toBe(Number.POSITIVE_INFINITY);
  await registry.start();
  expect(registry.nodes('origin')).toEqual([node]);
  expect(registry.nodes('edge')).toEqual([]);
  connections = 7;
  await waitUntil('the new load', () => registry.nodes('origin')[0]?.load['connections'] === 7);
  expect(registry.ageMs()).toBeLessThan(2_000);
  await heartbeat.drain?.();
  await waitUntil('it drains', () => registry.nodes('origin')[0]?.state === 'draining');
  await heartbeat.close();
  await heartbeat.close();
  await waitUntil('it is gone', () => registry.nodes('origin').length === 0, 2_500);
  await registry.close();
});

test('a node that says nothing any more is gone after its time', async () => {
  const node = newNode('origin');
  await redis.client.hSet(nodesKey('origin'), { [node.id]: JSON.stringify(node) });
  await redis.client.zAdd(nodeExpiryKey('origin'), Date.now() + 1_500, node.id);
  const registry = createRegistry(redis, ['origin'], silentLogger);
  await registry.start();
  expect(registry.nodes('origin')).toHaveLength(1);
  await waitUntil('it is gone', () => registry.nodes('origin').length === 0, 4_000);
  expect(await redis.client.hLen(nodesKey('origin'))).toBe(0);
  await registry.close();
});

test('an emptied Redis makes nobody forget living nodes', async () => {
  const beats = [newNode('origin'), newNode('origin')].map((node) => createHeartbeat(redis, () => node, silentLogger));
  for (const beat of beats) await beat.start();
  const registry = createRegistry(redis, ['origin'], silentLogger);
  await registry.start();
  await server.flush();
  for (const until = performance.now() + 2_500; performance.now() < until; await delay(20)) {
    expect(registry.nodes('origin')).toHaveLength(2);
  }
  await Promise.all([registry.close(), ...beats.map((beat) => beat.close())]);
});

test('a dead Redis leaves the last list, and its return keeps it', async () => {
  const own = await startRedis();
  const link = createRedis(own.url, silentLogger);
  await link.start();
  const node = newNode('origin');
  const beat = createHeartbeat(link, () => node, silentLogger);
  await beat.start();
  const registry = createRegistry(link, ['origin'], silentLogger);
  await registry.start();
  await own.kill();
  await delay(NODE_TTL_MS + 500);
  expect(registry.nodes('origin')).toHaveLength(1);
  expect(registry.ageMs()).toBeGreaterThan(NODE_TTL_MS);
  await own.restart();
  await waitUntil('it is read again', () => {
    expect(registry.nodes('origin')).toHaveLength(1);
    return registry.ageMs() < 1_000;
  });
  await Promise.all([registry.close(), beat.close()]);
  await link.close();
  await own.stop();
});

test('events reach every bus; nonsense and failing listeners hurt nobody', async () => {
  const buses = [createEventBus(redis, silentLogger), createEventBus(redis, silentLogger)];
  for (const bus of buses) await bus.start();
  const seen: PlatformEvent[][] = [[], []];
  buses[0]?.on(() => {
    throw new Error('listener fails');
  });
  const removers = buses.map((bus, i) => bus.on((event) => seen[i]?.push(event)));
  const event: PlatformEvent = { type: 'asset', id: newId<AssetId>() };
  await redis.client.publish(eventsChannel, 'nonsense');
  await redis.client.publish(eventsChannel, '{"type":"unknown"}');
  await buses[0]?.publish(event);
  await waitUntil('both have it', () => seen.every((events) => events.length === 1));
  expect(seen).toEqual([[event], [event]]);
  removers[1]?.();
  await buses[1]?.publish({ type: 'stream-keys' });
  await waitUntil('the first has it', () => seen[0]?.length === 2);
  expect(seen[1]).toHaveLength(1);
  for (const bus of buses) await bus.close();
});

test('events flow again after Redis was killed', async () => {
  const own = await startRedis();
  const link = createRedis(own.url, silentLogger);
  await link.start();
  const bus = createEventBus(link, silentLogger);
  await bus.start();
  let count = 0;
  bus.on(() => {
    count += 1;
  });
  await own.kill();
  await bus.publish({ type: 'stream-keys' });
  await own.restart();
  await waitUntil('an event comes', async () => {
    await bus.publish({ type: 'stream-keys' });
    return count > 0;
  });
  await bus.close();
  await link.close();
  await own.stop();
});
