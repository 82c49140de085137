// A small cache in front of a slow look-up: short-lived, bounded, one load per key at a time, old values while the source is away.
import { dropOldest } from '../platform/runtime/bounded-map.ts';
import { AppError } from '../platform/runtime/errors.ts';
import { within } from '../platform/runtime/waits.ts';

export type LookupLimits = {
  /** A value this old is looked up anew. Infinity: never. */
  ttlMs: number;
  /** While the source fails, a value up to this old is answered instead. */
  staleMs: number;
  /** Keys held; the least recently used leave first. */
  capacity: number;
  /** Longest wait for the source. */
  limitMs: number;
  /** Longest wait for the source where a value up to `staleMs` old can stand in; unset: `limitMs`. A store that hangs must not hold up live. */
  patienceMs?: number;
};

type Held<V> = {
  value: { it: V; at: number } | null;
  loading: Promise<V> | null;
  /** When that load began. */
  loadingAt: number;
  /** Looked up anew at the next get, however young. */
  isExpired: boolean;
};

export class CachedLookup<V> {
  private readonly limits: LookupLimits;
  private readonly source: (key: string) => Promise<V>;
  private readonly now: () => number;
  private readonly held = new Map<string, Held<V>>();

  /** @param source the slow one; null and other values are kept alike. @param now monotonic clock, ms */
  constructor(limits: LookupLimits, source: (key: string) => Promise<V>, now: () => number = () => performance.now()) {
    this.limits = limits;
    this.source = source;
    this.now = now;
  }

  /**
   * The value: from memory while young, else from the source.
   * @throws what the source throws, unless an old value can stand in for a retryable failure
   */
  async get(key: string): Promise<V> {
    const held = this.touch(key);
    const { value } = held;
    if (value !== null && !held.isExpired && this.now() - value.at < this.limits.ttlMs) return value.it;
    const loading = this.load(key, held);
    const isUsable = value !== null && this.now() - value.at < this.limits.staleMs;
    try {
      const { patienceMs } = this.limits;
      if (!isUsable || patienceMs === undefined) return await loading;
      return await within(loading, Math.max(0, patienceMs - (this.now() - held.loadingAt)), 'a look-up');
    } catch (thrown) {
      const isAway = thrown instanceof AppError && thrown.retryable;
      if (isAway && value !== null && this.now() - value.at < this.limits.staleMs) return value.it;
      if (value === null && this.held.get(key) === held) this.held.delete(key);
      throw thrown;
    }
  }

  /** The value as the source has it now. @throws what the source throws */
  fresh(key: string): Promise<V> {
    this.invalidate(key);
    return this.load(key, this.touch(key));
  }

  /** Makes the next get ask the source; a load already under way is not believed either. */
  invalidate(key: string): void {
    const held = this.held.get(key);
    if (held === undefined) return;
    this.held.set(key, { value: held.value, loading: null, loadingAt: 0, isExpired: true });
  }

  /** The load under way, or a new one. */
  private load(key: string, held: Held<V>): Promise<V> {
    if (held.loading !== null) return held.loading;
    held.loadingAt = this.now();
    held.loading = this.refresh(key, held);
    return held.loading;
  }

  private touch(key: string): Held<V> {
    const held = this.held.get(key) ?? { value: null, loading: null, loadingAt: 0, isExpired: false };
    this.held.delete(key);
    this.held.set(key, held);
    dropOldest(this.held, this.limits.capacity);
    return held;
  }

  private async refresh(key: string, held: Held<V>): Promise<V> {
    try {
      const it = await within(this.source(key), this.limits.limitMs, 'a look-up');
      held.value = { it, at: this.now() };
      held.isExpired = false;
      return it;
    } finally {
      held.loading = null;
    }
  }
}
