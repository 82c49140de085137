import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { watchOver } from './attempt-watch.ts';

describe('a try at an origin', () => {
  let request: AbortController;
  let out: AbortController;

  beforeEach(() => {
    vi.useFakeTimers();
    [request, out] = [new AbortController(), new AbortController()];
  });
  afterEach(() => void vi.useRealTimers());

  it('ends when its head is late, not after the head', () => {
    const late = watchOver(request.signal, null, 300);
    const timely = watchOver(request.signal, null, 300);
    timely.answered();
    vi.advanceTimersByTime(299);
    expect(late.signal.aborted).toBe(false);
    vi.advanceTimersByTime(1);
    expect([late.signal.aborted, late.ended()]).toEqual([true, 'late']);
    expect(timely.signal.aborted).toBe(false);
  });

  it('ends with its request, which is no fault of the origin, and when the origin is out', () => {
    const watch = watchOver(request.signal, out.signal, 300);
    const other = watchOver(new AbortController().signal, out.signal, 300);
    request.abort();
    out.abort();
    expect([watch.signal.aborted, watch.ended()]).toEqual([true, null]);
    expect([other.signal.aborted, other.ended()]).toEqual([true, 'out']);
    expect(watchOver(request.signal, null, 300).signal.aborted).toBe(true);
    expect(watchOver(new AbortController().signal, out.signal, 300).ended()).toBe('out');
  });

  it('that is over leaves nothing behind; a body on its way still ends with the request', () => {
    const over = watchOver(request.signal, out.signal, 300);
    const streaming = watchOver(request.signal, out.signal, 300);
    over.end(false);
    streaming.end(true);
    expect(vi.getTimerCount()).toBe(0);
    out.abort();
    request.abort();
    expect(over.signal.aborted).toBe(false);
    expect([streaming.signal.aborted, streaming.ended()]).toEqual([true, null]);
  });
});
