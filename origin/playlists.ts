// Playlists and playback info as an origin answers them: records and timelines in, text out. Statuses are chosen in routes.ts.
import { type ContentId, contentOf, type PlaybackId } from '../platform/contract/ids.ts';
import type { PlaybackInfo } from '../platform/contract/playback.ts';
import type { AssetRecord, BroadcastRecord, PlaybackPolicy } from '../platform/contract/records.ts';
import { pathwaysOf } from '../platform/contract/steering.ts';
import { comparePositions, type Position } from '../platform/contract/timeline.ts';
import { type MasterRendition, masterPlaylist } from '../platform/hls/master-playlist.ts';
import { MediaPending, MediaUnknown, NotPlayable, StreamStale } from './errors.ts';
import type { LivePlaylists, LiveRequest } from './live-playlists.ts';
import type { LiveWindow, WindowSource } from './live-window.ts';
import type { Owner, Shown } from './playback.ts';
import {
  assetInfo,
  assetState,
  broadcastRenditions,
  broadcastState,
  isRecorded,
  newestEpoch,
  playableRenditions,
  streamInfo,
} from './playback-info.ts';
import type { Recordings } from './recordings.ts';
import type { PreparedText } from './replies.ts';
import type { VodPlaylists } from './vod-playlists.ts';

export type PlaylistAnswer = {
  text: string | PreparedText;
  /** `reload`: live, as of the place that was asked for; `live`: as of now. */
  kind: 'live' | 'reload' | 'video';
  policy: PlaybackPolicy;
  /** Newest part that a live media playlist shows; else null. */
  position: Position | null;
};

export interface Playlists {
  /** @throws NotPlayable MediaPending StreamStale */
  master(shown: Shown): Promise<PlaylistAnswer>;
  /** @throws MediaUnknown MediaPending ReloadRefused StreamStale OriginDraining */
  media(owner: Owner, request: LiveRequest): Promise<PlaylistAnswer>;
  info(playback: PlaybackId, shown: Shown): Promise<PlaybackInfo>;
  /** Whether this place of a running broadcast may still come to be: it lies beyond what is known here. */
  mayCome(owner: Owner, epoch: number, msn: number): Promise<boolean>;
}

/** An epoch this old without a segment here: not starting, but not seen. Unit: ms. */
const STARTING_MS = 10_000;

export type PlaylistDeps = {
  windows: WindowSource;
  live: LivePlaylists;
  vod: VodPlaylists;
  recordings: Recordings;
  /** How far viewers can rewind, unless the broadcast says otherwise. Unit: s. */
  windowS: number;
  /** Public addresses of all edges. */
  edges: () => readonly string[];
};

export function createPlaylists({ windows, live, vod, recordings, windowS, edges }: PlaylistDeps): Playlists {
  const openWindow = async (broadcast: BroadcastRecord): Promise<LiveWindow | null> =>
    newestEpoch(broadcast) === null ? null : await windows.open(broadcast);
  const listable = (window: LiveWindow | null): LiveWindow | null => {
    if (window !== null && windows.isCutOff(window)) throw new StreamStale();
    return hasSegments(window) ? window : null;
  };
  const assetMaster = async (asset: AssetRecord): Promise<string> => {
    if (isRecorded(asset) && assetState(asset) === 'ready') {
      const { renditions, broadcast } = await recordings.open(asset);
      return masterText(contentOf(asset.id), renditions, edges(), broadcast);
    }
    const renditions = playableRenditions(asset);
    if (renditions === null) throw new NotPlayable(assetState(asset));
    return masterText(contentOf(asset.id), renditions, edges());
  };
  return {
    async master({ policy, ...shown }) {
      if (shown.kind === 'asset') {
        return { text: await assetMaster(shown.asset), kind: 'video', policy, position: null };
      }
      const { broadcast } = shown;
      if (broadcast === null) throw new NotPlayable('waiting');
      const window = listable(await openWindow(broadcast));
      if (window === null) throw notYet(broadcast);
      const text = masterText(broadcast.content_id, broadcastRenditions(broadcast), edges(), broadcast);
      return { text, kind: 'live', policy, position: null };
    },
    async media(owner, request) {
      const { policy } = owner;
      if (owner.kind === 'asset') {
        const text = await assetMedia(owner.asset, request, { vod, recordings });
        return { text, kind: 'video', policy, position: null };
      }
      const window = listable(await openWindow(owner.broadcast));
      if (window === null) throw pendingOrUnknown(owner.broadcast);
      const { text, position, isExact } = await live.media(owner.broadcast, window, request);
      return { text, kind: isExact ? 'reload' : 'live', policy, position };
    },
    async info(playback, shown) {
      if (shown.kind === 'asset') return assetInfo(playback, shown.asset);
      const { stream, broadcast } = shown;
      const isRunning = broadcast !== null && broadcast.status !== 'ended';
      const window = isRunning ? await openWindow(broadcast) : null;
      const state = broadcastState(broadcast, hasSegments(window));
      return streamInfo(playback, { stream, broadcast, state, windowS });
    },
    async mayCome(owner, epoch, msn) {
      if (owner.kind === 'asset' || owner.broadcast.status === 'ended') return false;
      const position = (await openWindow(owner.broadcast))?.timeline.position() ?? null;
      return position === null || comparePositions({ epoch, msn, part: 0 }, { ...position, part: 0 }) > 0;
    },
  };
}

/** Something can be listed. */
const hasSegments = (window: LiveWindow | null): window is LiveWindow =>
  window !== null && window.timeline.newest() !== null;

async function assetMedia(
  asset: AssetRecord,
  { rendition }: LiveRequest,
  { vod, recordings }: Pick<PlaylistDeps, 'vod' | 'recordings'>,
): Promise<string> {
  if (isRecorded(asset)) {
    if (assetState(asset) !== 'ready') throw new MediaUnknown('such rendition');
    return await recordings.media(asset, rendition);
  }
  const stored = playableRenditions(asset)?.find((one) => one.name === rendition);
  if (stored === undefined) throw new MediaUnknown('such rendition');
  return await vod.media(asset, stored);
}

/** @param broadcast whose objects these are, if any */
function masterText(
  content: ContentId,
  renditions: readonly MasterRendition[],
  edges: readonly string[],
  broadcast: BroadcastRecord | null = null,
): string {
  const isDependent = broadcast?.epochs.some((epoch) => epoch.grid === 'copy') ?? false;
  const text = masterPlaylist({ content, renditions, isDependent, pathways: pathwaysOf(edges, content) });
  if (text === null) throw new NotPlayable('waiting');
  return text;
}

/** No segment to list: the stream has not begun, is over and gone, or this origin has not seen it yet. */
function notYet(broadcast: BroadcastRecord): NotPlayable | MediaPending {
  if (broadcast.status === 'ended') return new NotPlayable('ended');
  const epoch = newestEpoch(broadcast);
  const isStarting = epoch === null || Date.now() - epoch.started_at < STARTING_MS;
  return isStarting ? new NotPlayable('waiting') : new MediaPending('the live timeline');
}

const pendingOrUnknown = (broadcast: BroadcastRecord): MediaPending | MediaUnknown =>
  broadcast.status === 'ended' ? new MediaUnknown('playlist left of this broadcast') : new MediaPending('the playlist');
