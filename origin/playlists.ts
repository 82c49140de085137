// Playlists and playback info as an origin answers them: records and timelines in, text out. Statuses are chosen in routes.ts.
import type { ContentId, PlaybackId, RenditionName } from '../platform/contract/ids.ts';
import type { PlaybackInfo } from '../platform/contract/playback.ts';
import type { AssetRecord, BroadcastRecord, PlaybackPolicy } from '../platform/contract/records.ts';
import { comparePositions, type Position } from '../platform/contract/timeline.ts';
import { livePlaylist } from '../platform/hls/live-playlist.ts';
import { type MasterRendition, masterPlaylist } from '../platform/hls/master-playlist.ts';
import { writeMediaPlaylist } from '../platform/hls/media-playlist.ts';
import { MediaPending, MediaUnknown, NotPlayable, StreamStale } from './errors.ts';
import type { LiveWindow } from './live-window.ts';
import type { Owner, PlaybackDirectory, Shown } from './playback.ts';
import {
  assetInfo,
  assetState,
  broadcastRenditions,
  broadcastState,
  newestEpoch,
  playableRenditions,
  streamInfo,
} from './playback-info.ts';
import type { VodPlaylists } from './vod-playlists.ts';

/** What this file needs of the live windows. */
export interface WindowSource {
  open(content: ContentId): Promise<LiveWindow>;
  isCutOff(window: LiveWindow): boolean;
}

export type PlaylistAnswer = {
  text: string;
  kind: 'live' | 'video';
  policy: PlaybackPolicy;
  /** Newest listed segment of a live media playlist; else null. */
  position: Position | null;
};

export interface Playlists {
  /** @throws NotPlayable MediaPending StreamStale */
  master(shown: Shown): Promise<PlaylistAnswer>;
  /** @throws MediaUnknown MediaPending StreamStale */
  media(owner: Owner, rendition: RenditionName): Promise<PlaylistAnswer>;
  info(playback: PlaybackId, shown: Shown): Promise<PlaybackInfo>;
  /** Whether this place of a running broadcast may still come to be: it lies beyond what is known here. */
  mayCome(owner: Owner, epoch: number, msn: number): Promise<boolean>;
}

/** An epoch this old without a segment here: not starting, but not seen. Unit: ms. */
const STARTING_MS = 10_000;

export type PlaylistDeps = { directory: PlaybackDirectory; windows: WindowSource; vod: VodPlaylists };

export function createPlaylists({ directory, windows, vod }: PlaylistDeps): Playlists {
  const openWindow = async (broadcast: BroadcastRecord): Promise<LiveWindow | null> => {
    if (newestEpoch(broadcast) === null) return null;
    const window = await windows.open(broadcast.content_id);
    window.isOnAir = broadcast.status === 'live' && broadcast.ingest !== null;
    return window;
  };
  const listable = (window: LiveWindow | null): LiveWindow | null => {
    if (window?.isOnAir && windows.isCutOff(window)) throw new StreamStale();
    const hasSegments = window !== null && window.timeline.newest() !== null;
    return hasSegments ? window : null;
  };
  return {
    async master({ policy, ...shown }) {
      if (shown.kind === 'asset') return { text: assetMaster(shown.asset), kind: 'video', policy, position: null };
      const { broadcast } = shown;
      if (broadcast === null) throw new NotPlayable('waiting');
      const window = listable(await openWindow(broadcast));
      if (window === null) throw notYet(broadcast);
      const text = masterText(broadcast.content_id, broadcastRenditions(broadcast));
      return { text, kind: 'live', policy, position: null };
    },
    async media(owner, rendition) {
      const { policy } = owner;
      if (owner.kind === 'asset') {
        const stored = playableRenditions(owner.asset)?.find((one) => one.name === rendition);
        if (stored === undefined) throw new MediaUnknown('such rendition');
        return { text: await vod(owner.asset.content_id, stored), kind: 'video', policy, position: null };
      }
      const window = listable(await openWindow(owner.broadcast));
      if (window === null) throw pendingOrUnknown(owner.broadcast);
      const broadcast = await withEpochOf(directory, owner.broadcast, window);
      if (!broadcast.epochs.some((epoch) => epoch.renditions.some((info) => info.name === rendition))) {
        throw new MediaUnknown('such rendition');
      }
      return { ...liveText(broadcast, window, rendition), kind: 'live', policy };
    },
    async info(playback, shown) {
      if (shown.kind === 'asset') return assetInfo(playback, shown.asset);
      const { stream, broadcast } = shown;
      const isRunning = broadcast !== null && broadcast.status !== 'ended';
      const window = isRunning ? await openWindow(broadcast) : null;
      const hasSegments = window !== null && window.timeline.newest() !== null;
      return streamInfo(playback, stream, broadcast, broadcastState(broadcast, hasSegments));
    },
    async mayCome(owner, epoch, msn) {
      if (owner.kind === 'asset' || owner.broadcast.status === 'ended') return false;
      const position = (await openWindow(owner.broadcast))?.timeline.position() ?? null;
      return position === null || comparePositions({ epoch, msn, part: 0 }, { ...position, part: 0 }) > 0;
    },
  };
}

function assetMaster(asset: AssetRecord): string {
  const renditions = playableRenditions(asset);
  if (renditions === null) throw new NotPlayable(assetState(asset));
  return masterText(asset.content_id, renditions);
}

function masterText(content: ContentId, renditions: readonly MasterRendition[]): string {
  const text = masterPlaylist({ content, renditions });
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

/** A worker writes an epoch into the record before its first entry: a window ahead of the record means the record held here is old. */
async function withEpochOf(
  directory: PlaybackDirectory,
  broadcast: BroadcastRecord,
  window: LiveWindow,
): Promise<BroadcastRecord> {
  const newest = window.timeline.newest();
  const isKnown = newest === null || broadcast.epochs.some((epoch) => epoch.epoch === newest.epoch);
  return isKnown ? broadcast : ((await directory.broadcastNow(broadcast.id)) ?? broadcast);
}

function liveText(
  broadcast: BroadcastRecord,
  window: LiveWindow,
  rendition: RenditionName,
): { text: string; position: Position | null } {
  const playlist = livePlaylist({
    rendition,
    segments: window.timeline.segments(),
    epochs: broadcast.epochs,
    isEnded: window.settlesEnd(broadcast.status === 'ended'),
  });
  if (playlist === null) throw new MediaPending('the playlist');
  return { text: writeMediaPlaylist(playlist), position: window.timeline.position() };
}
