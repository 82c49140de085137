// The origins this edge knows and which of them answer: last known good list, active health checks, passive suspicion.
import { setMaxListeners } from 'node:events';
import type { HttpClient } from '../platform/runtime/http-client.ts';
import type { Component } from '../platform/runtime/lifecycle.ts';
import type { Logger } from '../platform/runtime/log.ts';
import { type Loop, repeat } from '../platform/runtime/waits.ts';
import type { Selector } from './balancer.ts';

const CHECK_EVERY_MS = 1_000;
const CHECK_LIMIT_MS = 1_000;
const MISSES_UNTIL_OUT = 2;
const FAILURES_UNTIL_SUSPECT = 5;
/** An origin that left the registry but still answers stays this long: an emptied Redis must not empty the list. Unit: ms. */
const KEEP_UNLISTED_MS = 30_000;
const NEVER = outSignal().signal;

/** Where the list comes from: the registry, or a fixed list. Addresses `http://host:port`. */
export interface OriginSource {
  urls(): readonly string[];
}

type Origin = {
  url: string;
  misses: number;
  failures: number;
  isSuspect: boolean;
  unlistedSinceMs: number | null;
  /** Aborted when health checks take it out; a new one each time it is back. */
  out: AbortController;
};

export type OriginPoolParts = {
  source: OriginSource;
  selector: Selector;
  http: HttpClient;
  log: Logger;
  now: () => number;
};

export class OriginPool implements Component {
  readonly #parts: OriginPoolParts;
  #origins = new Map<string, Origin>();
  #loop: Loop | null = null;

  constructor(parts: OriginPoolParts) {
    this.#parts = parts;
  }

  async start(): Promise<void> {
    this.refresh();
    this.#loop ??= repeat(
      CHECK_EVERY_MS,
      (signal) => this.check(signal),
      (thrown) => this.#parts.log.error('origin check failed', { err: thrown }),
    );
  }

  async close(): Promise<void> {
    await this.#loop?.close();
    this.#loop = null;
  }

  /** Number of origins known and number that may be preferred now. */
  counts(): { known: number; up: number } {
    const origins = [...this.#origins.values()];
    return { known: origins.length, up: origins.filter(isAvailable).length };
  }

  /**
   * The origin to ask now. Those that answer come first; when none of them is left, the others: a wrong verdict must not turn viewers away.
   * @param tried addresses this request has already failed on
   * @returns null when every known origin was tried
   */
  pick(tried: ReadonlySet<string>): string | null {
    if (this.#origins.size === 0) this.refresh();
    const left = [...this.#origins.values()].filter((origin) => !tried.has(origin.url));
    const good = left.filter(isAvailable);
    const urls = (good.length > 0 ? good : left).map((origin) => origin.url);
    return this.#parts.selector.pick(urls, tried.size > 0);
  }

  /** A request got a usable answer. */
  succeeded(url: string): void {
    const origin = this.#origins.get(url);
    if (origin) origin.failures = 0;
  }

  /** A request failed. @param isDead refused or reset: the next requests prefer others at once, until a check succeeds */
  failed(url: string, isDead: boolean): void {
    const origin = this.#origins.get(url);
    if (!origin) return;
    origin.failures += 1;
    if (isDead || origin.failures >= FAILURES_UNTIL_SUSPECT) origin.isSuspect = true;
  }

  /** Aborts when health checks find the origin gone. Requests that it holds back are then asked of another one. */
  whenOut(url: string): AbortSignal {
    return this.#origins.get(url)?.out.signal ?? NEVER;
  }

  /** Takes over the source's list. An empty list changes nothing. */
  refresh(): void {
    const listed = this.#parts.source.urls();
    if (listed.length === 0) return;
    const next = new Map<string, Origin>();
    const fresh = (url: string): Origin => ({
      url,
      misses: 0,
      failures: 0,
      isSuspect: false,
      unlistedSinceMs: null,
      out: outSignal(),
    });
    for (const url of listed) {
      const origin = this.#origins.get(url) ?? fresh(url);
      origin.unlistedSinceMs = null;
      next.set(url, origin);
    }
    for (const origin of this.#origins.values()) {
      if (next.has(origin.url)) continue;
      origin.unlistedSinceMs ??= this.#parts.now();
      if (isAvailable(origin) && this.#parts.now() - origin.unlistedSinceMs < KEEP_UNLISTED_MS)
        next.set(origin.url, origin);
    }
    // Sorted, so that round-robin's turns mean the same from one refresh to the next.
    this.#origins = new Map([...next].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** One round of health checks over the refreshed list. */
  async check(signal: AbortSignal): Promise<void> {
    this.refresh();
    await Promise.all([...this.#origins.values()].map((origin) => this.#checkOne(origin, signal)));
  }

  async #checkOne(origin: Origin, signal: AbortSignal): Promise<void> {
    const wasUp = isAvailable(origin);
    const isGood = await this.#answers(origin.url, signal);
    if (signal.aborted) return;
    origin.misses = isGood ? 0 : origin.misses + 1;
    if (isGood) {
      origin.isSuspect = false;
      origin.failures = 0;
      if (origin.out.signal.aborted) origin.out = outSignal();
    } else if (origin.misses >= MISSES_UNTIL_OUT) origin.out.abort();
    if (wasUp !== isAvailable(origin))
      this.#parts.log.info(isGood ? 'origin answers' : 'origin is out', { origin: origin.url });
  }

  async #answers(url: string, signal: AbortSignal): Promise<boolean> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(CHECK_LIMIT_MS)]);
    try {
      const answer = await this.#parts.http.request(url, {
        path: '/healthz',
        firstByteMs: CHECK_LIMIT_MS,
        idleMs: CHECK_LIMIT_MS,
        signal: limit,
      });
      for await (const chunk of answer.body) if (limit.aborted || chunk.length > 65_536) return false;
      return answer.status === 200;
    } catch {
      // Whatever went wrong is the finding: the origin does not answer.
      return false;
    }
  }
}

const isAvailable = (origin: Origin): boolean => !origin.isSuspect && origin.misses < MISSES_UNTIL_OUT;

function outSignal(): AbortController {
  const out = new AbortController();
  // Every request that the origin holds back listens.
  setMaxListeners(0, out.signal);
  return out;
}
