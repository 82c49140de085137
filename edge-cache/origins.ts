// The origins this edge knows and which of them may be asked: last known good list, health checks, ejection, circuits, slow start.
import { setMaxListeners } from 'node:events';
import type { HttpClient } from '../platform/runtime/http-client.ts';
import type { Component } from '../platform/runtime/lifecycle.ts';
import type { Logger } from '../platform/runtime/log.ts';
import { type Loop, repeat } from '../platform/runtime/waits.ts';
import type { Candidate, PickFor, Selector } from './balancer.ts';
import { CircuitBreaker } from './circuit-breaker.ts';
import type { OriginMetrics } from './metrics.ts';
import { OutlierEjection } from './outlier-ejection.ts';

const CHECK_EVERY_MS = 1_000;
const CHECK_LIMIT_MS = 1_000;
/** An origin that left the registry but still answers stays this long: an emptied Redis must not empty the list. Unit: ms. */
const KEEP_UNLISTED_MS = 30_000;
/** Weight that a slow start begins with: with nothing at all it would never be seen to answer. */
const FIRST_SHARE = 0.1;
const NEVER = outSignal().signal;

/** Where the list comes from: the registry, or a fixed list. Addresses `http://host:port`. */
export interface OriginSource {
  urls(): readonly string[];
  /** Share of the load beside the others; 1 where nothing is said. */
  weightOf?(url: string): number;
}

export type OriginTuning = {
  /** Time in which an origin that comes in or comes back takes up its share; 0: at once. Unit: ms. */
  slowStartMs: number;
  /** An origin is in while at least `threshold` of its last `window` health checks were good. */
  probes: { window: number; threshold: number };
};

/** Two misses in a row take an origin out, one success takes it back. */
const DEFAULT_TUNING: OriginTuning = { slowStartMs: 0, probes: { window: 2, threshold: 1 } };

/** `failed`: health checks or a refused connection found it gone. `open`: its circuit is not closed. */
export type OriginState = 'up' | 'failed' | 'ejected' | 'open';

type Origin = {
  url: string;
  /** The last health checks, oldest first. */
  probes: boolean[];
  /** A connection was refused or reset since the last good check. */
  isSuspect: boolean;
  unlistedSinceMs: number | null;
  /** Aborted when health checks take it out; a new one each time it is back. */
  out: AbortController;
  /** When it came in or came back; -Infinity: it was there from the start. Unit: ms. */
  backMs: number;
  active: number;
  circuit: CircuitBreaker;
};

/** What a request is picked for; `isRetry` follows from the origins tried. */
export type PickedFor = Omit<PickFor, 'isRetry'>;
const ANYTHING: PickedFor = { key: '', client: '' };

export type OriginPoolParts = {
  source: OriginSource;
  selector: Selector;
  http: HttpClient;
  log: Logger;
  metrics: OriginMetrics;
  now: () => number;
  tuning?: OriginTuning;
};

export class OriginPool implements Component {
  readonly #parts: OriginPoolParts;
  readonly #tuning: OriginTuning;
  readonly #outliers: OutlierEjection;
  #origins = new Map<string, Origin>();
  #loop: Loop | null = null;
  #downSinceMs: number | null = null;

