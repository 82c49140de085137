// Who is there: nodes say so each second, readers keep the last list they saw. Expiry is counted by Redis's clock, so no node's clock matters.
import { HEARTBEAT_MS, NODE_TTL_MS, NodeInfo, type Role } from '../contract/nodes.ts';
import { nodeExpiryKey, nodesKey } from '../contract/redis-keys.ts';
import type { Component } from '../runtime/lifecycle.ts';
import type { Logger } from '../runtime/log.ts';
import { type Loop, repeat } from '../runtime/waits.ts';
import type { RedisConnection } from './redis.ts';

const NOW = `local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000)`;
const BEAT = `${NOW}
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], now + ARGV[3], ARGV[1])`;
const LEAVE = `redis.call('HDEL', KEYS[1], ARGV[1]) redis.call('ZREM', KEYS[2], ARGV[1])`;
/** Removes expired nodes; returns JSON and remaining ms of each that is left. */
const READ = `${NOW}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now)) do
  redis.call('ZREM', KEYS[2], id)
  redis.call('HDEL', KEYS[1], id)
end
local result = {}
local ids = redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES')
for i = 1, #ids, 2 do
  local node = redis.call('HGET', KEYS[1], ids[i])
  if node then result[#result + 1] = node result[#result + 1] = tostring(math.floor(ids[i + 1] - now)) end
end
return result`;

export interface Registry extends Component {
  /** Nodes of a role, draining ones too, ordered by id; the last list known while Redis is away. */
  nodes(role: Role): NodeInfo[];
  /** ms since the list was last read; Infinity before the first time. */
  ageMs(): number;
}

/** Known node; `until` by performance.now(). */
type Known = { node: NodeInfo; until: number };

/**
 * What is known after an answer. A node missing from it stays until its time is up, unless it had said that it drains:
 * an emptied Redis must not make an edge forget its origins.
 */
export function mergeNodes(before: Map<string, Known>, answer: Known[], now: number): Map<string, Known> {
  const after = new Map(answer.map((known) => [known.node.id as string, known]));
  for (const [id, known] of before) {
    if (!after.has(id) && known.until > now && known.node.state === 'healthy') after.set(id, known);
  }
  return after;
}

/**
 * Reads the nodes of `roles` each second. start() waits for the first list.
 * @param roles roles to follow
 */
export function createRegistry(redis: RedisConnection, roles: Role[], log: Logger): Registry {
  const known = new Map<Role, Map<string, Known>>();
  let readAt = Number.NEGATIVE_INFINITY;
  let loop: Loop | null = null;
  let isFailing = false;
  const refresh = async () => {
    const now = performance.now();
    for (const role of roles) {
      const reply = await redis.client.eval(READ, [nodesKey(role), nodeExpiryKey(role)], []);
      const before = known.get(role) ?? new Map<string, Known>();
      // Back after an outage: nodes get the time of a heartbeat or two to say that they are still there.
      if (isFailing) for (const item of before.values()) item.until = now + NODE_TTL_MS;
      known.set(role, mergeNodes(before, parseAnswer(reply, now), now));
    }
    readAt = performance.now();
    if (isFailing) log.info('registry answers again');
    isFailing = false;
  };
  return {
    async start() {
      await refresh();
      loop = repeat(HEARTBEAT_MS, refresh, (thrown) => {
        if (!isFailing) log.warn('registry not read', { err: thrown });
        isFailing = true;
      });
    },
    nodes: (role) =>
      [...(known.get(role)?.values() ?? [])]
        .map((item) => item.node)
        .sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)),
    ageMs: () => performance.now() - readAt,
    async close() {
      await loop?.close();
      loop = null;
    },
  };
}

function parseAnswer(reply: unknown, now: number): Known[] {
  const texts = Array.isArray(reply) ? reply.map(String) : [];
  const answer: Known[] = [];
  for (let i = 0; i + 1 < texts.length; i += 2) {
    const node = parseNode(texts[i] ?? '');
    if (node !== null) answer.push({ node, until: now + Number(texts[i + 1]) });
  }
  return answer;
}

function parseNode(text: string): NodeInfo | null {
  try {
    const parsed = NodeInfo.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}

/**
 * Says each second that this node is there. drain() says at once that it drains, close() takes it off the list.
 * @param describe called at each beat, from start() on
 */
export function createHeartbeat(redis: RedisConnection, describe: () => NodeInfo, log: Logger): Component {
  let loop: Loop | null = null;
  let isDraining = false;
  let isFailing = false;
  const beat = async () => {
    const node = describe();
    const said: NodeInfo = isDraining ? { ...node, state: 'draining' } : node;
    const keys = [nodesKey(node.role), nodeExpiryKey(node.role)];
    await redis.client.eval(BEAT, keys, [node.id, JSON.stringify(said), NODE_TTL_MS]);
    isFailing = false;
  };
  const quietly = async (work: Promise<unknown>) => {
    try {
      await work;
    } catch (thrown) {
      if (!isFailing) log.warn('heartbeat not sent', { err: thrown });
      isFailing = true;
    }
  };
  return {
    async start() {
      await beat();
      loop = repeat(HEARTBEAT_MS, beat, (thrown) => {
        if (!isFailing) log.warn('heartbeat not sent', { err: thrown });
        isFailing = true;
      });
    },
    async drain() {
      isDraining = true;
      await quietly(beat());
    },
    async close() {
      if (loop === null) return;
      await loop.close();
      loop = null;
      const node = describe();
      await quietly(redis.client.eval(LEAVE, [nodesKey(node.role), nodeExpiryKey(node.role)], [node.id]));
    },
  };
}
