// A live playlist names the part that comes next: the edge asks for it then, so that its bytes arrive here while viewers still wait for the playlist.
import { type Filled, type Fills, type Wanted, wantedOf } from './fill.ts';
import type { MemoryStore } from './memory-store.ts';
import type { EdgeMetrics } from './metrics.ts';
import { hintedPart, isFinished } from './preload-hint.ts';
import { NO_DIRECTIVES } from './request-target.ts';

/** Each holds a connection to an origin until its part exists. */
const MAX_PREFETCHES = 1_000;

export type PrefetchParts = {
  fills: Pick<Fills, 'has' | 'join'>;
  store: Pick<MemoryStore, 'has'>;
  metrics: EdgeMetrics;
};

export class Prefetches {
  readonly #parts: PrefetchParts;
  #running = 0;

  constructor(parts: PrefetchParts) {
    this.#parts = parts;
  }

  /**
   * Looks at a text on its way to viewers. Playlists come only because viewers ask, so what nobody watches is never fetched ahead;
   * each hint is followed once, and forgotten with its fill: a hint that proves wrong (404) leaves nothing behind.
   */
  saw({ route, requestId, client }: Wanted, body: Buffer): void {
    if (route.kind !== 'media-playlist') return;
    const part = hintedPart(route, body);
    if (part === null || isFinished(body)) return;
    const wanted = wantedOf(part, NO_DIRECTIVES, requestId, client);
    const { fills, store, metrics } = this.#parts;
    if (store.has(wanted.key) || fills.has(wanted.key)) return;
    if (this.#running >= MAX_PREFETCHES) {
      metrics.prefetches.add({ outcome: 'skipped' });
      return;
    }
    this.#follow(wanted);
  }

  #follow(wanted: Wanted): void {
    const ended = (outcome: string): void => {
      this.#running -= 1;
      this.#parts.metrics.prefetches.add({ outcome });
    };
    this.#running += 1;
    try {
      const { filled } = this.#parts.fills.join(wanted);
      filled.then(
        ({ type }: Filled) => ended(type === 'object' ? 'arrived' : 'missing'),
        () => ended('failed'),
      );
    } catch {
      // EdgeBusy: whoever wants the part will be told.
      ended('skipped');
    }
  }
}
