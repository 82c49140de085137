// Connection to Redis: a small typed face over the one client package. Every answer has a time limit, every failure is RedisUnavailable.
import { createClient } from 'redis';
import { parseRedisUrl, type RedisAddress, serverUrl, withoutSecret } from '../contract/redis-address.ts';
import { AppError, messageOf, TimedOut } from '../runtime/errors.ts';
import type { Component } from '../runtime/lifecycle.ts';
import type { Logger } from '../runtime/log.ts';
import { backoffMs, delay, type Loop, repeat, within } from '../runtime/waits.ts';

const ANSWER_MS = 2_000;
const START_MS = 10_000;
const CONNECT_MS = 3_000;
/** A link without any byte for this long is dead; a ping each second keeps a live one busy. */
const DEAD_LINK_MS = 6_000;
const REPORT_EVERY_MS = 10_000;
/** How often the Sentinels are asked which server is the master, and how long one may take to answer. */
const ASK_EVERY_MS = 500;
const ASK_MS = 1_000;

/** Redis does not answer. */
export class RedisUnavailable extends AppError {
  constructor(what: string, options?: ErrorOptions) {
    super('REDIS_UNAVAILABLE', `Redis failed to ${what} (REDIS_URL)`, {
      source: 'upstream',
      retryable: true,
      ...options,
    });
  }
}
/** Redis answered with an error: a wrong type, a script fault, no memory, no permission. */
export class RedisRefused extends AppError {
  constructor(what: string, options: ErrorOptions) {
    super('REDIS_REFUSED', `Redis refused ${what}: ${messageOf(options.cause)}`, {
      source: 'internal',
      retryable: false,
      ...options,
    });
  }
}

export type StreamEntry = { id: string; fields: Record<string, string> };

/** The commands that the platform uses. Each throws RedisUnavailable (after 2 s at the latest) or RedisRefused. */
export interface RedisClient {
  ping(): Promise<void>;
  get(key: string): Promise<string | null>;
  /** @param options `px`: expiry, ms; `nx`: only when missing. @returns whether it was set */
  set(key: string, value: string, options?: { px?: number; nx?: boolean }): Promise<boolean>;
  /** @returns number of keys removed */
  del(...keys: string[]): Promise<number>;
  exists(key: string): Promise<boolean>;
  /** Sets the expiry of a key, ms. */
  pExpire(key: string, ms: number): Promise<void>;
  hGet(key: string, field: string): Promise<string | null>;
  /** Sets all fields given; none is no command. */
  hSet(key: string, fields: Record<string, string>): Promise<void>;
  hDel(key: string, ...fields: string[]): Promise<void>;
  hGetAll(key: string): Promise<Record<string, string>>;
  hLen(key: string): Promise<number>;
  zAdd(key: string, score: number, member: string): Promise<void>;
  zRem(key: string, ...members: string[]): Promise<void>;
  zScore(key: string, member: string): Promise<number | null>;
  zCard(key: string): Promise<number>;
  /** Members by index, inclusive, lowest score first; `reverse`: highest first. */
  zRange(key: string, start: number, stop: number, options?: { reverse?: boolean }): Promise<string[]>;
  /** Members from a score downwards, highest first (members of equal score in descending byte order). */
  zPage(key: string, maxScore: number, offset: number, count: number): Promise<{ member: string; score: number }[]>;
  /** Entries between two ids, inclusive (`-`, `+`, `(id` for exclusive). */
  xRange(key: string, start: string, end: string, count?: number): Promise<StreamEntry[]>;
  /** Entries after the id given per key; waits up to `blockMs` for the first. Only on a connection of one's own. */
  xRead(after: Record<string, string>, blockMs: number, count: number): Promise<Record<string, StreamEntry[]>>;
  /** Drops entries with ids below `minId`. */
  xTrim(key: string, minId: string): Promise<void>;
  publish(channel: string, message: string): Promise<void>;
  /** Runs a script atomically. Arguments reach Lua as text. */
  eval(script: string, keys: string[], args: (string | number)[]): Promise<unknown>;
}

