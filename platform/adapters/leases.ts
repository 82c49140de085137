// Leases: who does a piece of work now (pessimistic lock in Redis). Terms in the records decide who may publish; a lease only keeps others from trying.
import { randomUUID } from 'node:crypto';
import { leaseKey } from '../contract/redis-keys.ts';
import type { Logger } from '../runtime/log.ts';
import { delay } from '../runtime/waits.ts';
import type { RedisClient, RedisConnection } from './redis.ts';

/** Renews a lease, or takes it again when Redis has lost it. 1: held, 0: another holds it. */
const RENEW = `
local holder = redis.call('GET', KEYS[1])
if holder == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) return 1 end
if holder then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`;
const RELEASE = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`;

/** A held lease; it renews itself until released or lost. */
export interface Lease {
  readonly name: string;
  /** Aborts when another holds it, or when no renewal has succeeded for its whole time (own monotonic clock). */
  readonly lost: AbortSignal;
  /** Gives it back; never throws: what Redis does not hear expires by itself. May be called twice. */
  release(): Promise<void>;
}

export interface Leases {
  /**
   * @param name as in contract/redis-keys.ts `leases`
   * @param ttlMs time after which a holder that died is replaced, ms
   * @returns null when another holds it
   * @throws RedisUnavailable
   */
  acquire(name: string, ttlMs: number): Promise<Lease | null>;
  /** Token of whoever holds it, or null. @throws RedisUnavailable */
  holder(name: string): Promise<string | null>;
}

class HeldLease implements Lease {
  readonly name: string;
  readonly lost: AbortSignal;
  readonly #lost = new AbortController();
  readonly #ending = new AbortController();
  readonly #client: RedisClient;
  readonly #token: string;
  readonly #ttlMs: number;
  readonly #log: Logger;
  readonly #renewing: Promise<void>;
  #expiresAt: number;

  /** @param askedAt performance.now() before the acquiring command was sent */
  constructor(
    client: RedisClient,
    lease: { name: string; token: string; ttlMs: number; askedAt: number },
    log: Logger,
  ) {
    this.name = lease.name;
    this.lost = this.#lost.signal;
    this.#client = client;
    this.#token = lease.token;
    this.#ttlMs = lease.ttlMs;
    this.#log = log;
    this.#expiresAt = lease.askedAt + lease.ttlMs;
    this.#renewing = this.#renew();
  }

  async #renew(): Promise<void> {
    const stop = this.#ending.signal;
    while (!stop.aborted) {
      const remaining = this.#expiresAt - performance.now();
      if (remaining <= 0) return this.#lose('not renewed in time');
      const deadline = new AbortController();
      const wait = Math.min(this.#ttlMs / 3, remaining);
      await delay(wait, stop);
      if (stop.aborted) return;
      // A renewal that hangs must not hide the end of the lease's time.
      const limit = Math.max(0, this.#expiresAt - performance.now());
      const outcome = await Promise.race([this.#try(), delay(limit, deadline.signal).then(() => 'late' as const)]);
      deadline.abort();
      if (stop.aborted) return;
      if (outcome === 'taken') return this.#lose('another holds it');
      if (outcome === 'late') return this.#lose('not renewed in time');
    }
  }

  async #try(): Promise<'held' | 'taken' | 'failed'> {
    const askedAt = performance.now();
    try {
      const reply = await this.#client.eval(RENEW, [leaseKey(this.name)], [this.#token, this.#ttlMs]);
      if (reply !== 1) return 'taken';
      this.#expiresAt = Math.max(this.#expiresAt, askedAt + this.#ttlMs);
      return 'held';
    } catch {
      return 'failed';
    }
  }

  #lose(reason: string): void {
    this.#ending.abort();
    this.#log.warn('lease lost', { lease: this.name, reason });
    this.#lost.abort(new Error(`lease ${this.name} is lost: ${reason}`));
  }

  async release(): Promise<void> {
    this.#ending.abort();
    await this.#renewing;
    try {
      await this.#client.eval(RELEASE, [leaseKey(this.name)], [this.#token]);
    } catch (thrown) {
      this.#log.debug('lease left to expire', { lease: this.name, err: thrown });
    }
  }
}

/** Leases over one Redis connection (started and closed by its owner). */
export function createLeases(redis: RedisConnection, log: Logger): Leases {
  const { client } = redis;
  return {
    async acquire(name, ttlMs) {
      const token = randomUUID();
      const askedAt = performance.now();
      const isMine = await client.set(leaseKey(name), token, { px: ttlMs, nx: true });
      return isMine ? new HeldLease(client, { name, token, ttlMs, askedAt }, log) : null;
    },
    holder: (name) => client.get(leaseKey(name)),
  };
}
