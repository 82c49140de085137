// Spoken changes: what went live, off air, became ready or failed; nothing at first sight.
import { describe, expect, it } from 'vitest';
import type { Overview, OverviewAsset, OverviewStream } from '../platform/contract/overview.ts';
import { changesBetween } from './changes.ts';

const linked = { playback_id: null, watch_url: null, embed_url: null, created_at: 0 };
const stream = (status: OverviewStream['status'], title = 'Pier'): OverviewStream => ({
  id: 's',
  title,
  status,
  latency_mode: 'default',
  viewer_count: 0,
  bitrate: 0,
  broadcast_id: null,
  ...linked,
});
const asset = (status: OverviewAsset['status']): OverviewAsset => ({
  id: 'a',
  title: 'Clip',
  status,
  playable: false,
  progress: { state: 'queued', percent: 0 },
  errors: null,
  duration_s: null,
  size_bytes: null,
  ...linked,
});
const overview = (streams: OverviewStream[], assets: OverviewAsset[] = []): Overview => ({
  rtmp_url: '',
  storage: '',
  nodes: [],
  jobs: [],
  streams,
  assets,
});

describe('changesBetween', () => {
  it('says nothing at first', () => expect(changesBetween(null, overview([stream('active')]))).toEqual([]));

  it('says what goes on and off air', () => {
    const idle = overview([stream('idle')]);
    const active = overview([stream('active')]);
    expect(changesBetween(idle, active)).toEqual(['Pier is live']);
    expect(changesBetween(active, idle)).toEqual(['Pier is off air']);
    expect(changesBetween(idle, overview([stream('active', '')]))).toEqual(['Live stream is live']);
    expect(changesBetween(active, active)).toEqual([]);
  });

  it('says what became ready or failed, not what is new', () => {
    const before = overview([], [asset('preparing')]);
    expect(changesBetween(before, overview([], [asset('ready')]))).toEqual(['Clip is ready']);
    expect(changesBetween(before, overview([], [asset('errored')]))).toEqual(['Clip failed']);
    expect(changesBetween(overview([]), before)).toEqual([]);
  });
});
