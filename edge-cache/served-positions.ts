// How far each live playlist was served: an origin whose answer lies behind that is stale and counts as failed.
import { comparePositions, type Position, parsePosition } from '../platform/contract/timeline.ts';

const MAX_KEYS = 10_000;
/** After this long without an accepted answer an older position is believed: a guard must never lock a stream for good. Unit: ms. */
const FORGET_MS = 12_000;

export class ServedPositions {
  readonly #served = new Map<string, { position: Position; atMs: number }>();

  /** @param text the Headwater-Position header; absent or unreadable is never behind */
  isBehind(key: string, text: string | undefined, nowMs: number): boolean {
    const served = this.#served.get(key);
    const position = text === undefined ? null : parsePosition(text);
    if (served === undefined || position === null || nowMs - served.atMs > FORGET_MS) return false;
    return comparePositions(position, served.position) < 0;
  }

  /** Remembers an accepted answer. */
  note(key: string, text: string | undefined, nowMs: number): void {
    const position = text === undefined ? null : parsePosition(text);
    this.#served.delete(key);
    if (position === null) return;
    this.#served.set(key, { position, atMs: nowMs });
    for (const oldest of this.#served.keys()) {
      if (this.#served.size <= MAX_KEYS) return;
      this.#served.delete(oldest);
    }
  }
}
