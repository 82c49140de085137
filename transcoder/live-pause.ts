// What is published while nobody publishes: gaps, or the slate where the stream wants it. Begins when the publisher left, ends where a new
// epoch begins.
import { newId, type SessionId, type StreamId } from '../platform/contract/ids.ts';
import { messageOf } from '../platform/runtime/errors.ts';
import type { Logger } from '../platform/runtime/log.ts';
import type { LiveEngine } from './live-engine.ts';
import { LiveFeed } from './live-feed.ts';
import type { GapStart, LiveGaps } from './live-gaps.ts';
import type { LiveHistory } from './live-history.ts';
import type { LiveStanding } from './live-hot.ts';
import type { EpochPlanner } from './live-plans.ts';
import type { LivePublisher } from './live-publisher.ts';
import { makeSlate, slateRing } from './live-slate.ts';

export type PauseDeps = {
  standing: LiveStanding;
  history: LiveHistory;
  planner: EpochPlanner;
  publisher: LivePublisher;
  gaps: LiveGaps;
  /** Of the slate's own; the publisher's is at rest meanwhile. */
  engine: LiveEngine;
  /** Raw yuv420p of the stream's slate; null: it has none. */
  slatePicture(stream: StreamId, width: number, height: number): Promise<Uint8Array | null>;
  log: Logger;
};

export class LivePause {
  readonly #deps: PauseDeps;
  #slate: { ending: AbortController; done: Promise<void> } | null = null;

  constructor(deps: PauseDeps) {
    this.#deps = deps;
  }

  get isOn(): boolean {
    return this.#deps.gaps.isRunning || this.#slate !== null;
  }

  /**
   * Begins, or goes on after media that came to nothing. Closes what was left open.
   * @param only `gaps`: no slate, whatever the stream wants
   */
  async begin(only?: 'gaps'): Promise<void> {
    const { gaps, publisher, planner, standing, log } = this.#deps;
    if (gaps.isRunning) return gaps.release();
    if (this.#slate !== null && !this.#slate.ending.signal.aborted) return;
    await this.#endSlate();
    await publisher.closeDangling();
    const { record } = standing;
    const start = this.#gapStart();
    // A broadcast that is ending has nobody to wait for.
    if (start === null || standing.place === 'hot' || record.status !== 'live') return;
    log.info('nobody publishes', { epoch: start.info.epoch, msn: start.after.msn, slate: record.use_slate });
    const hasSlate = record.use_slate && record.transcode === 'ladder' && planner.canShowSlate(record);
    if (hasSlate && only === undefined) this.#beginSlate();
    else gaps.begin(start);
  }

  /** Media arrived at this wall clock (ms since the epoch): nothing beyond it. */
  hold(arrivalMs: number): void {
    this.#deps.gaps.hold(arrivalMs);
    this.#slate?.ending.abort();
  }

  /** All is closed: a new epoch may begin. */
  async end(): Promise<void> {
    await this.#endSlate();
    this.#adoptGap();
    await this.#deps.gaps.close();
    await this.#deps.publisher.closeDangling();
    await this.#deps.publisher.settle();
  }

  /** Names nothing more; another worker may go on. */
  async stop(): Promise<void> {
    await this.#deps.gaps.stop();
    await this.#endSlate();
    await this.#deps.publisher.settle();
  }

  /** A gap that an earlier worker began and did not close. */
  #adoptGap(): void {
    const { gaps } = this.#deps;
    const start = this.#gapStart();
    if (gaps.isRunning || start === null || !start.after.gap || start.after.last) return;
    gaps.begin(start);
    gaps.hold(0);
  }

  /** After what is published; null when nothing is. */
  #gapStart(): GapStart | null {
    const { history, planner, standing } = this.#deps;
    const { record } = standing;
    const after = history.lastEntry();
    const info = record.epochs.find((epoch) => epoch.epoch === after?.epoch);
    return after === null || info === undefined ? null : { info, after, fromMs: planner.clockAtEnd(record) };
  }

  async #endSlate(): Promise<void> {
    this.#slate?.ending.abort();
    await this.#slate?.done;
    this.#slate = null;
  }

  #beginSlate(): void {
    const ending = new AbortController();
    this.#slate = { ending, done: this.#showSlate(ending.signal) };
  }

  /** Never rejects: where the slate fails there are gaps. */
  async #showSlate(signal: AbortSignal): Promise<void> {
    const { standing, history, planner, engine, slatePicture, log } = this.#deps;
    try {
      const { record } = standing;
      const { width, height, fps } = planner.slateShape(record);
      const picture = await slatePicture(record.stream_id, width, height).catch((thrown: unknown) => {
        log.warn('slate picture not usable', { reason: messageOf(thrown) });
        return null;
      });
      const loop = await makeSlate({ width, height, fps, picture });
      if (signal.aborted) return;
      await history.storeBlocks(false);
      const fromMs = planner.clockAtEnd(record);
      const feed = new LiveFeed(slateRing(loop, newId<SessionId>(), fromMs, signal));
      const outcome = await engine.run(await planner.slate(feed, record, fromMs), feed);
      if (outcome === 'end') return;
      log.warn('slate ended early', { outcome });
    } catch (thrown) {
      log.warn('slate not shown', { err: thrown });
    }
    this.#gapInstead(signal);
  }

  #gapInstead(signal: AbortSignal): void {
    const start = this.#gapStart();
    if (!signal.aborted && start?.after.last) this.#deps.gaps.begin(start);
  }
}
