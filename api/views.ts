// Records as the API shows them: Mux's names, no secrets, nothing of the inner workings.
import type { z } from 'zod';
import type { AssetRecord, UploadRecord } from '../platform/contract/records.ts';
import type { AssetView, ClipView, UploadView } from './schemas.ts';

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

/** What a clip was cut from: seconds for assets, wall clock for broadcasts. */
function clipView({ source }: AssetRecord): z.infer<typeof ClipView> | null {
  if (source.type !== 'clip') return null;
  const instant = (value: number) => (source.asset_id === null ? new Date(value).toISOString() : value);
  const span = ({ start, end }: { start: number; end: number }) => ({ start: instant(start), end: instant(end) });
  return {
    source: { playback_id: source.playback_id, asset_id: source.asset_id, broadcast_id: source.broadcast_id },
    requested: span(source.wanted),
    actual: span(source.real),
  };
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
    source_type: asset.source.type,
    clip: clipView(asset),
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
