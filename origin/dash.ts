// MPEG-DASH manifests as an origin answers them at /{playback_id}.mpd: from the same records, timelines and tables as the playlists.
import type { AssetRecord, BroadcastRecord, PlaybackPolicy } from '../platform/contract/records.ts';
import { type DashManifest, writeDash } from '../platform/hls/dash.ts';
import { liveDash, recordedDash, storedDash } from '../platform/hls/dash-periods.ts';
import { NotPlayable, StreamStale } from './errors.ts';
import type { LiveWindow, WindowSource } from './live-window.ts';
import type { PlaybackDirectory, Shown } from './playback.ts';
import { assetState, isRecorded, newestEpoch, playableRenditions } from './playback-info.ts';
import type { Recording, Recordings } from './recordings.ts';
import type { VodPlaylists } from './vod-playlists.ts';

export type ManifestAnswer = { text: string; policy: PlaybackPolicy; kind: 'live' | 'video' };

export interface Dash {
  /** @throws NotPlayable MediaPending MediaUnknown StreamStale StorageUnavailable */
  manifest(shown: Shown): Promise<ManifestAnswer>;
}

export type DashDeps = {
  directory: Pick<PlaybackDirectory, 'broadcastNow'>;
  windows: Pick<WindowSource, 'open' | 'isCutOff'>;
  recordings: Recordings;
  vod: VodPlaylists;
  /** Wall clock, ms since the epoch. */
  now?: () => number;
};

export const DASH_TYPE = 'application/dash+xml';

export function createDash(deps: DashDeps): Dash {
  const now = deps.now ?? Date.now;
  const recorded = new WeakMap<Recording, string>();
  const held = new WeakMap<LiveWindow, HeldManifest>();
  const assetText = async (asset: AssetRecord): Promise<string> => {
    if (assetState(asset) !== 'ready') throw new NotPlayable(assetState(asset));
    if (!isRecorded(asset)) return textOf(await storedManifest(asset, deps.vod));
    const recording = await deps.recordings.open(asset);
    const known = recorded.get(recording);
    if (known !== undefined) return known;
    const { broadcast, segments } = recording;
    const text = textOf(recordedDash(asset.content_id, segments, addressingOf(broadcast)));
    recorded.set(recording, text);
    return text;
  };
  return {
    async manifest({ policy, ...shown }) {
      if (shown.kind === 'asset') return { text: await assetText(shown.asset), policy, kind: 'video' };
      if (shown.broadcast === null) throw new NotPlayable('waiting');
      const manifest = await liveManifest(shown.broadcast, deps, held);
      const { live } = manifest;
      const text = writeDash(live === null ? manifest : { ...manifest, live: { ...live, nowMs: now() } });
      return { text, policy, kind: 'live' };
    },
  };
}

/** Writers change often only where two workers race. */
const addressingOf = ({ redundancy }: BroadcastRecord): DashManifest['addressing'] =>
  redundancy === 'hot' ? 'list' : 'template';

function textOf(manifest: DashManifest | null): string {
  if (manifest === null) throw new NotPlayable('waiting');
  return writeDash(manifest);
}

async function storedManifest(asset: AssetRecord, vod: VodPlaylists): Promise<DashManifest | null> {
  const renditions = playableRenditions(asset) ?? [];
  const tracks = renditions.map(async (stored) => ({ stored, index: await vod.table(asset, stored) }));
  return storedDash(asset.content_id, await Promise.all(tracks));
}

/** What a window's manifest was made of, and the manifest: many ask between two segments. */
type HeldManifest = { state: string; manifest: DashManifest };

/** But for the clock, which the caller sets. */
async function liveManifest(
  shown: BroadcastRecord,
  deps: DashDeps,
  held: WeakMap<LiveWindow, HeldManifest>,
): Promise<DashManifest> {
  const nothing = () => new NotPlayable(shown.status === 'ended' ? 'ended' : 'waiting');
  if (newestEpoch(shown) === null) throw nothing();
  const window = await deps.windows.open(shown);
  if (deps.windows.isCutOff(window)) throw new StreamStale();
  const { timeline } = window;
  const newest = timeline.newest();
  if (newest === null) throw nothing();
  // A worker writes an epoch into the record before its first entry: a window ahead of the record means the record held here is old.
  const isKnown = shown.epochs.some(({ epoch }) => epoch === newest.epoch);
  const broadcast = isKnown ? shown : ((await deps.directory.broadcastNow(shown.id)) ?? shown);
  window.noteEnd(broadcast.status === 'ended');
  const isEnded = window.isOver();
  const state = `${newest.msn} ${timeline.lateCount()} ${broadcast.epochs.length} ${isEnded}`;
  const known = held.get(window);
  if (known?.state === state) return known.manifest;
  const manifest = liveDash({
    content: broadcast.content_id,
    epochs: broadcast.epochs,
    segments: timeline.segments(),
    windowS: timeline.capacity * window.targetS,
    isEnded,
    nowMs: 0,
    addressing: addressingOf(broadcast),
  });
  if (manifest === null) throw nothing();
  held.set(window, { state, manifest });
  return manifest;
}
