// Live before on-demand: while a broadcast on this node is behind, no new on-demand job begins here.
import type { JobContext } from '../platform/adapters/queue.ts';
import type { LiveEncode } from '../platform/contract/nodes.ts';
import { delay } from '../platform/runtime/waits.ts';
import { JobInterrupted } from './errors.ts';

/** A broadcast that is further behind its publisher is in trouble. Unit: s. */
const LAG_LIMIT_S = 2;
const CHECK_MS = 500;
/** A job that could not begin for so long goes back to the queue: another node may have room. Unit: ms. */
const HOLD_MS = 60_000;

/** Largest lag of the broadcasts, s; 0 without any. */
export const largestLag = (encodes: Record<string, LiveEncode>): number =>
  Math.max(0, ...Object.values(encodes).map((encode) => encode.lag_s));

/** Whether the live on this node is behind. */
export const isLiveBehind = (encodes: Record<string, LiveEncode>): boolean => largestLag(encodes) > LAG_LIMIT_S;

/**
 * Resolves when an on-demand job may begin.
 * @param isBehind asked again and again
 * @throws JobInterrupted when it may not for a minute, or the role drains
 */
export async function waitForLive(
  isBehind: () => boolean,
  context: Pick<JobContext, 'signal' | 'draining'>,
): Promise<void> {
  const until = performance.now() + HOLD_MS;
  const signal = AbortSignal.any([context.signal, context.draining]);
  while (isBehind()) {
    if (signal.aborted) throw new JobInterrupted('this worker is shutting down');
    if (performance.now() > until) throw new JobInterrupted('the live broadcasts here need the whole machine');
    await delay(CHECK_MS, signal);
  }
}
