import { expect, test } from 'vitest';
import { RateMeter } from './rate-meter.ts';

test('a steady stream measures as it is, from its second second on', () => {
  const meter = new RateMeter(0);
  for (let at = 0; at < 20_000; at += 20) {
    meter.add(2_500, at);
    if (at > 1_000 && at % 1_000 === 980) expect(meter.bitsPerSecond(at)).toBeGreaterThan(900_000);
    if (at > 1_000 && at % 1_000 === 980) expect(meter.bitsPerSecond(at)).toBeLessThan(1_250_000);
  }
});

test('silence lets the rate fall to nothing', () => {
  const meter = new RateMeter(0);
  meter.add(1_000_000, 500);
  expect(meter.bitsPerSecond(1_000)).toBe(8_000_000);
  expect(meter.bitsPerSecond(4_000)).toBe(2_000_000);
  expect(meter.bitsPerSecond(7_000)).toBe(0);
});

test('over the whole window a burst at the start counts little', () => {
  const meter = new RateMeter(0, 10);
  meter.add(1_000_000, 500);
  expect(meter.bitsPerSecond(1_000)).toBe(8_000_000);
  expect(meter.bitsPerWindow(1_000)).toBe(800_000);
  for (let second = 1; second < 10; second++) meter.add(1_000_000, second * 1_000);
  expect(meter.bitsPerWindow(9_500)).toBe(8_000_000);
});

test('and a steady stream is never measured as more than it is', () => {
  const meter = new RateMeter(0, 10);
  for (let at = 0; at < 40_000; at += 20) {
    meter.add(2_500, at);
    expect(meter.bitsPerWindow(at)).toBeLessThanOrEqual(1_000_000);
  }
  expect(meter.bitsPerWindow(40_000)).toBeGreaterThanOrEqual(900_000);
});
