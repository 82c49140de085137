// The roster of edges by public address: which ones masters may name, and which of them an operator has ordered out of use.
// Apart from the registry because it outlives processes: an edge that restarts keeps its place in masters, and its order.
import { HEARTBEAT_MS } from '../contract/nodes.ts';
import { edgeOrdersKey, edgesSeenKey } from '../contract/redis-keys.ts';
import { EDGE_ORDERS, type EdgeOrder } from '../contract/steering.ts';
import type { Component } from '../runtime/lifecycle.ts';
import type { Logger } from '../runtime/log.ts';
import { type Loop, repeat } from '../runtime/waits.ts';
import type { RedisConnection } from './redis.ts';

/** An edge that has not been there for this long is no longer named: longer than any restart. Unit: ms. */
const FORGET_MS = 600_000;
/** An address goes when this many answers in a row lack it: edges need a second or two to enter an emptied Redis again. */
const MISSES_UNTIL_GONE = 5;

const NOW = `local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000)`;
/** Puts the order back that this edge remembers, should Redis have lost it; answers the one that holds. */
const ENTER = `${NOW}
redis.call('ZADD', KEYS[1], now, ARGV[1])
if ARGV[2] ~= '' then redis.call('HSETNX', KEYS[2], ARGV[1], ARGV[2]) end
return redis.call('HGET', KEYS[2], ARGV[1]) or ''`;
const READ = `${NOW}
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[1])
return redis.call('ZRANGE', KEYS[1], 0, -1)`;

/** A loop that says once when it fails and once when it works again. */
function watched(what: string, work: () => Promise<void>, log: Logger): Component {
  let loop: Loop | null = null;
  let isFailing = false;
  const failed = (thrown: unknown): void => {
    if (!isFailing) log.warn(`${what} failed`, { err: thrown });
    isFailing = true;
  };
  const once = async (): Promise<void> => {
    await work();
    if (isFailing) log.info(`${what} works again`);
    isFailing = false;
  };
  return {
    async start() {
      await once().catch(failed);
      loop ??= repeat(HEARTBEAT_MS, once, failed);
    },
    async close() {
      await loop?.close();
      loop = null;
    },
  };
}

export interface EdgeRoster extends Component {
  /** Public addresses of the edges, sorted; the last list known while Redis is away. */
  addresses(): string[];
}

/** Reads the roster each second. start() tries once and does not wait for Redis. */
export function createEdgeRoster(redis: RedisConnection, log: Logger): EdgeRoster {
  let misses = new Map<string, number>();
  const loop = watched(
    'reading the edges',
    async () => {
      const reply = await redis.client.eval(READ, [edgesSeenKey], [FORGET_MS]);
      misses = mergeAddresses(misses, Array.isArray(reply) ? reply.map(String) : []);
    },
    log,
  );
  return { ...loop, addresses: () => [...misses.keys()].sort() };
}

/** What is known after an answer: address -> answers in a row that lacked it. */
export function mergeAddresses(before: ReadonlyMap<string, number>, listed: readonly string[]): Map<string, number> {
  const missed = [...before].map(([address, misses]) => [address, misses + 1] as const);
  const kept = missed.filter(([, misses]) => misses < MISSES_UNTIL_GONE);
  return new Map([...kept, ...listed.map((address) => [address, 0] as const)]);
}

export interface EdgePlace extends Component {
  /** An operator has ordered this edge out of use; what was last known while Redis is away. */
  isDrained(): boolean;
}

/**
 * Says each second that an edge is there, and learns what an operator has ordered.
 * @param address public address; called from start() on
 */
export function createEdgePlace(redis: RedisConnection, address: () => string, log: Logger): EdgePlace {
  let order: EdgeOrder | null = null;
  const loop = watched(
    'entering the roster of edges',
    async () => {
      const reply = await redis.client.eval(ENTER, [edgesSeenKey, edgeOrdersKey], [address(), order ?? '']);
      order = EDGE_ORDERS.find((known) => known === reply) ?? order;
    },
    log,
  );
  return { ...loop, isDrained: () => order === 'drained' };
}

/** Writes an operator's order. @throws RedisUnavailable */
export async function orderEdge(redis: RedisConnection, address: string, order: EdgeOrder): Promise<void> {
  await redis.client.hSet(edgeOrdersKey, { [address]: order });
}