export interface RedisConnection extends Component {
  readonly client: RedisClient;
  /** Connected and answering. */
  isReady(): boolean;
  /** A new connection to the same server, not started: for blocking reads and subscriptions. */
  duplicate(): RedisConnection;
  /** Listens on a channel for the life of the connection, over reconnects. Turns the connection into a listening one. */
  subscribe(channel: string, listener: (message: string) => void): Promise<void>;
  /** Called at each connect after the first: what Redis held may be gone. @returns remover */
  onReconnect(listener: () => void): () => void;
}

type RawClient = ReturnType<typeof makeClient>;

function makeClient(url: string) {
  return createClient({
    url,
    RESP: 2,
    disableOfflineQueue: true,
    pingInterval: 1_000,
    socket: {
      connectTimeout: CONNECT_MS,
      socketTimeout: DEAD_LINK_MS,
      reconnectStrategy: (retries: number) => backoffMs(retries, 50, 300),
    },
  });
}

class Connection implements RedisConnection {
  readonly client: RedisClient;
  readonly #url: string;
  readonly #log: Logger;
  readonly #address: RedisAddress;
  #raw: RawClient;
  /** Of the server that #raw is for. */
  #server: string;
  #following: Loop | null = null;
  readonly #subscriptions: { channel: string; listener: (message: string) => void }[] = [];
  readonly #listeners = new Set<() => void>();
  #connects = 0;
  #isClosed = false;
  #failures = 0;
  #reportedAt = Number.NEGATIVE_INFINITY;

