// The live timeline in Redis: appended through one fenced script, followed by origins. Entry ids are positions, so order, step-back
// checks, trimming and going on after a loss all follow from the id alone.
import type { ContentId } from '../contract/ids.ts';
import { timelineHeadKey, timelineKey } from '../contract/redis-keys.ts';
import { comparePositions, formatPosition, type Position, TimelineEntry } from '../contract/timeline.ts';
import { AppError } from '../runtime/errors.ts';
import type { Component } from '../runtime/lifecycle.ts';
import type { Logger } from '../runtime/log.ts';
import { delay, type Loop, repeat } from '../runtime/waits.ts';
import type { RedisConnection, StreamEntry } from './redis.ts';

/** Parts per segment that an id has room for. */
const PARTS = 4_096;

/** Stream id of a position: `{epoch}-{msn and part}`; ids compare as positions do. Epoch 0, msn 0, part 0 is `0-1`: Redis refuses `0-0`. */
export const entryId = (p: Position): string => `${p.epoch}-${p.msn * PARTS + p.part + 1}`;
/** Inverse of entryId. */
export function positionOf(id: string): Position {
  const [epoch = 0, place = 1] = id.split('-').map(Number);
  return { epoch, msn: Math.floor((place - 1) / PARTS), part: (place - 1) % PARTS };
}

/**
 * Why the script refused an entry. UNSEEDED: Redis was emptied, or took the place of one that had more; the writer puts back what it remembers
 * before it goes on, so that a timeline never has a hole.
 */
export type RefusalReason = 'STALE_TERM' | 'STEP_BACK' | 'UNSEEDED';
/** The timeline did not take an entry: another worker has the term, the position is not ahead, or Redis was emptied. */
export class TimelineRefused extends AppError {
  readonly reason: RefusalReason;
  constructor(content: ContentId, reason: RefusalReason, entry: { term: number } & Partial<Position>) {
    const { epoch, msn, part } = entry;
    const place =
      epoch === undefined || msn === undefined || part === undefined
        ? ''
        : ` at ${formatPosition({ epoch, msn, part })}`;
    super('TIMELINE_REFUSED', `the timeline of ${content} refused term ${entry.term}${place}: ${reason}`, {
      source: 'client',
      retryable: reason === 'UNSEEDED',
    });
    this.reason = reason;
  }
}

/** A timeline goes this long after its last entry; what was broadcast stays in the store's index blocks. Unit: s. */
const KEPT_S = 86_400;

/** Where two places stand to one another, by epoch, msn and part. */
const IS_BEFORE = `
local function isBefore(e, m, p, oe, om, op)
  return e < oe or (e == oe and (m < om or (m == om and p < op)))
end`;

/** KEYS: stream, head. ARGV: term, epoch, msn, part, id, JSON; and epoch, msn, part of what the writer knows to be there, -1 without. */
const APPEND = `${IS_BEFORE}
local head = redis.call('HMGET', KEYS[2], 'term', 'epoch', 'msn', 'part')
if not head[1] then return 'UNSEEDED' end
local term, epoch, msn, part = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
if term < tonumber(head[1]) then return 'STALE_TERM' end
local e, m, p = tonumber(head[2] or -1), tonumber(head[3] or -1), tonumber(head[4] or -1)
if head[2] and not isBefore(e, m, p, epoch, msn, part) then return 'STEP_BACK' end
if isBefore(e, m, p, tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])) then return 'UNSEEDED' end
redis.call('XADD', KEYS[1], ARGV[5], 'e', ARGV[6])
redis.call('HSET', KEYS[2], 'term', ARGV[1], 'epoch', ARGV[2], 'msn', ARGV[3], 'part', ARGV[4])
redis.call('EXPIRE', KEYS[1], ${KEPT_S})
redis.call('EXPIRE', KEYS[2], ${KEPT_S})
return 'OK'`;

/**
 * KEYS: stream, head. ARGV: term, then id and JSON of each entry, ascending; those after the last one there are added. The head's place is its
 * own or the last entry's, whichever is ahead.
 */
const SEED = `${IS_BEFORE}
local before = redis.call('HGET', KEYS[2], 'term')
if before and tonumber(ARGV[1]) < tonumber(before) then return 'STALE_TERM' end
redis.call('HSET', KEYS[2], 'term', ARGV[1])
local le, lp = -1, -1
local there = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
if there then
  local e, p = string.match(there[1], '(%d+)-(%d+)')
  le, lp = tonumber(e), tonumber(p)
end
for i = 2, #ARGV, 2 do
  local e, p = string.match(ARGV[i], '(%d+)-(%d+)')
  if isBefore(le, lp, 0, tonumber(e), tonumber(p), 0) then redis.call('XADD', KEYS[1], ARGV[i], 'e', ARGV[i + 1]) end
end
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
if last then
  local e = cjson.decode(last[2][2])
  local head = redis.call('HMGET', KEYS[2], 'epoch', 'msn', 'part')
  if not head[1] or isBefore(tonumber(head[1]), tonumber(head[2]), tonumber(head[3]), e.epoch, e.msn, e.part) then
    redis.call('HSET', KEYS[2], 'epoch', string.format('%.0f', e.epoch), 'msn', string.format('%.0f', e.msn), 'part', string.format('%.0f', e.part))
  end
end
redis.call('EXPIRE', KEYS[1], ${KEPT_S})
redis.call('EXPIRE', KEYS[2], ${KEPT_S})
return 'OK'`;

