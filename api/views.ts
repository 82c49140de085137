// Records as the API shows them: Mux's names, no secrets, nothing of the inner workings.
import type { z } from 'zod';
import type { AssetRecord, StreamRecord, UploadRecord } from '../platform/contract/records.ts';
import type { AssetView, StreamView, UploadView } from './schemas.ts';

export type Progress = { state: string; percent: number };

/** What a worker said last counts while the asset is preparing; else the record decides. */
export function progressOf(asset: AssetRecord, reported: Progress | null): Progress {
  if (asset.status === 'ready') return { state: 'completed', percent: 100 };
  if (asset.status === 'errored') return { state: 'errored', percent: reported?.percent ?? 0 };
  if (asset.source.type === 'upload' && !asset.source.complete) return { state: 'waiting', percent: 0 };
  return reported ?? { state: 'queued', percent: 0 };
}

/** Something can be watched: a video rendition, or audio where there is no picture; and the sound where there is one. */
export function isPlayable(asset: AssetRecord): boolean {
  if (asset.status === 'ready') return true;
  if (asset.status !== 'preparing') return false;
  const has = (letter: string) => asset.renditions.some((rendition) => rendition.name.startsWith(letter));
  const plans = (letter: string) => asset.planned.some((name) => name.startsWith(letter));
  return (has('v') || (has('a') && !plans('v'))) && (has('a') || !plans('a'));
}

export function assetView(asset: AssetRecord, reported: Progress | null): z.infer<typeof AssetView> {
  return {
    id: asset.id,
    status: asset.status === 'deleting' ? 'errored' : asset.status,
    playable: isPlayable(asset),
    progress: progressOf(asset, reported),
    errors: asset.errors,
    title: asset.title,
    description: asset.description,
    playback_ids: asset.playback_ids,
    duration: asset.duration_s,
    size_bytes: asset.size_bytes,
    renditions: asset.renditions.map((rendition) => ({
      name: rendition.name,
      kind: rendition.kind,
      codecs: rendition.codecs,
      width: rendition.width,
      height: rendition.height,
      frame_rate: rendition.frame_rate,
      bandwidth: rendition.bandwidth,
      segments: rendition.segments,
      duration: rendition.duration_s,
      size_bytes: rendition.bytes,
    })),
    input_info:
      asset.input === null
        ? null
        : {
            container: asset.input.container,
            size_bytes: asset.input.bytes,
            duration: asset.input.duration_s,
            video: asset.input.video,
            audio: asset.input.audio,
          },
    upload_id: asset.source.type === 'upload' ? asset.source.upload_id : null,
    live_stream_id: asset.source.type === 'live' ? asset.source.stream_id : null,
    created_at: asset.created_at,
    updated_at: asset.updated_at,
  };
}

export const uploadView = (upload: UploadRecord, offset: number): z.infer<typeof UploadView> => ({
  id: upload.id,
  status: upload.status,
  asset_id: upload.asset_id,
  cors_origin: upload.cors_origin,
  new_asset_settings: upload.new_asset_settings,
  filename: upload.filename,
  offset,
  length: upload.length,
  created_at: upload.created_at,
  expires_at: upload.expires_at,
});

/** What is on now, beside the record. */
export type StreamState = { status: 'idle' | 'active' | 'disabled'; viewerCount: number; bitrateBps: number };

export const streamView = (stream: StreamRecord, state: StreamState, rtmpUrl: string): z.infer<typeof StreamView> => ({
  id: stream.id,
  status: state.status,
  title: stream.title,
  description: stream.description,
  latency_mode: stream.latency_mode,
  reconnect_window: stream.reconnect_window_s,
  playback_ids: stream.playback_ids,
  new_asset_settings: stream.new_asset_settings,
  rtmp_url: rtmpUrl,
  viewer_count: state.viewerCount,
  bitrate: state.bitrateBps,
  current_broadcast_id: stream.broadcast_id,
  key_rotated_at: stream.key_rotated_at,
  created_at: stream.created_at,
  updated_at: stream.updated_at,
});
