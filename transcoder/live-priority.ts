// Live before on-demand: while a broadcast on this node stays behind, no new on-demand job begins here, and pictures are left out.
import type { JobContext } from '../platform/adapters/queue.ts';
import type { LiveEncode } from '../platform/contract/nodes.ts';
import { delay } from '../platform/runtime/waits.ts';
import { JobInterrupted } from './errors.ts';

/** A broadcast that is further behind its publisher is in trouble. Unit: s. */
const LAG_LIMIT_S = 2;
/** Not at once: a broadcast that begins, or is taken over, catches up first. Unit: ms. */
const PATIENCE_MS = 4_000;
const CHECK_MS = 500;
/** A job that could not begin for so long goes back to the queue: another node may have room. Unit: ms. */
const HOLD_MS = 60_000;

export class LiveLag {
  #behindSince: number | null = null;
  readonly #now: () => number;

  /** @param now steady clock, ms */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Told each second how the broadcasts are. */
  note(encodes: Record<string, LiveEncode>): void {
    const largest = Math.max(0, ...Object.values(encodes).map((encode) => encode.lag_s));
    if (largest <= LAG_LIMIT_S) this.#behindSince = null;
    else this.#behindSince ??= this.#now();
  }

  /** Whether a broadcast of this node has been behind for a while. */
  get isBehind(): boolean {
    return this.#behindSince !== null && this.#now() - this.#behindSince >= PATIENCE_MS;
  }
}

/**
 * Resolves when an on-demand job may begin.
 * @throws JobInterrupted when it may not for a minute, or the role drains
 */
export async function waitForLive(
  lag: Pick<LiveLag, 'isBehind'>,
  context: Pick<JobContext, 'signal' | 'draining'>,
): Promise<void> {
  const until = performance.now() + HOLD_MS;
  const signal = AbortSignal.any([context.signal, context.draining]);
  while (lag.isBehind) {
    if (signal.aborted) throw new JobInterrupted('this worker is shutting down');
    if (performance.now() > until) throw new JobInterrupted('the live broadcasts here need the whole machine');
    await delay(CHECK_MS, signal);
  }
}
