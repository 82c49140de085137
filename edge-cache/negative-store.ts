// Answers "no such thing", repeated for a moment so that a wrong address asked by many reaches an origin once a second. Bounded apart from the media.
import { dropOldest } from '../platform/runtime/bounded-map.ts';
import type { Headers } from './messages.ts';

export type Missing = { status: number; headers: Headers; body: Buffer };

export class NegativeStore {
  readonly #maxEntries: number;
  readonly #entries = new Map<string, { missing: Missing; untilMs: number }>();

  /** @param maxEntries the oldest gives way */
  constructor(maxEntries: number) {
    this.#maxEntries = maxEntries;
  }

  get(key: string, nowMs: number): Missing | null {
    const entry = this.#entries.get(key);
    if (entry === undefined) return null;
    if (entry.untilMs > nowMs) return entry.missing;
    this.#entries.delete(key);
    return null;
  }

  set(key: string, missing: Missing, untilMs: number): void {
    this.#entries.delete(key);
    this.#entries.set(key, { missing, untilMs });
    dropOldest(this.#entries, this.#maxEntries);
  }
}
