// Complete objects in memory, limited by bytes: the small and the hot. What gives way is chosen by eviction.ts.
import type { Freshness } from './cache-policy.ts';
import { EvictionOrder } from './eviction.ts';
import type { Headers } from './messages.ts';

export type CachedObject = Freshness & {
  /** Headers that go to viewers; without Age and the edge's own. */
  headers: Headers;
  body: Buffer;
  etag: string | null;
  /** Arrival of the head (or of the last 304), on the edge's clock. Unit: ms. */
  arrivedMs: number;
};

/** Bookkeeping per object beside its body. Unit: bytes. */
const OVERHEAD_BYTES = 1_024;
/** An object over this share of the memory is not kept. */
const LARGEST_SHARE = 0.25;
/** Shares of the memory that bodies on their way may take: to viewers, and behind their backs to the disk, which then refuses no viewer. */
const SHARES = { viewers: 0.5, disk: 0.25 } as const;
/** Objects that cannot be shown after this long are swept out when their time is over, not when room is needed. Unit: ms. */
const BRIEF_MS = 20_000;

export class MemoryStore {
  readonly #maxBytes: number;
  readonly #order: EvictionOrder<CachedObject>;
  /** Key -> end, of brief objects in the order of their arrival: every live playlist leaves one per part. */
  readonly #brief = new Map<string, number>();
  readonly #reserved = { viewers: 0, disk: 0 };

  /** @param maxBytes limit over bodies, bookkeeping and what is reserved for bodies on their way */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.#order = new EvictionOrder(maxBytes);
  }

  get bytes(): number {
    return this.#order.bytes;
  }

  get count(): number {
    return this.#order.count;
  }

  /** Bytes reserved for bodies on their way. */
  get reserved(): number {
    return this.#reserved.viewers + this.#reserved.disk;
  }

  /** Whether there is an object under the key, fresh or not; no look in the sense of get(). */
  has(key: string): boolean {
    return this.#order.has(key);
  }

  /**
   * Makes room for a body on its way; release() gives it back.
   * @returns false: those on the same way hold all they may
   */
  reserve(bytes: number, way: keyof typeof SHARES = 'viewers'): boolean {
    if (this.#reserved[way] + bytes > this.#maxBytes * SHARES[way]) return false;
    this.#reserved[way] += bytes;
    this.#makeRoom();
    return true;
  }

  release(bytes: number, way: keyof typeof SHARES = 'viewers'): void {
    this.#reserved[way] -= bytes;
  }

  /** The object, fresh or not; a look protects it. */
  get(key: string): CachedObject | null {
    return this.#order.get(key);
  }

  /**
   * Keeps or replaces an object; others give way until it fits.
   * @param isWanted several viewers have asked for it already
   */
  set(key: string, object: CachedObject, isWanted = false): void {
    this.#sweep(object.arrivedMs);
    this.#brief.delete(key);
    const bytes = object.body.length + OVERHEAD_BYTES;
    if (bytes > this.#maxBytes * LARGEST_SHARE) {
      this.#order.delete(key);
      return;
    }
    this.#order.add(key, object, bytes, isWanted);
    if (object.staleUntilMs - object.arrivedMs <= BRIEF_MS) this.#brief.set(key, object.staleUntilMs);
    this.#makeRoom();
  }

  delete(key: string): void {
    this.#order.delete(key);
    this.#brief.delete(key);
  }

  /** Forgets all whose keys are meant. @returns how many */
  purge(isMeant: (key: string) => boolean): number {
    const meant = [...this.#order.keys()].filter(isMeant);
    for (const key of meant) this.delete(key);
    return meant.length;
  }

  #makeRoom(): void {
    while (this.bytes + this.reserved > this.#maxBytes) {
      const gone = this.#order.evict();
      if (gone === null) return;
      this.#brief.delete(gone.key);
    }
  }

  #sweep(nowMs: number): void {
    for (const [key, endMs] of this.#brief) {
      if (endMs > nowMs) return;
      this.delete(key);
    }
  }
}