  constructor(parts: OriginPoolParts) {
    this.#parts = parts;
    this.#tuning = parts.tuning ?? DEFAULT_TUNING;
    this.#outliers = new OutlierEjection(parts.now);
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
    return { known: origins.length, up: origins.filter((origin) => this.#isUp(origin)).length };
  }

  /** Number of origins by state. */
  states(): Record<OriginState, number> {
    const states = { up: 0, failed: 0, ejected: 0, open: 0 };
    for (const origin of this.#origins.values()) states[this.#stateOf(origin)] += 1;
    return states;
  }

  /**
   * The origin to ask now. Those thought well come first; when none of them is left, the others: a wrong verdict must not turn
   * viewers away. Only one whose circuit is open and that has answered nothing lately is not asked even then.
   * @param tried addresses this request has already failed on
   * @returns null when no origin is left to ask
   */
  pick(tried: ReadonlySet<string>, request: PickedFor = ANYTHING): string | null {
    if (this.#origins.size === 0) this.refresh();
    const left = [...this.#origins.values()].filter((origin) => !tried.has(origin.url));
    const sound = left.filter((origin) => this.#isSound(origin));
    const isLastResort = sound.length === 0;
    const among = isLastResort ? left.filter(({ circuit }) => !circuit.isHopeless) : sound;
    const url = this.#choose(among, { ...request, isRetry: tried.size > 0 });
    if (left.length > 0)
      this.#parts.metrics.picks.add({ choice: url === null ? 'none' : isLastResort ? 'last_resort' : 'sound' });
    return url;
  }

  /** Another origin to ask beside one that is late; null unless one is thought well. */
  spare(busy: ReadonlySet<string>, request: PickedFor): string | null {
    const sound = [...this.#origins.values()].filter((origin) => !busy.has(origin.url) && this.#isSound(origin));
    return this.#choose(sound, { ...request, isRetry: true });
  }

  /** A request to the origin begins. @returns to be called when it and its body are over; more often does no harm */
  began(url: string): () => void {
    let origin = this.#origins.get(url);
    if (origin) origin.active += 1;
    return () => {
      if (origin) origin.active -= 1;
      origin = undefined;
    };
  }

  /** A request got a usable answer. */
  succeeded(url: string): void {
    this.#downSinceMs = null;
    this.#outliers.succeeded(url);
    this.#origins.get(url)?.circuit.succeeded();
  }

  /**
   * A request failed.
   * @param isDead refused or reset: the next requests prefer others at once, until a check succeeds. It is no reason for an
   *   ejection, which would outlast the restart of a killed origin
   */
  failed(url: string, isDead: boolean): void {
    const origin = this.#origins.get(url);
    if (!origin) return;
    origin.circuit.failed();
    if (isDead) origin.isSuspect = true;
    // Never the last one that answers: the others would have to be asked all the same.
    const isOnlyOne = ![...this.#origins.values()].some((other) => other !== origin && this.#isUp(other));
    const ejectedMs = isDead || isOnlyOne ? null : this.#outliers.failed(url, this.#origins.size);
    if (ejectedMs === null) return;
    this.#parts.metrics.ejections.add();
    this.#parts.log.warn('origin ejected', { origin: url, ms: ejectedMs });
  }

  /** Whether the origin is thought well: checks, ejection and circuit. */
  isSound(url: string): boolean {
    const origin = this.#origins.get(url);
    return origin !== undefined && this.#isSound(origin);
  }

  /** How long no origin has been thought well or has answered; 0 while one is. Unit: ms. */
  downMs(): number {
    const nowMs = this.#parts.now();
    const isOneSound = [...this.#origins.values()].some((origin) => this.#stateOf(origin) === 'up');
    this.#downSinceMs = isOneSound ? null : (this.#downSinceMs ?? nowMs);
    return this.#downSinceMs === null ? 0 : nowMs - this.#downSinceMs;
  }

  /** Aborts when health checks find the origin gone. Requests that it holds back are then asked of another one. */
  whenOut(url: string): AbortSignal {
    return this.#origins.get(url)?.out.signal ?? NEVER;
  }

  /** Takes over the source's list. An empty list changes nothing. */
  refresh(): void {
    const listed = this.#parts.source.urls();
    if (listed.length === 0) return;
    const nowMs = this.#parts.now();
    const backMs = this.#origins.size === 0 ? Number.NEGATIVE_INFINITY : nowMs;
    const next = new Map<string, Origin>();
    for (const url of listed) {
      const origin = this.#origins.get(url) ?? this.#newOrigin(url, backMs);
      origin.unlistedSinceMs = null;
      next.set(url, origin);
    }
    for (const origin of this.#origins.values()) {
      if (next.has(origin.url)) continue;
      origin.unlistedSinceMs ??= nowMs;
      if (this.#isUp(origin) && nowMs - origin.unlistedSinceMs < KEEP_UNLISTED_MS) next.set(origin.url, origin);
      else this.#outliers.forget(origin.url);
    }
    // Sorted, so that turns and ties mean the same from one refresh to the next.
    this.#origins = new Map([...next].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** One round of health checks over the refreshed list. */
  async check(signal: AbortSignal): Promise<void> {
    this.refresh();
    await Promise.all([...this.#origins.values()].map((origin) => this.#checkOne(origin, signal)));
    // Also without requests: the first one after a while must not take a long outage for a new one.
    this.downMs();
  }

  #newOrigin(url: string, backMs: number): Origin {
    const circuit = new CircuitBreaker(this.#parts.now, (state) => {
      this.#parts.metrics.circuits.add({ to: state });
      this.#parts.log.warn('circuit of an origin changed', { origin: url, state });
    });
    const out = outSignal();
    return { url, probes: [], isSuspect: false, unlistedSinceMs: null, out, backMs, active: 0, circuit };
  }

  #choose(origins: readonly Origin[], request: PickFor): string | null {
    const candidates = origins.map((origin): Candidate => {
      const { url, active } = origin;
      return { url, active, weight: this.#weightOf(origin) };
    });
    const url = this.#parts.selector.pick(candidates, request);
    if (url !== null) this.#origins.get(url)?.circuit.chosen();
    return url;
  }

  /** Rises evenly after an origin came back, be it from death or from ejection: its caches are cold, and it may fail again. */
  #weightOf(origin: Origin): number {
    const weight = this.#parts.source.weightOf?.(origin.url) ?? 1;
    const { slowStartMs } = this.#tuning;
    const sinceMs = this.#parts.now() - Math.max(origin.backMs, this.#outliers.endMs(origin.url));
    return sinceMs >= slowStartMs ? weight : weight * Math.max(FIRST_SHARE, sinceMs / slowStartMs);
  }

  #isIn({ probes }: Origin): boolean {
    const { window, threshold } = this.#tuning.probes;
    // What has not been checked yet counts as good: a new origin is asked at once.
    return window - probes.filter((isGood) => !isGood).length >= threshold;
  }

  #stateOf(origin: Origin): OriginState {
    if (origin.isSuspect || !this.#isIn(origin)) return 'failed';
    if (this.#outliers.isEjected(origin.url)) return 'ejected';
    return origin.circuit.state === 'closed' ? 'up' : 'open';
  }

  /** Readiness hangs on this. Not on the circuit: when a whole system answers 500, edges must not turn unready one and all. */
  #isUp(origin: Origin): boolean {
    const state = this.#stateOf(origin);
    return state === 'up' || state === 'open';
  }

  #isSound(origin: Origin): boolean {
    return this.#isUp(origin) && origin.circuit.isPassable;
  }

  async #checkOne(origin: Origin, signal: AbortSignal): Promise<void> {
    const isGood = await this.#answers(origin.url, signal);
    if (signal.aborted) return;
    this.#parts.metrics.probes.add({ result: isGood ? 'good' : 'bad' });
    const wasHere = !origin.isSuspect && this.#isIn(origin);
    const wasIn = this.#isIn(origin);
    origin.probes.push(isGood);
    if (origin.probes.length > this.#tuning.probes.window) origin.probes.shift();
    if (isGood) origin.isSuspect = false;
    const isIn = this.#isIn(origin);
    if (!isIn) origin.out.abort();
    else if (origin.out.signal.aborted) origin.out = outSignal();
    const isHere = isIn && !origin.isSuspect;
    if (isHere && !wasHere) this.#cameBack(origin, !wasIn);
    if (isHere !== wasHere) this.#parts.log.info(isHere ? 'origin answers' : 'origin is out', { origin: origin.url });
  }

  /** @param isNew it was out: what failed before then was most likely another process */
  #cameBack(origin: Origin, isNew: boolean): void {
    origin.backMs = this.#parts.now();
    if (isNew) {
      origin.circuit.reset();
      this.#outliers.forget(origin.url);
    } else origin.circuit.tryNow();
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

function outSignal(): AbortController {
  const out = new AbortController();
  // Every request that the origin holds back listens.
  setMaxListeners(0, out.signal);
  return out;
}