  constructor(url: string, log: Logger) {
    this.#url = url;
    this.#log = log;
    this.#address = parseRedisUrl(url) ?? { kind: 'server', url };
    // Behind Sentinels a place where nothing answers stands in until they have named the master; nothing connects before start().
    this.#server = this.#address.kind === 'server' ? url : serverUrl(this.#address, '127.0.0.1', 1);
    this.#raw = this.#open(this.#server);
    this.client = commandsOver((args, limitMs) => this.#send(args, limitMs));
  }

  #open(server: string): RawClient {
    const raw = makeClient(server);
    raw.on('error', (thrown: unknown) => this.#report(thrown));
    raw.on('ready', () => this.#onReady());
    return raw;
  }

  /** Goes over to the server that the Sentinels name; the client's own reconnecting then keeps to it. */
  async #followMaster(): Promise<void> {
    if (this.#address.kind !== 'sentinel') return;
    const server = await masterOf(this.#address);
    if (server === null || server === this.#server || this.#isClosed) return;
    if (this.#connects > 0) this.#log.warn('redis master changed', { server: withoutSecret(server) });
    const before = this.#raw;
    this.#server = server;
    this.#raw = this.#open(server);
    discard(before);
    const raw = this.#raw;
    const resubscribe = () => this.#subscriptions.map(({ channel, listener }) => raw.subscribe(channel, listener));
    raw
      .connect()
      .then(() => Promise.all(resubscribe()))
      .catch((thrown: unknown) => this.#report(thrown));
  }

  #report(thrown: unknown): void {
    this.#failures += 1;
    const now = performance.now();
    if (this.#isClosed || now - this.#reportedAt < REPORT_EVERY_MS) return;
    this.#reportedAt = now;
    this.#log.warn('redis connection failed', { err: thrown, failures: this.#failures });
  }

  #onReady(): void {
    this.#connects += 1;
    if (this.#connects === 1) return;
    this.#log.info('redis connected again', { failures: this.#failures });
    this.#failures = 0;
    this.#reportedAt = Number.NEGATIVE_INFINITY;
    for (const listener of this.#listeners) listener();
  }

  async #send(args: string[], limitMs: number): Promise<unknown> {
    const command = args[0] ?? '';
    try {
      return await within(this.#raw.sendCommand(args), limitMs, command);
    } catch (thrown) {
      if (thrown instanceof TimedOut) throw new RedisUnavailable(`answer ${command} in time`, { cause: thrown });
      if (isReply(thrown)) throw new RedisRefused(command, { cause: thrown });
      throw new RedisUnavailable(`answer ${command}`, { cause: thrown });
    }
  }

  async start(): Promise<void> {
    const deadline = performance.now() + START_MS;
    try {
      // connect() retries for ever; the limit decides how long a role waits for it.
      if (this.#address.kind === 'sentinel') {
        this.#following = repeat(
          ASK_EVERY_MS,
          () => this.#followMaster(),
          (thrown) => this.#report(thrown),
        );
        while (!this.#raw.isReady) {
          if (performance.now() > deadline) throw new TimedOut('finding the master', START_MS);
          await delay(50);
        }
      } else {
        const connecting = this.#raw.connect();
        connecting.catch((thrown: unknown) => this.#report(thrown));
        await within(connecting, START_MS, 'connecting');
      }
      while (!(await this.#answers())) {
        if (performance.now() > deadline) throw new TimedOut('loading its data', START_MS);
        await delay(100);
      }
    } catch (thrown) {
      await this.close();
      throw new RedisUnavailable(`accept a connection at ${withoutSecret(this.#url)} within 10 s`, { cause: thrown });
    }
  }

  /** False while Redis loads its data: it answers, but not to commands. */
  async #answers(): Promise<boolean> {
    try {
      await this.client.ping();
      return true;
    } catch (thrown) {
      if (thrown instanceof RedisRefused && messageOf(thrown.cause).startsWith('LOADING')) return false;
      throw thrown;
    }
  }

  isReady(): boolean {
    return this.#raw.isReady;
  }

  duplicate(): RedisConnection {
    return new Connection(this.#url, this.#log);
  }

  async subscribe(channel: string, listener: (message: string) => void): Promise<void> {
    this.#subscriptions.push({ channel, listener });
    await within(this.#raw.subscribe(channel, listener), ANSWER_MS, `subscribing to ${channel}`);
  }

  onReconnect(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#listeners.clear();
    discard(this.#raw);
    await this.#following?.close();
    this.#following = null;
  }
}

function discard(raw: RawClient): void {
  try {
    raw.destroy();
  } catch {
    // It was never open.
  }
}

/** Address of the master as the first Sentinel that answers names it; null when none does. */
async function masterOf(address: Extract<RedisAddress, { kind: 'sentinel' }>): Promise<string | null> {
  for (const { host, port } of address.sentinels) {
    const sentinel = makeClient(`redis://${host}:${port}`);
    sentinel.on('error', () => undefined);
    try {
      const ask = async () => {
        await sentinel.connect();
        return sentinel.sendCommand(['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', address.name]);
      };
      const [masterHost, masterPort] = textsOf(await within(ask(), ASK_MS, 'asking a Sentinel'));
      if (masterHost !== undefined && masterPort !== undefined)
        return serverUrl(address, masterHost, Number(masterPort));
    } catch {
      // The next one is asked.
    } finally {
      discard(sentinel);
    }
  }
  return null;
}

/** An error that Redis itself sent, as opposed to one of the link. */
const isReply = (thrown: unknown): boolean =>
  thrown instanceof Error && /^[A-Z]{2,}[A-Z0-9]* /.test(thrown.message) && !('code' in thrown);

type Send = (args: string[], limitMs: number) => Promise<unknown>;

function commandsOver(send: Send): RedisClient {
  const run = (...args: string[]) => send(args, ANSWER_MS);
  const text = (reply: unknown): string | null => (typeof reply === 'string' ? reply : null);
  return {
    ping: async () => void (await run('PING')),
    get: async (key) => text(await run('GET', key)),
    async set(key, value, options = {}) {
      const expiry = options.px === undefined ? [] : ['PX', String(options.px)];
      return (await run('SET', key, value, ...expiry, ...(options.nx ? ['NX'] : []))) === 'OK';
    },
    del: async (...keys) => (keys.length === 0 ? 0 : Number(await run('DEL', ...keys))),
    exists: async (key) => Number(await run('EXISTS', key)) === 1,
    pExpire: async (key, ms) => void (await run('PEXPIRE', key, String(ms))),
    hGet: async (key, field) => text(await run('HGET', key, field)),
    async hSet(key, fields) {
      const pairs = Object.entries(fields).flat();
      if (pairs.length > 0) await run('HSET', key, ...pairs);
    },
    async hDel(key, ...fields) {
      if (fields.length > 0) await run('HDEL', key, ...fields);
    },
    hGetAll: async (key) => pairsOf(await run('HGETALL', key)),
    hLen: async (key) => Number(await run('HLEN', key)),
    zAdd: async (key, score, member) => void (await run('ZADD', key, String(score), member)),
    async zRem(key, ...members) {
      if (members.length > 0) await run('ZREM', key, ...members);
    },
    async zScore(key, member) {
      const score = text(await run('ZSCORE', key, member));
      return score === null ? null : Number(score);
    },
    zCard: async (key) => Number(await run('ZCARD', key)),
    zRange: async (key, start, stop, options = {}) =>
      textsOf(await run('ZRANGE', key, String(start), String(stop), ...(options.reverse ? ['REV'] : []))),
    async zPage(key, maxScore, offset, count) {
      const limits = ['BYSCORE', 'REV', 'LIMIT', String(offset), String(count), 'WITHSCORES'];
      const pairs = textsOf(await run('ZRANGE', key, String(maxScore), '-inf', ...limits));
      const page: { member: string; score: number }[] = [];
      for (let i = 0; i + 1 < pairs.length; i += 2) page.push({ member: pairs[i] ?? '', score: Number(pairs[i + 1]) });
      return page;
    },
    xRange: async (key, start, end, count) =>
      entriesOf(await run('XRANGE', key, start, end, ...(count === undefined ? [] : ['COUNT', String(count)]))),
    xRead: (after, blockMs, count) => readStreams(send, after, blockMs, count),
    xTrim: async (key, minId) => void (await run('XTRIM', key, 'MINID', minId)),
    publish: async (channel, message) => void (await run('PUBLISH', channel, message)),
    eval: (script, keys, args) => run('EVAL', script, String(keys.length), ...keys, ...args.map(String)),
  };
}

async function readStreams(send: Send, after: Record<string, string>, blockMs: number, count: number) {
  const keys = Object.keys(after);
  const args = ['XREAD', 'COUNT', String(count), 'BLOCK', String(blockMs), 'STREAMS', ...keys, ...Object.values(after)];
  const reply = await send(args, blockMs + ANSWER_MS);
  const result: Record<string, StreamEntry[]> = {};
  for (const item of Array.isArray(reply) ? reply : []) {
    if (Array.isArray(item)) result[String(item[0])] = entriesOf(item[1]);
  }
  return result;
}

const textsOf = (reply: unknown): string[] => (Array.isArray(reply) ? reply.map(String) : []);

function pairsOf(reply: unknown): Record<string, string> {
  const texts = textsOf(reply);
  const result: Record<string, string> = {};
  for (let i = 0; i + 1 < texts.length; i += 2) result[texts[i] ?? ''] = texts[i + 1] ?? '';
  return result;
}

function entriesOf(reply: unknown): StreamEntry[] {
  const entries: StreamEntry[] = [];
  for (const item of Array.isArray(reply) ? reply : []) {
    if (Array.isArray(item)) entries.push({ id: String(item[0]), fields: pairsOf(item[1]) });
  }
  return entries;
}

/**
 * One connection to Redis; reconnects for ever. start() waits at most 10 s and throws RedisUnavailable naming REDIS_URL.
 * @param url either form of REDIS_URL (contract/redis-address.ts); behind Sentinels the connection follows the master
 */
export function createRedis(url: string, log: Logger): RedisConnection {
  return new Connection(url, log);
}
