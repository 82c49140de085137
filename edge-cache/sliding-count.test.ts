import { describe, expect, it } from 'vitest';
import { SlidingCount } from './sliding-count.ts';

describe('a sliding count', () => {
  it('forgets what is older than its window, a tenth at a time', () => {
    let nowMs = 5_000;
    const count = new SlidingCount(10_000, () => nowMs);
    for (let second = 0; second < 10; second += 1) {
      count.add();
      nowMs += 1_000;
    }
    expect(count.total).toBe(9);
    nowMs += 4_000;
    expect(count.total).toBe(5);
    nowMs += 100_000;
    expect(count.total).toBe(0);
    count.add();
    expect(count.total).toBe(1);
  });

  it('begins anew when it is cleared', () => {
    const count = new SlidingCount(1_000, () => 0);
    count.add();
    count.clear();
    expect(count.total).toBe(0);
  });
});
