// The edge's place among the nodes: whom it sees in the registry, and its own heartbeat. With a static list of origins it may come late or never.
import { createEdgePlace, type EdgePlace } from '../platform/adapters/edge-roster.ts';
import { createRedis, type RedisConnection } from '../platform/adapters/redis.ts';
import { createHeartbeat, createRegistry, type Registry } from '../platform/adapters/registry.ts';
import type { NodeInfo, Role } from '../platform/contract/nodes.ts';
import type { Component } from '../platform/runtime/lifecycle.ts';
import { sequence } from '../platform/runtime/lifecycle.ts';
import type { Logger } from '../platform/runtime/log.ts';
import { type Loop, repeat } from '../platform/runtime/waits.ts';

const TRY_AGAIN_MS = 2_000;

export type RegistryLink = {
  /** Last known nodes of a role; none before the registry was read. */
  nodes(role: Role): NodeInfo[];
  /** An operator has ordered this edge out of use; false before Redis was asked. */
  isDrained(): boolean;
  /** Started before the listeners: who is there. */
  reading: Component;
  /** Started after the listeners: this node is there. */
  beating: Component;
};

/**
 * @param isOptional origins are listed by hand: start waits for nothing, Redis is tried again until it answers
 * @param describe this node, from the start of `beating` on
 */
export function createRegistryLink(
  redisUrl: string,
  isOptional: boolean,
  describe: () => NodeInfo,
  log: Logger,
): RegistryLink {
  return isOptional ? lateLink(redisUrl, describe, log) : firmLink(redisUrl, describe, log);
}

type Parts = { redis: RedisConnection; registry: Registry; place: EdgePlace; heartbeat: Component };

function makeParts(redisUrl: string, describe: () => NodeInfo, log: Logger): Parts {
  const redis = createRedis(redisUrl, log);
  return {
    redis,
    registry: createRegistry(redis, ['origin', 'edge'], log),
    place: createEdgePlace(redis, () => describe().public_url ?? describe().url, log),
    heartbeat: createHeartbeat(redis, describe, log),
  };
}

/** The order first: an edge that is drained says so from its first heartbeat on. */
const beatingOf = ({ place, heartbeat }: Parts, log: Logger) =>
  sequence(
    [
      { name: 'roster of edges', component: place },
      { name: 'heartbeat', component: heartbeat },
    ],
    log,
  );

const readingOf = ({ redis, registry }: Parts, log: Logger) =>
  sequence(
    [
      { name: 'redis', component: redis },
      { name: 'registry', component: registry },
    ],
    log,
  );

function firmLink(redisUrl: string, describe: () => NodeInfo, log: Logger): RegistryLink {
  const parts = makeParts(redisUrl, describe, log);
  return {
    nodes: (role) => parts.registry.nodes(role),
    isDrained: () => parts.place.isDrained(),
    reading: readingOf(parts, log),
    beating: beatingOf(parts, log),
  };
}

function lateLink(redisUrl: string, describe: () => NodeInfo, log: Logger): RegistryLink {
  let linked: { whole: ReturnType<typeof sequence>; registry: Registry; place: EdgePlace } | null = null;
  let loop: Loop | null = null;
  let trying: Component | null = null;
  const tryOnce = async () => {
    if (linked !== null) return;
    // A connection that failed to start is spent: each try makes a new one.
    const parts = makeParts(redisUrl, describe, log);
    trying = parts.redis;
    const whole = sequence(
      [
        { name: 'registry', component: readingOf(parts, log) },
        { name: 'this edge', component: beatingOf(parts, log) },
      ],
      log,
    );
    try {
      await whole.start();
      linked = { whole, registry: parts.registry, place: parts.place };
    } catch (thrown) {
      await whole.close();
      throw thrown;
    }
  };
  return {
    nodes: (role) => linked?.registry.nodes(role) ?? [],
    isDrained: () => linked?.place.isDrained() ?? false,
    reading: { start: async () => undefined, close: async () => undefined },
    beating: {
      async start() {
        loop ??= repeat(TRY_AGAIN_MS, tryOnce, (thrown) => log.warn('going on without the registry', { err: thrown }));
      },
      drain: async () => linked?.whole.drain(),
      async close() {
        // Ends a try under way, which else would go on for its full time.
        if (linked === null) await trying?.close();
        await loop?.close();
        loop = null;
        await linked?.whole.close();
        linked = null;
      },
    },
  };
}
