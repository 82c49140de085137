// Which object gives way when room is needed: S3-FIFO, counted in bytes. What comes once passes through a small queue and is gone; what is
// asked for again moves to the main queue, so a walk over cold titles never pushes out the live edge. A look costs one count, no reordering.
// Source: Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023.

/** Share of the bytes held that objects may have before they are asked for again. */
const SMALL_SHARE = 0.1;
/** Uses beyond this count no more: each is worth one more turn in the main queue. */
const MOST_USES = 3;
/** Objects passed over for one that gives way: a pause of every viewer is worse than a poor choice. */
const MOST_TURNS = 1_000;
/** Most keys remembered of what left the small queue; also limited to the bytes of a whole cache. */
const MOST_GHOSTS = 65_536;

type Entry<V> = {
  key: string;
  value: V;
  bytes: number;
  uses: number;
  queue: Queue<V> | null;
  newer: Entry<V> | null;
  older: Entry<V> | null;
};

/** In order of arrival. A linked list, because a Map used as a queue walks over the holes at its front. */
class Queue<V> {
  bytes = 0;
  #oldest: Entry<V> | null = null;
  #newest: Entry<V> | null = null;

  get oldest(): Entry<V> | null {
    return this.#oldest;
  }

  get holdsSeveral(): boolean {
    return this.#oldest !== this.#newest;
  }

  push(entry: Entry<V>): void {
    entry.queue = this;
    entry.older = this.#newest;
    if (this.#newest === null) this.#oldest = entry;
    else this.#newest.newer = entry;
    this.#newest = entry;
    this.bytes += entry.bytes;
  }

  remove(entry: Entry<V>): void {
    if (entry.older === null) this.#oldest = entry.newer;
    else entry.older.newer = entry.newer;
    if (entry.newer === null) this.#newest = entry.older;
    else entry.newer.older = entry.older;
    entry.queue = null;
    entry.newer = null;
    entry.older = null;
    this.bytes -= entry.bytes;
  }
}

/** Keys of what left unused a short while ago: who comes back from there is no stranger. */
class Ghosts {
  readonly #maxBytes: number;
  readonly #entries = new Map<string, Entry<null>>();
  readonly #queue = new Queue<null>();

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  add(key: string, bytes: number): void {
    const ghost: Entry<null> = { key, value: null, bytes, uses: 0, queue: null, newer: null, older: null };
    this.#entries.set(key, ghost);
    this.#queue.push(ghost);
    while (this.#queue.bytes > this.#maxBytes || this.#entries.size > MOST_GHOSTS) {
      const { oldest } = this.#queue;
      if (oldest === null) return;
      this.take(oldest.key);
    }
  }

  /** @returns whether the key was remembered */
  take(key: string): boolean {
    const ghost = this.#entries.get(key);
    if (ghost === undefined) return false;
    this.#entries.delete(key);
    this.#queue.remove(ghost);
    return true;
  }
}

/** Objects by key, and the order in which they leave. Holds no limit itself: its owner calls evict() until everything fits. */
export class EvictionOrder<V> {
  readonly #entries = new Map<string, Entry<V>>();
  readonly #small = new Queue<V>();
  readonly #main = new Queue<V>();
  readonly #ghosts: Ghosts;

  /** @param maxBytes what the owner holds at most: as much is remembered of what left */
  constructor(maxBytes: number) {
    this.#ghosts = new Ghosts(maxBytes);
  }

  get bytes(): number {
    return this.#small.bytes + this.#main.bytes;
  }

  get count(): number {
    return this.#entries.size;
  }

  keys(): IterableIterator<string> {
    return this.#entries.keys();
  }

  /** No use in the sense of get(). */
  has(key: string): boolean {
    return this.#entries.has(key);
  }

  /** The object, which counts as used. */
  get(key: string): V | null {
    const entry = this.#entries.get(key);
    if (entry === undefined) return null;
    if (entry.uses < MOST_USES) entry.uses += 1;
    return entry.value;
  }

  /**
   * Adds an object, or replaces it where it stands.
   * @param isWanted it has been asked for more than once already
   */
  add(key: string, value: V, bytes: number, isWanted = false): void {
    const known = this.#entries.get(key);
    if (known !== undefined) {
      if (known.queue !== null) known.queue.bytes += bytes - known.bytes;
      known.value = value;
      known.bytes = bytes;
      return;
    }
    const entry: Entry<V> = { key, value, bytes, uses: 0, queue: null, newer: null, older: null };
    this.#entries.set(key, entry);
    (this.#ghosts.take(key) || isWanted ? this.#main : this.#small).push(entry);
  }

  /** @returns whether it was there */
  delete(key: string): boolean {
    const entry = this.#entries.get(key);
    if (entry === undefined) return false;
    this.#forget(entry);
    return true;
  }

  /** Takes out the object that is missed least. null: there is none. */
  evict(): { key: string; value: V } | null {
    for (let turn = 0; ; turn += 1) {
      const { oldest: newcomer } = this.#small;
      const { oldest: settled } = this.#main;
      // The newest of all stays until the next one comes, though it be larger than the share.
      const isOver = this.#small.bytes > this.bytes * SMALL_SHARE && this.#small.holdsSeveral;
      if (newcomer !== null && (isOver || settled === null)) {
        if (newcomer.uses === 0) {
          this.#forget(newcomer);
          this.#ghosts.add(newcomer.key, newcomer.bytes);
          return newcomer;
        }
        this.#settle(newcomer, 0);
      } else if (settled !== null) {
        if (settled.uses === 0 || turn >= MOST_TURNS) {
          this.#forget(settled);
          return settled;
        }
        this.#settle(settled, settled.uses - 1);
      } else return null;
    }
  }

  #settle(entry: Entry<V>, uses: number): void {
    entry.queue?.remove(entry);
    entry.uses = uses;
    this.#main.push(entry);
  }

  #forget(entry: Entry<V>): void {
    entry.queue?.remove(entry);
    this.#entries.delete(entry.key);
  }
}