export interface TimelineWriter {
  /**
   * Accepts the entry when its term is not older than the head's, its position is ahead, and `after` is there.
   * @param after what the writer knows to have been accepted: an entry that would leave it out is UNSEEDED
   * @throws TimelineRefused STALE_TERM, STEP_BACK, UNSEEDED; RedisUnavailable
   */
  append(content: ContentId, entry: TimelineEntry, after?: Position | null): Promise<void>;
  /**
   * Sets the head's term if it is missing or lower; entries that are there stay. Adds those of `entries` that come after them.
   * @param entries ascending; what the worker remembers
   * @throws TimelineRefused STALE_TERM; RedisUnavailable
   */
  seed(content: ContentId, term: number, entries: TimelineEntry[]): Promise<void>;
  /** Highest accepted position with the head's term; null when nothing was accepted yet or Redis was emptied. */
  head(content: ContentId): Promise<(Position & { term: number }) | null>;
  /** Drops entries before a position (which stays). */
  trimBefore(content: ContentId, position: Position): Promise<void>;
  /** Drops timeline and head. */
  remove(content: ContentId): Promise<void>;
}

/** Writer over the shared connection. */
export function createTimelineWriter(redis: RedisConnection): TimelineWriter {
  const { client } = redis;
  const keysOf = (content: ContentId) => [timelineKey(content), timelineHeadKey(content)];
  return {
    async append(content, entry, after = null) {
      const place = [entry.term, entry.epoch, entry.msn, entry.part];
      const known = after === null ? [-1, -1, -1] : [after.epoch, after.msn, after.part];
      const args = [...place, entryId(entry), JSON.stringify(entry), ...known];
      const reply = await client.eval(APPEND, keysOf(content), args);
      if (reply !== 'OK') throw new TimelineRefused(content, String(reply) as RefusalReason, entry);
    },
    async seed(content, term, entries) {
      const args = [...entries].sort(comparePositions).flatMap((entry) => [entryId(entry), JSON.stringify(entry)]);
      const reply = await client.eval(SEED, keysOf(content), [term, ...args]);
      if (reply !== 'OK') throw new TimelineRefused(content, String(reply) as RefusalReason, { term });
    },
    async head(content) {
      const { term, epoch, msn, part } = await client.hGetAll(timelineHeadKey(content));
      if (term === undefined || epoch === undefined || msn === undefined || part === undefined) return null;
      return { term: Number(term), epoch: Number(epoch), msn: Number(msn), part: Number(part) };
    },
    trimBefore: (content, position) => client.xTrim(timelineKey(content), entryId(position)),
    remove: async (content) => void (await client.del(...keysOf(content))),
  };
}

/** Entries of a stream reply, and how many do not parse. */
export function parseEntries(raw: StreamEntry[]): { entries: TimelineEntry[]; faults: number } {
  const entries: TimelineEntry[] = [];
  let faults = 0;
  for (const { fields } of raw) {
    try {
      entries.push(TimelineEntry.parse(JSON.parse(fields['e'] ?? '')));
    } catch {
      faults += 1;
    }
  }
  return { entries, faults };
}

/** Longest blocking read: a timeline followed meanwhile waits this long for its first new entries. */
const BLOCK_MS = 250;
const COUNT = 500;
const IDLE_MS = 50;

export type TimelineFollowing = {
  /** Resolves when what Redis held at the call has been handed over; at the latest after the first successful read. */
  readonly caughtUp: Promise<void>;
  stop(): void;
};

export interface TimelineFollower extends Component {
  /**
   * Hands over all held entries first, then new ones in order, each once, over reconnects and an emptied Redis.
   * @param onEntries called with one or more entries, ascending
   */
  follow(content: ContentId, onEntries: (entries: TimelineEntry[]) => void): TimelineFollowing;
  /** ms since Redis last answered; Infinity before the first answer. */
  staleMs(): number;
}

type Followed = {
  content: ContentId;
  onEntries: (entries: TimelineEntry[]) => void;
  last: Position | null;
  isFresh: boolean;
  caughtUp: () => void;
};

/** @param redis shared connection; the follower opens its own beside it */
export function createTimelineFollower(redis: RedisConnection, log: Logger): TimelineFollower {
  return new Follower(redis, log);
}

