// What to do after an error that hls.js calls fatal: pure rules over the recent past, so that playback goes on without a reload.
import { backoffMs } from './backoff.ts';

export type FatalKind = 'media' | 'network' | 'other';

/** `recover`: hls.js rebuilds its buffers; `swap`: the same with the other audio codec; `rebuild`: a new hls.js at the same place; `restart`: load again. */
export type Remedy = { action: 'recover' | 'swap' | 'rebuild' | 'restart'; afterMs: number };

/** Media errors this close together count as one trouble. Unit: ms. */
const SAME_TROUBLE_MS = 8_000;
const RESTART_FIRST_MS = 250;
const RESTART_MOST_MS = 4_000;
const REBUILD_MOST_MS = 8_000;

/** Remembers recent fatal errors of one viewing and names the remedy for each new one. */
export class Recovery {
  #lastMediaAt = Number.NEGATIVE_INFINITY;
  #mediaErrors = 0;
  #restarts = 0;
  #rebuilds = 0;

  /** @param now ms of any steady clock */
  remedy(kind: FatalKind, now: number): Remedy {
    if (kind === 'network') {
      const afterMs = this.#restarts === 0 ? 0 : backoffMs(this.#restarts - 1, RESTART_FIRST_MS, RESTART_MOST_MS);
      this.#restarts += 1;
      return { action: 'restart', afterMs };
    }
    if (kind === 'other') return this.#rebuild();
    this.#mediaErrors = now - this.#lastMediaAt < SAME_TROUBLE_MS ? this.#mediaErrors + 1 : 1;
    this.#lastMediaAt = now;
    if (this.#mediaErrors === 1) return { action: 'recover', afterMs: 0 };
    if (this.#mediaErrors === 2) return { action: 'swap', afterMs: 0 };
    return this.#rebuild();
  }

  /** Media plays: the next trouble begins from the mildest remedy. */
  played(): void {
    this.#restarts = 0;
    this.#rebuilds = 0;
  }

  #rebuild(): Remedy {
    const afterMs = backoffMs(this.#rebuilds, RESTART_FIRST_MS, REBUILD_MOST_MS);
    this.#rebuilds += 1;
    return { action: 'rebuild', afterMs };
  }
}
