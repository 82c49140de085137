// Settings of hls.js that must keep a relation to the platform's own numbers.
import { describe, expect, it } from 'vitest';
import { LIVE_TARGET_DURATION_S, MAX_TARGET_DURATION_S } from '../platform/contract/latency.ts';
import { CATCH_UP_RATE, catchUpRate, heldLimits, hlsSettings } from './hls-settings.ts';

describe('hlsSettings', () => {
  it('leave the distance from live to the playlist', () => {
    const names = Object.keys(hlsSettings(true, '/worker.js'));
    for (const name of ['liveSyncDuration', 'liveSyncDurationCount', 'liveMaxLatencyDurationCount']) {
      expect(names).not.toContain(name);
    }
  });
  it('bound what a long session keeps', () => {
    const { backBufferLength, maxMaxBufferLength } = hlsSettings(true, '/worker.js');
    expect(backBufferLength + maxMaxBufferLength).toBeLessThanOrEqual(120);
  });
  it('wait longer for a held playlist than an origin holds it, and cut no wait of the loader', () => {
    const most = hlsSettings(true, '/worker.js').playlistLoadPolicy.default.maxTimeToFirstByteMs;
    for (const targetduration of [LIVE_TARGET_DURATION_S, MAX_TARGET_DURATION_S]) {
      const { firstByteMs, hedgeMs } = heldLimits({ targetduration, partTarget: 0 });
      expect(firstByteMs).toBeGreaterThan(3 * targetduration * 1_000);
      expect(firstByteMs).toBeLessThan(most);
      expect(hedgeMs).toBeGreaterThan(2 * targetduration * 1_000);
      expect(hedgeMs).toBeLessThan(firstByteMs);
    }
  });
  it('ask a second edge when two parts should have come', () => {
    expect(heldLimits({ targetduration: 2, partTarget: 0.35 })).toEqual({ firstByteMs: 8_000, hedgeMs: 1_500 });
    expect(heldLimits(null)).toEqual(heldLimits({ targetduration: LIVE_TARGET_DURATION_S, partTarget: 0 }));
  });
});

describe('catchUpRate', () => {
  it.each([
    [null, CATCH_UP_RATE],
    ['', CATCH_UP_RATE],
    ['fast', CATCH_UP_RATE],
    ['0.5', CATCH_UP_RATE],
    ['3', CATCH_UP_RATE],
    ['1', 1],
    ['1.3', 1.3],
  ])('%s is %d', (wanted, rate) => expect(catchUpRate(wanted)).toBe(rate));
});
