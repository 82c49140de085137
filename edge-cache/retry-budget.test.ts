import { describe, expect, it } from 'vitest';
import { RetryBudget } from './retry-budget.ts';

describe('the retry budget', () => {
  /** Retries granted of as many as are wanted. */
  const granted = (budget: RetryBudget): number => {
    let count = 0;
    while (count < 10_000 && budget.take()) count += 1;
    return count;
  };

  it('grants a fifth of the requests of the last ten seconds, and ten more', () => {
    let nowMs = 0;
    const budget = new RetryBudget(() => nowMs);
    for (let n = 0; n < 1_000; n += 1) budget.began();
    expect(granted(budget)).toBe(210);
    expect(budget.take()).toBe(false);
    nowMs += 10_000;
    expect(granted(budget)).toBe(10);
  });

  it('grants ten without any request', () => {
    expect(granted(new RetryBudget(() => 0))).toBe(10);
  });
});
