// Complete objects in memory, limited by bytes: a segmented LRU, so that a walk over many objects once does not push out what is asked for again.
import type { Freshness } from './cache-policy.ts';
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
/** Share of the memory kept for objects that were asked for at least twice. */
const PROTECTED_SHARE = 0.8;
/** An object over this share of the memory is not kept. */
const LARGEST_SHARE = 0.25;

/** Share of the memory that fills under way may take. */
const FILLING_SHARE = 0.5;
/** Objects that cannot be shown after this long are swept out when their time is over, not when room is needed. Unit: ms. */
const BRIEF_MS = 20_000;

type Segment = { objects: Map<string, CachedObject>; bytes: number };
const sizeOf = (object: CachedObject): number => object.body.length + OVERHEAD_BYTES;

export class MemoryStore {
  readonly #maxBytes: number;
  readonly #probation: Segment = { objects: new Map(), bytes: 0 };
  readonly #protected: Segment = { objects: new Map(), bytes: 0 };
  /** Key -> end, of brief objects in the order of their arrival: every live playlist leaves one per part. */
  readonly #brief = new Map<string, number>();
  #reserved = 0;

  /** @param maxBytes limit over bodies, bookkeeping and what is reserved for fills under way */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#probation.bytes + this.#protected.bytes;
  }

  get count(): number {
    return this.#probation.objects.size + this.#protected.objects.size;
  }

  /** Bytes reserved for fills under way. */
  get reserved(): number {
    return this.#reserved;
  }

  /** Whether there is an object under the key, fresh or not; no look in the sense of get(). */
  has(key: string): boolean {
    return this.#probation.objects.has(key) || this.#protected.objects.has(key);
  }

  /**
   * Makes room for a body on its way; release() gives it back.
   * @returns false: fills under way hold all they may
   */
  reserve(bytes: number): boolean {
    if (this.#reserved + bytes > this.#maxBytes * FILLING_SHARE) return false;
    this.#reserved += bytes;
    this.#makeRoom();
    return true;
  }

  release(bytes: number): void {
    this.#reserved -= bytes;
  }

  /** The object, fresh or not; a second look protects it. */
  get(key: string): CachedObject | null {
    const kept = this.#protected.objects.get(key);
    if (kept !== undefined) {
      this.#protected.objects.delete(key);
      this.#protected.objects.set(key, kept);
      return kept;
    }
    const once = take(this.#probation, key);
    if (once === null) return null;
    put(this.#protected, key, once);
    while (this.#protected.bytes > this.#maxBytes * PROTECTED_SHARE) {
      const oldest = takeOldest(this.#protected);
      if (oldest === null) break;
      put(this.#probation, oldest.key, oldest.object);
    }
    return once;
  }

  /** Keeps or replaces an object; evicts the least recently used until it fits. */
  set(key: string, object: CachedObject): void {
    this.#sweep(object.arrivedMs);
    const isProtected = take(this.#protected, key) !== null;
    take(this.#probation, key);
    this.#brief.delete(key);
    if (sizeOf(object) > this.#maxBytes * LARGEST_SHARE) return;
    put(isProtected ? this.#protected : this.#probation, key, object);
    if (object.staleUntilMs - object.arrivedMs <= BRIEF_MS) this.#brief.set(key, object.staleUntilMs);
    this.#makeRoom();
  }

  delete(key: string): void {
    take(this.#probation, key);
    take(this.#protected, key);
    this.#brief.delete(key);
  }

  #makeRoom(): void {
    while (this.bytes + this.#reserved > this.#maxBytes) {
      const gone = takeOldest(this.#probation) ?? takeOldest(this.#protected);
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

function put(segment: Segment, key: string, object: CachedObject): void {
  segment.objects.set(key, object);
  segment.bytes += sizeOf(object);
}

function take(segment: Segment, key: string): CachedObject | null {
  const object = segment.objects.get(key);
  if (object === undefined) return null;
  segment.objects.delete(key);
  segment.bytes -= sizeOf(object);
  return object;
}

function takeOldest(segment: Segment): { key: string; object: CachedObject } | null {
  for (const key of segment.objects.keys()) {
    const object = take(segment, key);
    if (object !== null) return { key, object };
  }
  return null;
}
