// Words about a video: what it is doing, how far it is, how long and large it became.
import { describe, expect, it } from 'vitest';
import type { OverviewAsset } from '../platform/contract/overview.ts';
import { assetFacts, assetStatus } from './assets-view.ts';

const asset = (over: Partial<OverviewAsset>): OverviewAsset => ({
  id: 'a',
  title: 'Clip',
  status: 'preparing',
  playable: false,
  progress: { state: 'transcoding', percent: 41.7 },
  errors: null,
  duration_s: null,
  size_bytes: null,
  playback_id: null,
  watch_url: null,
  embed_url: null,
  created_at: 0,
  ...over,
});

describe('a video in words', () => {
  it('says what it is doing and how far it is', () => {
    expect(assetFacts(asset({}), 5_000)).toBe('Transcoding 41 % · 5 s ago');
    expect(assetFacts(asset({ progress: { state: 'queued', percent: 0 } }), 5_000)).toBe('Queued · 5 s ago');
  });

  it('says length and size once known', () => {
    const ready = asset({ status: 'ready', duration_s: 75, size_bytes: 1_500_000 });
    expect(assetFacts(ready, 120_000)).toBe('1:15 · 1.5 MB · 2 min ago');
  });

  it('names its status', () => {
    expect(assetStatus(asset({})).word).toBe('Preparing');
    expect(assetStatus(asset({ progress: { state: 'waiting', percent: 0 } })).word).toBe('Uploading');
    expect(assetStatus(asset({ status: 'errored' })).word).toBe('Failed');
    expect(assetStatus(asset({ status: 'ready' })).word).toBe('Ready');
  });
});
