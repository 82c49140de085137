// When an encoder has a rung too many, when it may have one back, and when what is late must go.
import { beforeEach, describe, expect, test } from 'vitest';
import { Arrivals, LoadWatch } from './live-load.ts';

const PART_MS = 500;
let watch: LoadWatch;
let now: number;

/** Parts at a steady pace whose age changes by `stepMs` each. @returns the first verdict, and after how many ms */
const run = (parts: number, fromMs: number, stepMs: number, rungs = 3): { verdict: string; afterMs: number } => {
  const start = now;
  for (let i = 0; i < parts; i += 1) {
    now += PART_MS;
    const verdict = watch.observe(now, fromMs + i * stepMs, rungs);
    if (verdict === 'fine') continue;
    watch.follow(verdict, now);
    return { verdict, afterMs: now - start };
  }
  return { verdict: 'fine', afterMs: now - start };
};

beforeEach(() => {
  watch = new LoadWatch();
  now = 1_000_000;
});

describe('LoadWatch', () => {
  test('an encoder in time is fine for ever', () => {
    expect(run(1_000, 300, 0).verdict).toBe('fine');
    expect(watch.dropped).toBe(0);
  });
  test('late by over 2 s and more so for 3 s: the top rung goes', () => {
    const { verdict, afterMs } = run(20, 2_100, 100);
    expect(verdict).toBe('lighter');
    expect(afterMs).toBeGreaterThanOrEqual(3_000);
    expect(afterMs).toBeLessThan(4_500);
    expect(watch.dropped).toBe(1);
  });
  test('late and staying so: too', () => {
    expect(run(20, 3_000, 0).verdict).toBe('lighter');
  });
  test('a backlog that is being worked off is no overload', () => {
    expect(run(60, 20_000, -300).verdict).toBe('fine');
  });
  test('a short stall is none', () => {
    expect(run(4, 2_500, 100).verdict).toBe('fine');
    expect(run(2, 500, 0).verdict).toBe('fine');
    expect(run(4, 2_500, 100).verdict).toBe('fine');
  });
  test('with one rung left nothing goes until 8 s; then what is late does', () => {
    expect(run(12, 2_100, 400, 1).verdict).toBe('fine');
    const { verdict } = run(20, 7_000, 400, 1);
    expect(verdict).toBe('rejoin');
    expect(watch.dropped).toBe(0);
  });
  test('sound alone has no rung to lose', () => {
    expect(run(20, 3_000, 0, 0).verdict).toBe('fine');
  });
  test('30 s of headroom bring the rung back; one that goes at once waits twice as long', () => {
    run(20, 3_000, 0);
    const first = run(200, 300, 0);
    expect(first.verdict).toBe('heavier');
    expect(first.afterMs).toBeGreaterThanOrEqual(30_000);
    expect(first.afterMs).toBeLessThan(32_000);
    expect(watch.dropped).toBe(0);
    run(20, 3_000, 0);
    const second = run(400, 300, 0);
    expect(second.afterMs).toBeGreaterThanOrEqual(60_000);
    run(200, 300, 0);
    run(20, 3_000, 0);
    expect(run(200, 300, 0).afterMs).toBeLessThan(32_000);
  });
  test('headroom begins anew whenever a part is late', () => {
    run(20, 3_000, 0);
    expect(run(40, 300, 0).verdict).toBe('fine');
    expect(run(1, 1_500, 0).verdict).toBe('fine');
    expect(run(50, 300, 0).verdict).toBe('fine');
  });
  test('a worker that takes over knows how many rungs are left out', () => {
    watch.begin(1);
    expect(run(20, 3_000, 0, 2).verdict).toBe('fine');
    expect(run(200, 300, 0, 2).verdict).toBe('heavier');
  });
});

describe('Arrivals', () => {
  test('a part is as old as its newest frame, whatever the order of B-frames', () => {
    const arrivals = new Arrivals();
    for (const [pts, arrival] of [
      [0, 10],
      [99, 20],
      [33, 30],
      [66, 40],
      [198, 50],
      [132, 60],
    ] as const)
      arrivals.add(pts, arrival);
    expect(arrivals.until(100)).toBe(40);
    expect(arrivals.until(200)).toBe(60);
    expect(arrivals.until(300)).toBe(60);
  });
});
