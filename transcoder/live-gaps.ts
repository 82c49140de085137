// While nobody publishes: gap entries, part by part in real time, on the grid of the epoch before. Players wait at them without an error, and
// blocked reloads are answered. The newest part that is due is held back, so that the last one named can close its segment.
import type { EpochInfo } from '../platform/contract/records.ts';
import type { TimelineEntry } from '../platform/contract/timeline.ts';
import type { UnsignedEntry } from './live-append.ts';
import { gapGridOf } from './live-grid.ts';

export type GapDeps = {
  addGap(entry: UnsignedEntry): void;
  /** ms since the epoch. */
  now(): number;
  /** As runtime/waits.ts `delay`. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
};

/** Where gaps begin: after this entry, at this wall clock (ms since the epoch). */
export type GapStart = { info: EpochInfo; after: TimelineEntry; fromMs: number };

type Place = { msn: number; part: number };
type Running = {
  info: EpochInfo;
  partMs: number;
  partsPerSegment: number;
  fromMs: number;
  /** Of the next part to be named; `count` of them came before it. */
  next: Place;
  count: number;
  /** The segment of the newest named part is open. */
  isOpen: boolean;
};

export class LiveGaps {
  readonly #deps: GapDeps;
  #running: Running | null = null;
  /** No part beyond this wall clock: media came. */
  #untilMs = Number.POSITIVE_INFINITY;
  #ending = new AbortController();
  #ticking: Promise<void> = Promise.resolve();

  constructor(deps: GapDeps) {
    this.#deps = deps;
  }

  get isRunning(): boolean {
    return this.#running !== null;
  }

  /** Begins, or goes on with what another worker began. Does nothing while it runs. */
  begin({ info, after, fromMs }: GapStart): void {
    if (this.#running !== null) return;
    const isOpen = after.gap && !after.last;
    const next = isOpen ? { msn: after.msn, part: after.part + 1 } : { msn: after.msn + 1, part: 0 };
    this.#running = { info, ...gapGridOf(info), fromMs, next, count: 0, isOpen };
    this.#untilMs = Number.POSITIVE_INFINITY;
    this.#ending = new AbortController();
    this.#ticking = this.#tick(this.#running, this.#ending.signal);
  }

  /** Media arrived at this wall clock (ms since the epoch): nothing beyond it is named unless release() says that it came to nothing. */
  hold(untilMs: number): void {
    this.#untilMs = Math.min(this.#untilMs, untilMs);
  }

  release(): void {
    this.#untilMs = Number.POSITIVE_INFINITY;
  }

  /** Names the rest and closes the open segment; a new epoch may follow. */
  async close(): Promise<void> {
    const running = this.#running;
    if (running === null) return;
    await this.stop();
    const due = this.#dueParts(running);
    while (running.count < due) this.#name(running, running.count === due - 1);
    if (running.isOpen) this.#name(running, true);
  }

  /** Names nothing more; another worker may go on. */
  async stop(): Promise<void> {
    this.#ending.abort();
    this.#running = null;
    await this.#ticking;
  }

  async #tick(running: Running, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      while (running.count < this.#dueParts(running) - 1) this.#name(running, false);
      const nextAt = running.fromMs + (running.count + 2) * running.partMs;
      await this.#deps.wait(Math.max(5, Math.min(nextAt - this.#deps.now(), running.partMs)), signal);
    }
  }

  /** Parts whose whole time has passed. */
  #dueParts({ fromMs, partMs }: Running): number {
    return Math.floor((Math.min(this.#deps.now(), this.#untilMs) - fromMs) / partMs);
  }

  #name(running: Running, isLast: boolean): void {
    const { info, next, partMs, partsPerSegment, count, fromMs } = running;
    const last = isLast || next.part === partsPerSegment - 1;
    const pdt = fromMs + count * partMs;
    this.#deps.addGap({ version: 1, epoch: info.epoch, ...next, pdt, gap: true, last, src: 'store', renditions: {} });
    running.next = last ? { msn: next.msn + 1, part: 0 } : { msn: next.msn, part: next.part + 1 };
    running.count = count + 1;
    running.isOpen = !last;
  }
}
