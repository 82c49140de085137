// The live target returns after calm, and later each time that was too early.
import { describe, expect, it } from 'vitest';
import { CALM_MS, MOST_CALM_MS, TargetReturn } from './live-target.ts';

describe('TargetReturn', () => {
  it('is due once, after calm', () => {
    const target = new TargetReturn();
    expect(target.isDue(CALM_MS * 10)).toBe(false);
    target.stalled(1_000);
    expect(target.isDue(1_000 + CALM_MS - 1)).toBe(false);
    expect(target.isDue(1_000 + CALM_MS)).toBe(true);
    expect(target.isDue(1_000 + CALM_MS * 9)).toBe(false);
  });
  it('counts calm from the last stall', () => {
    const target = new TargetReturn();
    target.stalled(0);
    target.stalled(20_000);
    expect(target.isDue(CALM_MS)).toBe(false);
    expect(target.isDue(20_000 + CALM_MS)).toBe(true);
  });
  it('waits twice as long after a return that was too early, up to a limit', () => {
    const target = new TargetReturn();
    let now = 0;
    let calm = CALM_MS;
    target.stalled(now);
    for (let round = 0; round < 8; round += 1) {
      expect(target.isDue(now + calm - 1)).toBe(false);
      now += calm;
      expect(target.isDue(now)).toBe(true);
      now += 5_000;
      target.stalled(now);
      calm = Math.min(MOST_CALM_MS, calm * 2);
    }
    expect(calm).toBe(MOST_CALM_MS);
  });
  it('forgives at once when the broadcaster had been away', () => {
    const target = new TargetReturn();
    target.forgive();
    target.stalled(1_000);
    target.forgive();
    expect(target.isDue(1_001)).toBe(true);
  });
});
