// Words about a video: what it is doing, how far it is, how long and large it became.
import { describe, expect, it } from 'vitest';
import type { OverviewAsset } from '../platform/contract/overview.ts';
import { overviewAsset } from '../test/support/overview-rows.ts';
import { assetFacts, assetStatus } from './assets-view.ts';

const asset = (over: Partial<OverviewAsset>): OverviewAsset =>
  overviewAsset({ progress: { state: 'transcoding', percent: 41.7 }, ...over });

describe('a video in words', () => {
  it('says what it is doing and how far it is', () => {
    expect(assetFacts(asset({}), 5_000)).toBe('Transcoding 41 % · 5 s ago');
    expect(assetFacts(asset({ progress: { state: 'queued', percent: 0 } }), 5_000)).toBe('Queued · 5 s ago');
  });

  it('says length and size once known', () => {
    const ready = asset({ status: 'ready', duration_s: 75, size_bytes: 1_500_000 });
    expect(assetFacts(ready, 120_000)).toBe('1:15 · 1.5 MB · 2 min ago');
  });

  it('says what a recording or clip was made of', () => {
    const ready = { status: 'ready', duration_s: 75 } as const;
    const facts = (more: Partial<OverviewAsset>) => assetFacts(asset({ ...ready, ...more }), 5_000);
    expect(facts({ source_type: 'live', source_title: 'Pier' })).toBe('Recording of Pier · 1:15 · 5 s ago');
    expect(facts({ source_type: 'clip', source_title: null })).toBe('Clip · 1:15 · 5 s ago');
  });

  it('names its status', () => {
    expect(assetStatus(asset({})).word).toBe('Preparing');
    expect(assetStatus(asset({ progress: { state: 'waiting', percent: 0 } })).word).toBe('Uploading');
    expect(assetStatus(asset({ status: 'errored' })).word).toBe('Failed');
    expect(assetStatus(asset({ status: 'ready' })).word).toBe('Ready');
  });
});
