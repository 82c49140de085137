import { beforeEach, describe, expect, it } from 'vitest';
import { OutlierEjection } from './outlier-ejection.ts';

const [A, B, C] = ['http://a:1', 'http://b:1', 'http://c:1'];
const KNOWN = 4;

describe('ejection', () => {
  let nowMs: number;
  let outliers: OutlierEjection;
  /** @returns length of the ejection that the last failure began */
  const fail = (url: string, times = 5): number | null => {
    let last: number | null = null;
    for (let n = 0; n < times; n += 1) last = outliers.failed(url, KNOWN);
    return last;
  };

  beforeEach(() => {
    nowMs = 0;
    outliers = new OutlierEjection(() => nowMs);
  });

  it('comes with the fifth failure in a row and lasts 30 s', () => {
    expect(fail(A, 4)).toBeNull();
    outliers.succeeded(A);
    expect(fail(A, 4)).toBeNull();
    expect(fail(A, 1)).toBe(30_000);
    nowMs = 29_999;
    expect(outliers.isEjected(A)).toBe(true);
    nowMs = 30_000;
    expect(outliers.isEjected(A)).toBe(false);
  });

  it('lasts longer each time, five minutes at most', () => {
    const lengths: (number | null)[] = [];
    for (let n = 0; n < 12; n += 1) {
      lengths.push(fail(A));
      nowMs = outliers.endMs(A);
    }
    expect(lengths.slice(0, 3)).toEqual([30_000, 60_000, 90_000]);
    expect(lengths.slice(9)).toEqual([300_000, 300_000, 300_000]);
  });

  it('is forgiven after as long in service', () => {
    fail(A);
    nowMs = 60_000;
    expect(fail(A)).toBe(30_000);
  });

  it('never takes more than half of the origins', () => {
    expect([fail(A), fail(B), fail(C)]).toEqual([30_000, 30_000, null]);
    expect(outliers.isEjected(C)).toBe(false);
    nowMs = 30_000;
    expect(fail(C, 1)).toBe(30_000);
  });

  it('never takes the only origin, and one of two', () => {
    for (let n = 0; n < 20; n += 1) expect(outliers.failed(A, 1)).toBeNull();
    expect(outliers.failed(A, 2)).toBe(30_000);
  });

  it('does not count failures that come in while it lasts', () => {
    fail(A);
    expect(fail(A, 20)).toBeNull();
    nowMs = 30_000;
    expect(fail(A, 4)).toBeNull();
  });

  it('ends when the origin is another process', () => {
    fail(A);
    outliers.forget(A);
    expect(outliers.isEjected(A)).toBe(false);
    expect(fail(A)).toBe(30_000);
  });
});
