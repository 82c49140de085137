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

/** A recording, or a clip of a broadcast: it has no renditions of its own, it plays the broadcast's objects. */
export const isRecorded = ({ source, renditions }: AssetRecord): boolean =>
  source.type === 'live' || (source.type === 'clip' && renditions.length === 0);

/** State of an asset for viewers: playable while preparing counts as ready, so that pages start to play. */
export function assetState(asset: AssetRecord): PlaybackState {
  if (asset.status === 'errored' || asset.status === 'deleting') return 'errored';
  if (isRecorded(asset)) return asset.status;
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
  const hasStoryboard = isRecorded(asset) && asset.images_writer !== null;
  return {
    playback_id: playback,
    kind: 'video',
    state: assetState(asset),
    title: asset.title,
    description: asset.description,
    duration_s: asset.duration_s,
    poster: hasPoster(asset) ? `/${playback}/poster.jpg` : null,
    latency_mode: null,
    is_growing: asset.status === 'preparing',
    dvr_window_s: null,
    is_away: false,
    storyboard: hasStoryboard ? `/${playback}/storyboard.vtt` : null,
    started_at: asset.created_at,
  };
}

/** A clip of a broadcast has a picture of it even before the broadcast has its storyboard. */
const hasPoster = (asset: AssetRecord): boolean =>
  asset.images_writer !== null || (asset.source.type === 'clip' && isRecorded(asset));

const hasPicture = (broadcast: BroadcastRecord | null): boolean =>
  broadcast !== null && broadcastRenditions(broadcast).some(({ kind }) => kind === 'video');

/** @param shown `windowS`: how far viewers can rewind, unless the broadcast says otherwise. Unit: s */
export function streamInfo(
  playback: PlaybackId,
  shown: { stream: StreamRecord; broadcast: BroadcastRecord | null; state: PlaybackState; windowS: number },
): PlaybackInfo {
  const { stream, broadcast, state, windowS } = shown;
  return {
    playback_id: playback,
    kind: 'live',
    state,
    title: stream.title,
    description: stream.description,
    duration_s: null,
    poster: state === 'live' && hasPicture(broadcast) ? `/${playback}/thumbnail.jpg` : null,
    latency_mode: broadcast?.latency_mode ?? stream.latency_mode,
    is_growing: false,
    dvr_window_s: broadcast?.dvr_window_s ?? stream.dvr_window_s ?? windowS,
    is_away: state === 'live' && broadcast?.ingest === null,
    storyboard: null,
    started_at: state === 'waiting' || broadcast === null ? null : broadcast.created_at,
  };
}
