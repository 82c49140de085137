// Progress of an on-demand job: one percentage over all renditions, weighted by their pixels, written at most twice a second.
import type { RenditionPlan } from './vod-plan.ts';

export type ProgressState = 'downloading' | 'probing' | 'transcoding' | 'finishing' | 'ready' | 'errored';
export type Progress = { state: ProgressState; percent: number; rendition: string };
/** Where progress goes; must not throw. */
export type ProgressSink = (progress: Progress) => Promise<void>;

const WRITE_EVERY_MS = 500;

export class ProgressMeter {
  readonly #sink: ProgressSink;
  readonly #now: () => number;
  #plans: RenditionPlan[] = [];
  #done = new Set<string>();
  #current: Progress = { state: 'downloading', percent: 0, rendition: '' };
  #writtenAt = Number.NEGATIVE_INFINITY;

  /** @param now monotonic ms */
  constructor(sink: ProgressSink, now: () => number = () => performance.now()) {
    this.#sink = sink;
    this.#now = now;
  }

  /** Enters a state; always written. */
  async enter(state: ProgressState): Promise<void> {
    const percent = state === 'ready' ? 100 : this.#current.percent;
    await this.#write({ ...this.#current, state, percent });
  }

  /** @param done names of renditions that an earlier attempt finished */
  begin(plans: RenditionPlan[], done: Iterable<string>): void {
    this.#plans = plans;
    this.#done = new Set(done);
  }

  /** @param fraction of this rendition, 0 to 1; written when the last write is long enough ago */
  async advance(rendition: string, fraction: number): Promise<void> {
    const total = this.#plans.reduce((sum, plan) => sum + plan.weight, 0);
    const weightOf = (plan: RenditionPlan): number => {
      if (this.#done.has(plan.name)) return plan.weight;
      return plan.name === rendition ? plan.weight * Math.min(1, Math.max(0, fraction)) : 0;
    };
    const made = this.#plans.reduce((sum, plan) => sum + weightOf(plan), 0);
    // 100 is said by `ready` alone.
    const percent = total === 0 ? 0 : Math.min(99, Math.floor((100 * made) / total));
    const next: Progress = { state: 'transcoding', percent: Math.max(percent, this.#current.percent), rendition };
    if (this.#now() - this.#writtenAt >= WRITE_EVERY_MS) await this.#write(next);
    else this.#current = next;
  }

  /** The rendition is in the record. */
  async finish(rendition: string): Promise<void> {
    this.#done.add(rendition);
    await this.advance(rendition, 1);
  }

  async #write(progress: Progress): Promise<void> {
    this.#current = progress;
    this.#writtenAt = this.#now();
    await this.#sink(progress);
  }
}
