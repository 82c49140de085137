// Recordings and clips of broadcasts: what an asset over a broadcast's own objects plays, read from its index blocks and kept.
import type { ContentId, RenditionName } from '../platform/contract/ids.ts';
import type { AssetRecord, BroadcastRecord, RenditionInfo } from '../platform/contract/records.ts';
import { INDEX_BLOCK_SEGMENTS } from '../platform/contract/timeline.ts';
import { type LiveSegment, segmentOfBlock } from '../platform/hls/live-timeline.ts';
import { writeMediaPlaylist } from '../platform/hls/media-playlist.ts';
import {
  type RecordedSegment,
  recordedPlaylist,
  recordedRenditions,
  recordedSegments,
} from '../platform/hls/recording.ts';
import { CachedLookup } from './cached-lookup.ts';
import { MediaPending, MediaUnknown } from './errors.ts';
import { type BlockPlace, type BlockSource, readPlaces } from './index-blocks.ts';
import type { PlaybackDirectory } from './playback.ts';
import { mediaBase } from './vod-playlists.ts';

/** What this file needs of the live windows: the end of a running broadcast, which no block holds yet. */
export interface LiveTails {
  open(broadcast: BroadcastRecord): Promise<{ timeline: { segments(): Iterable<LiveSegment> } }>;
}

/** What an asset over a broadcast plays. Never changes. */
export type Recording = {
  broadcast: BroadcastRecord;
  segments: readonly RecordedSegment[];
  /** What its master lists; none when nothing of it was kept. */
  renditions: readonly RenditionInfo[];
};

export interface Recordings {
  /** @throws MediaUnknown MediaPending StorageUnavailable */
  open(asset: AssetRecord): Promise<Recording>;
  /** Text of one rendition's media playlist. @throws as open */
  media(asset: AssetRecord, rendition: RenditionName): Promise<string>;
}

export type RecordingsDeps = {
  blocks: BlockSource;
  directory: Pick<PlaybackDirectory, 'broadcast' | 'broadcastNow'>;
  windows: LiveTails;
};

/** Recordings kept in memory with their playlists; an hour of six renditions takes about 3 MB. */
const MOST_KEPT = 32;
const LOAD_LIMIT_MS = 10_000;

type Range = { from: number; to: number };

export function createRecordings(deps: RecordingsDeps): Recordings {
  const forever = Number.POSITIVE_INFINITY;
  const limits = { ttlMs: forever, staleMs: forever, capacity: MOST_KEPT, limitMs: LOAD_LIMIT_MS };
  const held = new CachedLookup(limits, (key) => load(deps, JSON.parse(key) as RecordingKey));
  const texts = new WeakMap<Recording, Map<RenditionName, string>>();
  const open = (asset: AssetRecord) => held.get(JSON.stringify(keyOf(asset)));
  return {
    open,
    async media(asset, rendition) {
      const recording = await open(asset);
      if (!recording.renditions.some(({ name }) => name === rendition)) throw new MediaUnknown('such rendition');
      const known = texts.get(recording) ?? new Map<RenditionName, string>();
      texts.set(recording, known);
      const base = mediaBase(asset, rendition);
      const text = known.get(rendition) ?? writeMediaPlaylist(recordedPlaylist({ ...recording, rendition, base }));
      known.set(rendition, text);
      return text;
    },
  };
}

type RecordingKey = { content: ContentId; range: AssetRecord['range'] };
const keyOf = ({ content_id: content, range }: AssetRecord): RecordingKey => ({ content, range });

async function load(deps: RecordingsDeps, { content, range }: RecordingKey): Promise<Recording> {
  const wanted: Range = { from: range?.from_msn ?? 0, to: range?.to_msn ?? Number.POSITIVE_INFINITY };
  let broadcast = await deps.directory.broadcast(content);
  // The whole of a broadcast is final once it has ended; the record held here may be a second old.
  if (range === null && broadcast?.status !== 'ended') {
    broadcast = broadcast && (await deps.directory.broadcastNow(broadcast.id));
  }
  if (broadcast === null) throw new MediaUnknown('such broadcast any more');
  const isOver = broadcast.status === 'ended';
  if (range === null && !isOver) throw new MediaPending('the end of the broadcast');
  const found = await storedSegments(deps.blocks, content, wanted);
  if (!isOver && !reaches(found, wanted)) {
    const { timeline } = await deps.windows.open(broadcast);
    addTail(found, timeline.segments());
    if (!reaches(found, wanted)) throw new MediaPending('the end of the clip');
  }
  const shown = found.filter(({ msn }) => msn >= wanted.from && msn <= wanted.to);
  // A worker writes an epoch into the record before it names a segment of it.
  const known = new Set(broadcast.epochs.map(({ epoch }) => epoch));
  if (!shown.every(({ epoch }) => known.has(epoch))) {
    broadcast = (await deps.directory.broadcastNow(broadcast.id)) ?? broadcast;
  }
  const segments = recordedSegments(shown, broadcast.epochs);
  return { broadcast, segments, renditions: recordedRenditions(segments) };
}

/** Segments of the stored blocks that touch the range, in play order. */
async function storedSegments(blocks: BlockSource, content: ContentId, { from, to }: Range): Promise<LiveSegment[]> {
  const touches = ({ msn }: BlockPlace) => msn <= to && msn + INDEX_BLOCK_SEGMENTS > from;
  const places = (await blocks.places(content)).filter(touches);
  const segments: LiveSegment[] = [];
  await readPlaces(blocks, content, places, (some) => {
    for (const block of some) segments.push(...block.segments.map((one) => segmentOfBlock(block.epoch, one)));
  });
  return segments.sort((a, b) => a.msn - b.msn);
}

/** Numbers are given in order: once a later one is known, nothing is missing up to `to`. */
const reaches = (segments: readonly LiveSegment[], { to }: Range): boolean => (segments.at(-1)?.msn ?? -1) >= to;

/** Adds what is newer than the last of `segments`. */
function addTail(segments: LiveSegment[], tail: Iterable<LiveSegment>): void {
  let newest = segments.at(-1)?.msn ?? -1;
  for (const segment of tail) {
    if (segment.msn <= newest) continue;
    segments.push(segment);
    newest = segment.msn;
  }
}
