// The roster of edges on a real Redis: who is named, what an operator ordered, and an emptied Redis.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { createEdgePlace, createEdgeRoster, orderEdge } from '../../platform/adapters/edge-roster.ts';
import { createRedis, type RedisConnection } from '../../platform/adapters/redis.ts';
import type { Component } from '../../platform/runtime/lifecycle.ts';
import { silentLogger } from '../../platform/runtime/log.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { waitUntil } from '../support/wait-until.ts';

const [A, B] = ['http://localhost:8080', 'http://localhost:8081'] as const;

let server: TestRedis;
let redis: RedisConnection;
const open: Component[] = [];

beforeAll(async () => {
  server = await startRedis();
  redis = createRedis(server.url, silentLogger);
  await redis.start();
});
afterEach(async () => {
  for (const component of open.splice(0)) await component.close();
});
afterAll(async () => {
  await redis?.close();
  await server?.stop();
});
beforeEach(() => server.flush());

async function started<T extends Component>(component: T): Promise<T> {
  open.push(component);
  await component.start();
  return component;
}
const place = (address: string) => started(createEdgePlace(redis, () => address, silentLogger));
const roster = () => started(createEdgeRoster(redis, silentLogger));

test('every reader names the same edges, also the one that has just gone', async () => {
  await place(B);
  const gone = await place(A);
  const first = await roster();
  await gone.close();
  const second = await roster();
  expect(first.addresses()).toEqual([A, B]);
  expect(second.addresses()).toEqual([A, B]);
});

test('an order reaches the edge and outlives its process', async () => {
  const before = await place(A);
  expect(before.isDrained()).toBe(false);
  await orderEdge(redis, A, 'drained');
  await waitUntil('the order has arrived', () => before.isDrained());
  await before.close();
  const after = await place(A);
  expect(after.isDrained()).toBe(true);
  expect((await place(B)).isDrained()).toBe(false);
  await orderEdge(redis, A, 'open');
  await waitUntil('it is open again', () => !after.isDrained());
});

test('an emptied Redis changes neither list nor order', async () => {
  const edges = await roster();
  const drained = await place(A);
  await place(B);
  await orderEdge(redis, A, 'drained');
  await waitUntil('the order has arrived', () => drained.isDrained() && edges.addresses().length === 2);
  await server.flush();
  await waitUntil('the order is back', async () => (await server.command('HGET', 'hw:edge-orders', A)) === 'drained');
  expect(drained.isDrained()).toBe(true);
  expect(edges.addresses()).toEqual([A, B]);
});
