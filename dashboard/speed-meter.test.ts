// Speed of a transfer: over the last seconds only, anew after an interruption.
import { describe, expect, it } from 'vitest';
import { SpeedMeter } from './speed-meter.ts';

describe('SpeedMeter', () => {
  it('knows nothing at first, then bytes per second', () => {
    const meter = new SpeedMeter();
    expect(meter.add(0, 0)).toBe(0);
    expect(meter.add(100, 10)).toBe(0);
    expect(meter.add(1_000, 5_000)).toBe(5_000);
  });

  it('forgets what lies back further than its window', () => {
    const meter = new SpeedMeter();
    for (let second = 0; second <= 10; second += 1) meter.add(second * 1_000, second * 100);
    expect(meter.add(11_000, 1_000 + 4_000)).toBeCloseTo((5_000 - 700) / 4);
  });

  it('starts anew when bytes were lost', () => {
    const meter = new SpeedMeter();
    meter.add(0, 0);
    meter.add(1_000, 9_000);
    expect(meter.add(2_000, 4_000)).toBe(0);
    expect(meter.add(3_000, 5_000)).toBe(1_000);
  });
});
