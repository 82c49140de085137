// Pauses grow, have a ceiling, and end early with their signal.
import { describe, expect, it } from 'vitest';
import { backoffMs, pause } from './backoff.ts';

describe('backoff', () => {
  it('doubles up to the ceiling', () => {
    expect([0, 1, 2, 3, 99].map((attempt) => backoffMs(attempt, 100, 700))).toEqual([100, 200, 400, 700, 700]);
  });

  it('ends with the signal', async () => {
    const abort = new AbortController();
    const waiting = pause(60_000, abort.signal);
    abort.abort();
    await waiting;
    await pause(60_000, AbortSignal.abort());
  });
});
