// A stall is a picture that stands still unasked; pauses, seeks and the element's own steps are none.
import { describe, expect, it } from 'vitest';
import { StallMeter } from './stalls.ts';

const at = (nowMs: number, positionS: number, isIdle = false) => ({ nowMs, positionS, isIdle });

describe('StallMeter', () => {
  it('counts nothing while the position moves', () => {
    const meter = new StallMeter();
    for (let step = 0; step < 20; step += 1) meter.sample(at(step * 200, step * 0.2));
    expect([meter.stalls, meter.stallMs]).toEqual([0, 0]);
  });

  it('counts one stall with its whole length', () => {
    const meter = new StallMeter();
    meter.sample(at(0, 0));
    meter.sample(at(200, 0.2));
    for (let now = 400; now <= 2_200; now += 200) meter.sample(at(now, 0.2));
    expect(meter.stalls).toBe(1);
    expect(meter.currentMs).toBe(2_000);
    expect(meter.sample(at(2_400, 0.3))).toBe(false);
    expect([meter.stalls, meter.stallMs, meter.currentMs]).toEqual([1, 2_200, 0]);
  });

  it('passes over a gap shorter than the limit', () => {
    const meter = new StallMeter();
    meter.sample(at(0, 0));
    meter.sample(at(200, 0));
    meter.sample(at(400, 0.1));
    expect(meter.stalls).toBe(0);
  });

  it('does not count while paused or seeking, and begins anew afterwards', () => {
    const meter = new StallMeter();
    meter.sample(at(0, 1));
    meter.sample(at(5_000, 1, true));
    meter.sample(at(5_200, 1));
    expect(meter.stalls).toBe(0);
    meter.sample(at(5_600, 1));
    expect(meter.stalls).toBe(1);
  });
});
