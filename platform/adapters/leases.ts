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

/** A renewal that failed is tried again so soon. Unit: ms. */
const RETRY_MS = 200;

/** A held lease; it renews itself until released or lost. */
export interface Lease {
  readonly name: string;
  /**
   * Aborts when another holds it; and, unless it was asked for as kept, when no renewal has succeeded for its whole time (own monotonic
   * clock).
   */
  readonly lost: AbortSignal;
  /** Gives it back; never throws: what Redis does not hear expires by itself. May be called twice. */
  release(): Promise<void>;
}

export type LeaseOptions = {
  /**
   * Redis that does not answer takes nothing away: the holder goes on and takes the lease again when Redis is back, unless another was first.
   * Only for work that is fenced by terms as well.
   */
  isKept?: boolean;
};

export interface Leases {
  /**
   * @param name as in contract/redis-keys.ts `leases`
   * @param ttlMs time after which a holder that died is replaced, ms
   * @returns null when another holds it
   * @throws RedisUnavailable
   */
  acquire(name: string, ttlMs: number, options?: LeaseOptions): Promise<Lease | null>;
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
  readonly #isKept: boolean;
  readonly #log: Logger;
  readonly #renewing: Promise<void>;
  #expiresAt: number;

  /** @param askedAt performance.now() before the acquiring command was sent */
  constructor(
    client: RedisClient,
    lease: { name: string; token: string; ttlMs: number; askedAt: number; isKept: boolean },
    log: Logger,
  ) {
    this.name = lease.name;
    this.lost = this.#lost.signal;
    this.#client = client;
    this.#token = lease.token;
    this.#ttlMs = lease.ttlMs;
    this.#isKept = lease.isKept;
    this.#log = log;
    this.#expiresAt = lease.askedAt + lease.ttlMs;
    this.#renewing = this.#renew();
  }

  async #renew(): Promise<void> {
    const stop = this.#ending.signal;
    let wait = this.#ttlMs / 3;
    while (!stop.aborted) {
      await delay(Math.min(wait, this.#remainingMs()), stop);
      if (stop.aborted) return;
      const deadline = new AbortController();
      // A renewal that hangs must not hide the end of the lease's time.
      const limit = this.#isKept ? [] : [delay(this.#remainingMs(), deadline.signal).then(() => 'late' as const)];
      const outcome = await Promise.race([this.#try(), ...limit]);
      deadline.abort();
      if (stop.aborted) return;
      if (outcome === 'taken') return this.#lose('another holds it');
      if (outcome === 'late' || this.#remainingMs() <= 0) return this.#lose('not renewed in time');
      wait = outcome === 'held' ? this.#ttlMs / 3 : RETRY_MS;
    }
  }

  /** Infinity for a kept one: only another holder ends it. */
  #remainingMs(): number {
    return this.#isKept ? Number.POSITIVE_INFINITY : Math.max(0, this.#expiresAt - performance.now());
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
    async acquire(name, ttlMs, { isKept = false } = {}) {
      const token = randomUUID();
      const askedAt = performance.now();
      const isMine = await client.set(leaseKey(name), token, { px: ttlMs, nx: true });
      return isMine ? new HeldLease(client, { name, token, ttlMs, askedAt, isKept }, log) : null;
    },
    holder: (name) => client.get(leaseKey(name)),
  };
}
