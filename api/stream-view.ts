// A live stream as the API shows it: the record, and what is on now.
import type { z } from 'zod';
import type { StreamSignal } from '../platform/contract/nodes.ts';
import type { BroadcastRecord, StreamRecord } from '../platform/contract/records.ts';
import type { PlacedEncode } from './presence.ts';
import type { StreamView } from './stream-schemas.ts';

/** What is on now, beside the record. */
export type StreamState = {
  status: 'idle' | 'active' | 'disabled';
  /** The running broadcast, or the last one. */
  broadcast: BroadcastRecord | null;
  viewerCount: number;
  bitrateBps: number;
  /** Null while nobody publishes, or no ingest says. */
  signal: StreamSignal | null;
  /** The leader first. */
  encodes: PlacedEncode[];
  rtmpsUrl: string | null;
};
type Shown = z.infer<typeof StreamView>;

/** The running broadcast; null when none runs. */
export const runningIn = ({ broadcast }: StreamState): BroadcastRecord | null =>
  broadcast === null || broadcast.status === 'ended' ? null : broadcast;

/** Renditions made now: the leader's where it says. */
export const renditionsIn = (state: StreamState): string[] => state.encodes[0]?.renditions ?? [];

function phaseOf(state: StreamState): Shown['phase'] {
  const running = runningIn(state);
  if (running === null) return 'idle';
  if (running.status === 'ending') return 'ending';
  return running.ingest === null ? 'recovering' : 'active';
}

function healthOf({ signal, bitrateBps }: StreamState): Shown['health'] {
  return {
    status: signal?.health ?? 'unknown',
    advice: signal?.advice ?? [],
    bitrate: signal?.bitrate_bps ?? bitrateBps,
    frame_rate: signal?.frame_rate ?? 0,
    gop: signal?.gop_s ?? null,
    width: signal?.width ?? null,
    height: signal?.height ?? null,
    video_codec: signal?.video_codec ?? null,
    audio_codec: signal?.audio_codec ?? null,
    speed: signal?.speed ?? 0,
  };
}

function encodeOf(state: StreamState): Shown['encode'] {
  return {
    lag: state.encodes[0]?.lag_s ?? null,
    renditions: renditionsIn(state),
    placement: state.encodes.map(({ node, place, lag_s: lag, cost, spooled }) => ({ node, place, lag, cost, spooled })),
  };
}

/** @param liveWindowS how far viewers can rewind where the stream does not say. Unit: s */
export function streamView(stream: StreamRecord, state: StreamState, rtmpUrl: string, liveWindowS: number): Shown {
  const running = runningIn(state);
  const now = Date.now();
  return {
    id: stream.id,
    status: state.status,
    phase: phaseOf(state),
    title: stream.title,
    description: stream.description,
    latency_mode: stream.latency_mode,
    transcode: stream.transcode,
    redundancy: stream.redundancy,
    record: stream.record,
    dvr_window: stream.dvr_window_s ?? liveWindowS,
    use_slate: stream.use_slate,
    has_slate: stream.slate_at !== undefined,
    reconnect_window: stream.reconnect_window_s,
    playback_ids: stream.playback_ids,
    new_asset_settings: stream.new_asset_settings,
    rtmp_url: rtmpUrl,
    rtmps_url: state.rtmpsUrl,
    viewer_count: state.viewerCount,
    bitrate: state.bitrateBps,
    health: healthOf(state),
    encode: encodeOf(state),
    publishing_key: running?.ingest?.key ?? null,
    has_standby: state.signal?.has_standby ?? false,
    fault: running?.fault ?? null,
    active_broadcast_id: running?.id ?? null,
    active_asset_id: running?.asset_id ?? null,
    current_broadcast_id: stream.broadcast_id,
    recent_asset_ids: stream.recent_asset_ids ?? [],
    has_backup_key: stream.backup_key_hash !== null,
    old_keys: stream.old_keys.filter(({ until }) => until > now).map(({ key, until }) => ({ key, until })),
    key_rotated_at: stream.key_rotated_at,
    created_at: stream.created_at,
    updated_at: stream.updated_at,
  };
}
