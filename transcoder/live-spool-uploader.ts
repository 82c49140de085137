// Stores what the spool holds: in order, several at a time once the store answers, one at a time with growing pauses while it does not.
import { backoffMs, delay } from '../platform/runtime/waits.ts';
import type { SpooledFile } from './live-spool-folder.ts';

/** An accepted object. */
export type SpoolItem = {
  file: SpooledFile;
  content: string;
  /** performance.now() when it was accepted, and when it was stored. */
  at: number;
  storedAt: number | null;
  /** The newest ones also stand in memory. */
  body: Uint8Array | null;
  /** A put that was begun before the disk took over; the uploader waits for its answer. */
  trial: Promise<boolean> | null;
};

export type UploaderDeps = {
  /** @throws while the store does not take it */
  put(item: SpoolItem): Promise<void>;
  done(item: SpoolItem): void;
  failed(thrown: unknown): void;
  /** Nothing waits any more. */
  caughtUp(): void;
};

const LANES = 8;
const BACKOFF_MS = 250;
const BACKOFF_CAP_MS = 5_000;

/** Index blocks and pictures name media: they go after everything before them. */
export const namesOthers = (key: string): boolean => !/\/(?:init\.mp4|[sp][^/]*\.m4s)$/.test(key);

export class SpoolUploader {
  readonly #deps: UploaderDeps;
  #queue: SpoolItem[] = [];
  readonly #running = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  #failures = 0;
  #pause: Promise<void> | null = null;

  constructor(deps: UploaderDeps) {
    this.#deps = deps;
  }

  add(item: SpoolItem): void {
    this.#queue.push(item);
    this.#pump();
  }

  /** The store is away: one at a time until one is stored. */
  caution(): void {
    this.#failures = Math.max(1, this.#failures);
  }

  /** Begins nothing more and waits for what runs. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#running);
    await this.#pause;
  }

  #pump(): void {
    while (!this.#closing.signal.aborted && this.#pause === null) {
      const next = this.#queue[0];
      const lanes = this.#failures > 0 ? 1 : LANES;
      if (next === undefined || this.#running.size >= lanes) return;
      if (namesOthers(next.file.key) && this.#running.size > 0) return;
      this.#queue.shift();
      const run = this.#store(next).finally(() => {
        this.#running.delete(run);
        this.#pump();
      });
      this.#running.add(run);
    }
  }

  async #store(item: SpoolItem): Promise<void> {
    try {
      await this.#deps.put(item);
      this.#failures = 0;
      this.#deps.done(item);
      if (this.#queue.length === 0 && this.#running.size <= 1) this.#deps.caughtUp();
    } catch (thrown) {
      // Back to its place: those that were begun after it may have failed before it.
      const at = this.#queue.findIndex((other) => other.file.name > item.file.name);
      this.#queue.splice(at < 0 ? this.#queue.length : at, 0, item);
      this.#failures += 1;
      this.#deps.failed(thrown);
      this.#rest();
    }
  }

  #rest(): void {
    this.#pause ??= delay(backoffMs(this.#failures - 1, BACKOFF_MS, BACKOFF_CAP_MS), this.#closing.signal).then(() => {
      this.#pause = null;
      this.#pump();
    });
  }
}
