// Waits with limits, and ends: every delay and every pending answer in the platform goes through here.
import { setTimeout as sleep } from 'node:timers/promises';
import { TimedOut } from './errors.ts';

/**
 * Waits, ending early (without an error) when `signal` aborts.
 * @param ms milliseconds
 */
export async function delay(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return;
  try {
    await sleep(ms, undefined, signal ? { signal } : {});
  } catch (thrown) {
    if (!signal?.aborted) throw thrown;
  }
}

/**
 * The promise's result, or TimedOut after `ms`. The work itself is not stopped: pass it an AbortSignal for that.
 * @param what names the work in the error
 */
export async function within<T>(promise: Promise<T>, ms: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new TimedOut(what, ms)), ms);
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}

/** Delay before try `attempt` (0 first): doubles from `baseMs` up to `capMs`, with 50 % jitter. Unit: ms. */
export const backoffMs = (attempt: number, baseMs: number, capMs: number): number =>
  Math.min(capMs, baseMs * 2 ** Math.min(attempt, 30)) * (0.5 + Math.random() / 2);

export type Loop = { close(): Promise<void> };

/**
 * Runs `step` again and again, `ms` after the end of each, until closed. A failing step is reported and the loop goes on.
 * @param report called with what a step threw
 */
export function repeat(
  ms: number,
  step: (signal: AbortSignal) => Promise<void>,
  report: (thrown: unknown) => void,
): Loop {
  const ending = new AbortController();
  const run = async () => {
    while (!ending.signal.aborted) {
      try {
        await step(ending.signal);
      } catch (thrown) {
        if (!ending.signal.aborted) report(thrown);
      }
      await delay(ms, ending.signal);
    }
  };
  const running = run();
  return {
    async close() {
      ending.abort();
      await running;
    },
  };
}
