// Rows of the overview as the status page gets them.
import type { OverviewAsset, OverviewStream } from '../../platform/contract/overview.ts';

/** A stream on air with nothing wrong. */
export const overviewStream = (more: Partial<OverviewStream> = {}): OverviewStream => ({
  id: 's',
  title: 'Pier',
  status: 'active',
  latency_mode: 'default',
  transcode: 'ladder',
  redundancy: 'standby',
  record: true,
  has_backup_key: false,
  publishing_key: 'primary',
  has_standby: false,
  is_away: false,
  viewer_count: 0,
  bitrate: 0,
  health: 'unknown',
  advice: [],
  renditions: [],
  lag_s: null,
  fault: null,
  playback_id: null,
  watch_url: null,
  embed_url: null,
  broadcast_id: null,
  created_at: 0,
  ...more,
});

/** An upload that is being transcoded. */
export const overviewAsset = (more: Partial<OverviewAsset> = {}): OverviewAsset => ({
  id: 'a',
  title: 'Clip',
  status: 'preparing',
  playable: false,
  progress: { state: 'queued', percent: 0 },
  errors: null,
  duration_s: null,
  size_bytes: null,
  source_type: 'upload',
  source_title: null,
  playback_id: null,
  watch_url: null,
  embed_url: null,
  created_at: 0,
  ...more,
});
