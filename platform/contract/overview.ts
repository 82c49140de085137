// JSON of the status page: `/ops/v1/overview`, answered by the api. Types only, so browsers load no schema library.
import type { JobState } from './jobs.ts';
import type { Role } from './nodes.ts';

export type OverviewNode = {
  id: string;
  role: Role;
  url: string;
  public_url: string | null;
  state: 'healthy' | 'draining';
  /** An edge that an operator has ordered out of use. */
  is_drained: boolean;
  /** ms since the epoch. */
  started_at: number;
  pid: number;
  version: string;
  load: Record<string, number>;
};

export type OverviewStream = {
  id: string;
  title: string;
  status: 'idle' | 'active' | 'disabled';
  latency_mode: string;
  transcode: string;
  redundancy: string;
  /** Whether a broadcast becomes a video when it ends. */
  record: boolean;
  has_backup_key: boolean;
  /** Key of the encoder that is shown; null while none publishes. */
  publishing_key: 'primary' | 'backup' | null;
  /** Whether the other key's encoder is connected and standing by. */
  has_standby: boolean;
  /** On air with nobody publishing: waiting for the encoder to come back. */
  is_away: boolean;
  /** Over all edges, last 15 s. */
  viewer_count: number;
  /** Of the publisher; 0 while idle. Unit: bit/s. */
  bitrate: number;
  /** Of the publisher's signal: healthy, starving, unknown; with plain advice. */
  health: 'healthy' | 'starving' | 'unknown';
  advice: string[];
  /** Renditions made now; fewer than the ladder while the worker is overloaded. */
  renditions: string[];
  /** From a frame's arrival to its part being named; null while nothing is encoded. Unit: s. */
  lag_s: number | null;
  /** Why the broadcast cannot be shown, in words; null: it can. */
  fault: string | null;
  playback_id: string | null;
  /** Absolute; null without an edge or a playback id. */
  watch_url: string | null;
  embed_url: string | null;
  broadcast_id: string | null;
  created_at: number;
};

export type OverviewJob = {
  queue: 'vod' | 'live';
  id: string;
  state: JobState;
  /** What the job is doing (`transcoding`) and how far it is; percent is null for live. */
  step: string;
  percent: number | null;
  attempts: number;
  asset_id: string | null;
  broadcast_id: string | null;
  error: string | null;
  created_at: number;
};

export type OverviewAsset = {
  id: string;
  title: string;
  status: 'preparing' | 'ready' | 'errored';
  playable: boolean;
  progress: { state: string; percent: number };
  errors: { type: string; messages: string[] } | null;
  duration_s: number | null;
  size_bytes: number | null;
  source_type: 'upload' | 'live' | 'clip';
  /** Title of the stream that was recorded, or of what was clipped, where it is among the newest; null: not known here. */
  source_title: string | null;
  playback_id: string | null;
  watch_url: string | null;
  embed_url: string | null;
  created_at: number;
};

/** Body of `/ops/v1/overview`, inside `data`. Its ETag changes when anything in it does. */
export type Overview = {
  /** Server address for broadcasters, `rtmp://host:1935/live`. */
  rtmp_url: string;
  /** The store in use, for people. */
  storage: string;
  nodes: OverviewNode[];
  streams: OverviewStream[];
  jobs: OverviewJob[];
  /** The newest 50. */
  assets: OverviewAsset[];
};
