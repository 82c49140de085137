// What a viewer may know and play of a record: pure rules over assets, streams and broadcasts.
import type { PlaybackId } from '../platform/contract/ids.ts';
import type { PlaybackInfo, PlaybackState } from '../platform/contract/playback.ts';
import type {
  AssetRecord,
  BroadcastRecord,
  EpochInfo,
  RenditionInfo,
  StoredRendition,
  StreamRecord,
} from '../platform/contract/records.ts';

/**
 * Renditions that a master playlist lists now: all finished ones, once one video rendition and the planned audio are among
 * them (without planned video: the audio). Null before, and for an errored asset.
 */
export function playableRenditions(asset: AssetRecord): StoredRendition[] | null {
  if (asset.status !== 'preparing' && asset.status !== 'ready') return null;
  const has = (kind: 'video' | 'audio') => asset.renditions.some((rendition) => rendition.kind === kind);
  const plans = (letter: string) => asset.planned.some((name) => name.startsWith(letter));
  if (asset.status === 'preparing' && plans('v') && !has('video')) return null;
  if (asset.status === 'preparing' && plans('a') && !has('audio')) return null;
  return asset.renditions.length > 0 ? asset.renditions : null;
}

/** State of an asset for viewers: playable while preparing counts as ready, so that pages start to play. */
export function assetState(asset: AssetRecord): PlaybackState {
  if (asset.status === 'errored' || asset.status === 'deleting') return 'errored';
  return playableRenditions(asset) === null ? 'preparing' : 'ready';
}

/** @param hasSegments whether a closed segment can be listed now */
export function broadcastState(broadcast: BroadcastRecord | null, hasSegments: boolean): PlaybackState {
  if (broadcast === null) return 'waiting';
  if (broadcast.status === 'ended') return 'ended';
  return hasSegments ? 'live' : 'waiting';
}

/** The newest epoch that names its renditions, or null before the first. */
export const newestEpoch = (broadcast: BroadcastRecord): EpochInfo | null =>
  broadcast.epochs.findLast((epoch) => epoch.renditions.length > 0) ?? null;

/** What a live master lists. */
export const broadcastRenditions = (broadcast: BroadcastRecord): RenditionInfo[] =>
  newestEpoch(broadcast)?.renditions ?? [];

export function assetInfo(playback: PlaybackId, asset: AssetRecord): PlaybackInfo {
  return {
    playback_id: playback,
    kind: 'video',
    state: assetState(asset),
    title: asset.title,
    description: asset.description,
    duration_s: asset.duration_s,
    poster: asset.images_writer === null ? null : `/${playback}/poster.jpg`,
    latency_mode: null,
    is_growing: asset.status === 'preparing',
    started_at: asset.created_at,
  };
}

export function streamInfo(
  playback: PlaybackId,
  stream: StreamRecord,
  broadcast: BroadcastRecord | null,
  state: PlaybackState,
): PlaybackInfo {
  return {
    playback_id: playback,
    kind: 'live',
    state,
    title: stream.title,
    description: stream.description,
    duration_s: null,
    poster: null,
    latency_mode: stream.latency_mode,
    is_growing: false,
    started_at: state === 'waiting' || broadcast === null ? null : broadcast.created_at,
  };
}
