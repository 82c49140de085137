// Live media playlists: which place a request is shown, the wait for it, and one text for all who ask for the same.
import type { RenditionName } from '../platform/contract/ids.ts';
import { PARTS_KEPT_TARGETS } from '../platform/contract/latency.ts';
import type { BroadcastRecord } from '../platform/contract/records.ts';
import type { Position } from '../platform/contract/timeline.ts';
import { livePlaylist } from '../platform/hls/live-playlist.ts';
import { type Directives, isTooFar, newestPlace, type Reload, reloadPlace } from '../platform/hls/live-reload.ts';
import type { HistogramMetric } from '../platform/runtime/metrics.ts';
import { MediaPending, MediaUnknown, ReloadRefused, StreamStale } from './errors.ts';
import { LiveTexts } from './live-texts.ts';
import type { LiveWindow, WindowSource } from './live-window.ts';
import type { PlaybackDirectory } from './playback.ts';
import type { PreparedText } from './replies.ts';

/** A live media playlist is asked for. */
export type LiveRequest = {
  rendition: RenditionName;
  directives: Directives;
  /** The viewer left. */
  signal: AbortSignal;
};
export type LiveAnswer = {
  text: PreparedText;
  /** Newest part shown. */
  position: Position;
  /** Shown as of the place that was asked for: the answer is final. */
  isExact: boolean;
};

export interface LivePlaylists {
  /**
   * @param window of the broadcast, with a closed segment
   * @throws MediaUnknown MediaPending ReloadRefused StreamStale OriginDraining
   */
  media(broadcast: BroadcastRecord, window: LiveWindow, request: LiveRequest): Promise<LiveAnswer>;
}

export type LivePlaylistsDeps = {
  directory: Pick<PlaybackDirectory, 'broadcastNow'>;
  windows: Pick<WindowSource, 'staleMs'>;
  buildSeconds: HistogramMetric;
};

/** Redis silent for this long: a place that seems too far ahead may be one this origin has not heard of. */
const BEHIND_MS = 1_000;

export function createLivePlaylists({ directory, windows, buildSeconds }: LivePlaylistsDeps): LivePlaylists {
  const texts = new LiveTexts();
  /** The place asked for as soon as it is there; null: the broadcast is over. */
  const awaitPlace = async (window: LiveWindow, reload: Reload, signal: AbortSignal): Promise<Position | null> => {
    const { timeline, partTargetS } = window;
    const hasParts = partTargetS !== null;
    const newest = newestPlace(timeline, hasParts);
    if (newest !== null && isTooFar(newest, reload, partTargetS)) {
      if (windows.staleMs() > BEHIND_MS) throw new StreamStale();
      throw new ReloadRefused('that place is too far ahead');
    }
    const look = () => (window.isOver() ? 'over' : reloadPlace(timeline, reload, hasParts));
    const found = await window.waiting.until(look, window.cutOffMs, signal);
    if (found === null) throw new MediaPending('the next part of this playlist');
    return found === 'over' ? null : found;
  };
  /** A worker writes an epoch into the record before its first entry: a window ahead of the record means that the one held here is old. */
  const withEpoch = async (broadcast: BroadcastRecord, epoch: number): Promise<BroadcastRecord> => {
    if (knowsEpoch(broadcast, epoch)) return broadcast;
    const fresh = await directory.broadcastNow(broadcast.id);
    if (fresh === null || !knowsEpoch(fresh, epoch)) throw new MediaPending('the record of what is shown now');
    return fresh;
  };
  return {
    async media(known, window, { rendition, directives, signal }) {
      const reload = window.isOver() ? null : directives.reload;
      const awaited = reload === null ? null : await awaitPlace(window, reload, signal);
      const isEnded = window.isOver();
      const at = (isEnded ? null : awaited) ?? newestPlace(window.timeline, window.partTargetS !== null);
      if (at === null) throw new MediaPending('the playlist');
      const broadcast = await withEpoch(known, at.epoch);
      if (!broadcast.epochs.some((epoch) => epoch.renditions.some((info) => info.name === rendition))) {
        throw new MediaUnknown('such rendition');
      }
      const isDelta = directives.isDelta && !isEnded;
      const { timeline, runTexts } = window;
      const name = [broadcast.id, rendition, at.epoch, at.msn, at.part, isDelta, isEnded, timeline.lateCount()].join(
        ' ',
      );
      const text = texts.of(name, () => {
        const began = performance.now();
        const written = livePlaylist({ timeline, epochs: broadcast.epochs, rendition, at, isEnded, isDelta }, runTexts);
        buildSeconds.observe((performance.now() - began) / 1_000);
        return written;
      });
      if (text === null) throw new MediaPending('the playlist');
      // A place that lies far back was answered as of the newest: the next to ask for it is shown something else.
      const isExact = at === awaited && at.msn - (reload?.msn ?? 0) <= PARTS_KEPT_TARGETS;
      return { text, position: at, isExact };
    },
  };
}

const knowsEpoch = (broadcast: BroadcastRecord, epoch: number): boolean =>
  broadcast.epochs.some((info) => info.epoch === epoch && info.renditions.length > 0);