class Follower implements TimelineFollower {
  readonly #redis: RedisConnection;
  readonly #log: Logger;
  readonly #followed = new Set<Followed>();
  #connection: RedisConnection | null = null;
  #loop: Loop | null = null;
  #answeredAt = Number.NEGATIVE_INFINITY;
  #isFailing = false;

  constructor(redis: RedisConnection, log: Logger) {
    this.#redis = redis;
    this.#log = log;
  }

  async start(): Promise<void> {
    this.#connection = this.#redis.duplicate();
    await this.#connection.start();
    this.#answeredAt = performance.now();
    this.#loop = repeat(
      0,
      (signal) => this.#read(signal),
      (thrown) => {
        if (!this.#isFailing) this.#log.warn('timelines not read', { err: thrown });
        this.#isFailing = true;
      },
    );
  }

  follow(content: ContentId, onEntries: (entries: TimelineEntry[]) => void): TimelineFollowing {
    let caughtUp: () => void = () => undefined;
    const promise = new Promise<void>((resolve) => {
      caughtUp = resolve;
    });
    const followed: Followed = { content, onEntries, last: null, isFresh: true, caughtUp };
    this.#followed.add(followed);
    return {
      caughtUp: promise,
      stop: () => {
        this.#followed.delete(followed);
        caughtUp();
      },
    };
  }

  staleMs(): number {
    return performance.now() - this.#answeredAt;
  }

  async #read(signal: AbortSignal): Promise<void> {
    const connection = this.#connection;
    if (connection === null) return;
    if (!connection.isReady()) return delay(IDLE_MS, signal);
    try {
      await this.#readOnce(connection, signal);
    } catch (thrown) {
      await delay(IDLE_MS, signal);
      throw thrown;
    }
    this.#answeredAt = performance.now();
    if (this.#isFailing) this.#log.info('timelines are read again');
    this.#isFailing = false;
  }

  async #readOnce(connection: RedisConnection, signal: AbortSignal): Promise<void> {
    if (this.#followed.size === 0) {
      await connection.client.ping();
      return delay(IDLE_MS, signal);
    }
    for (const followed of this.#followed) if (followed.isFresh) await this.#catchUp(connection, followed);
    const groups = this.#byKey();
    if (groups.size === 0) return;
    const after: Record<string, string> = {};
    for (const [key, group] of groups) after[key] = afterId(group);
    const answer = await connection.client.xRead(after, BLOCK_MS, COUNT);
    for (const [key, raw] of Object.entries(answer)) {
      for (const followed of groups.get(key) ?? []) this.#hand(followed, raw);
    }
  }

  async #catchUp(connection: RedisConnection, followed: Followed): Promise<void> {
    const key = timelineKey(followed.content);
    for (let start = '-'; ; ) {
      const raw = await connection.client.xRange(key, start, '+', COUNT);
      this.#hand(followed, raw);
      const last = raw.at(-1);
      if (last === undefined || raw.length < COUNT) break;
      start = `(${last.id}`;
    }
    followed.isFresh = false;
    followed.caughtUp();
  }

  #byKey(): Map<string, Followed[]> {
    const groups = new Map<string, Followed[]>();
    for (const followed of this.#followed) {
      if (followed.isFresh) continue;
      const key = timelineKey(followed.content);
      groups.set(key, [...(groups.get(key) ?? []), followed]);
    }
    return groups;
  }

  #hand(followed: Followed, raw: StreamEntry[]): void {
    if (!this.#followed.has(followed)) return;
    const { entries, faults } = parseEntries(raw);
    if (faults > 0) this.#log.error('timeline entries not understood', { content: followed.content, faults });
    const { last } = followed;
    const newest = raw.at(-1);
    if (newest === undefined) return;
    const place = positionOf(newest.id);
    if (last === null || comparePositions(place, last) > 0) followed.last = place;
    const fresh = last === null ? entries : entries.filter((entry) => comparePositions(entry, last) > 0);
    if (fresh.length === 0) return;
    try {
      followed.onEntries(fresh);
    } catch (thrown) {
      this.#log.error('timeline listener failed', { content: followed.content, err: thrown });
    }
  }

  async close(): Promise<void> {
    await this.#connection?.close();
    await this.#loop?.close();
    this.#loop = null;
    this.#connection = null;
    for (const followed of this.#followed) followed.caughtUp();
    this.#followed.clear();
  }
}

/** Where to read on: after the position all followers of this timeline have. */
function afterId(group: Followed[]): string {
  let least: Position | null = group[0]?.last ?? null;
  for (const { last } of group) {
    if (last === null) return '0-0';
    if (least !== null && comparePositions(last, least) < 0) least = last;
  }
  return least === null ? '0-0' : entryId(least);
}
