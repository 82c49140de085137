// A small cache in front of a slow look-up: short-lived, bounded, one load per key at a time, old values while the source is away.
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
};

type Held<V> = {
  value: { it: V; at: number } | null;
  loading: Promise<V> | null;
  /** Looked up anew at the next get, however young. */
  isExpired: boolean;
};

export class CachedLookup<V> {
  private readonly limits: LookupLimits;
  private readonly load: (key: string) => Promise<V>;
  private readonly now: () => number;
  private readonly held = new Map<string, Held<V>>();

  /** @param load the source; null and other values are kept alike. @param now monotonic clock, ms */
  constructor(limits: LookupLimits, load: (key: string) => Promise<V>, now: () => number = () => performance.now()) {
    this.limits = limits;
    this.load = load;
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
    if (held.loading === null) held.loading = this.refresh(key, held);
    try {
      return await held.loading;
    } catch (thrown) {
      const isAway = thrown instanceof AppError && thrown.retryable;
      if (isAway && value !== null && this.now() - value.at < this.limits.staleMs) return value.it;
      if (value === null && this.held.get(key) === held) this.held.delete(key);
      throw thrown;
    }
  }

  /** Makes the next get ask the source; a load already under way is not believed either. */
  invalidate(key: string): void {
    const held = this.held.get(key);
    if (held === undefined) return;
    this.held.set(key, { value: held.value, loading: null, isExpired: true });
  }

  private touch(key: string): Held<V> {
    const held = this.held.get(key) ?? { value: null, loading: null, isExpired: false };
    this.held.delete(key);
    this.held.set(key, held);
    if (this.held.size > this.limits.capacity) {
      const [oldest] = this.held.keys();
      if (oldest !== undefined) this.held.delete(oldest);
    }
    return held;
  }

  private async refresh(key: string, held: Held<V>): Promise<V> {
    try {
      const it = await within(this.load(key), this.limits.limitMs, 'a look-up');
      held.value = { it, at: this.now() };
      held.isExpired = false;
      return it;
    } finally {
      held.loading = null;
    }
  }
}
