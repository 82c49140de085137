// Settings of hls.js that must keep a relation to the platform's own numbers.
import { describe, expect, it } from 'vitest';
import { LIVE_TARGET_DURATION_S, MAX_TARGET_DURATION_S } from '../platform/contract/latency.ts';
import { CATCH_UP_RATE, catchUpRate, heldFirstByteMs, hlsSettings } from './hls-settings.ts';

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
    for (const targetS of [LIVE_TARGET_DURATION_S, MAX_TARGET_DURATION_S]) {
      expect(heldFirstByteMs(targetS)).toBeGreaterThan(3 * targetS * 1_000);
      expect(heldFirstByteMs(targetS)).toBeLessThan(
        hlsSettings(true, '/worker.js').playlistLoadPolicy.default.maxTimeToFirstByteMs,
      );
    }
    expect(heldFirstByteMs(null)).toBe(heldFirstByteMs(LIVE_TARGET_DURATION_S));
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
