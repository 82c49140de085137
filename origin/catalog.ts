// The public catalog of the home page: live streams on the air, then the newest ready videos. Held for two seconds.
import type { Catalog, PlaybackInfo } from '../platform/contract/playback.ts';
import type { AssetRecord, PlaybackEntry } from '../platform/contract/records.ts';
import { CachedLookup } from './cached-lookup.ts';
import type { PlaybackDirectory } from './playback.ts';
import { assetInfo, newestEpoch, streamInfo } from './playback-info.ts';

const MOST_VIDEOS = 50;
const MOST_LIVE = 100;
const PAGE = 100;
const MOST_PAGES = 5;

/** Where the catalog comes from. */
export type CatalogDeps = {
  directory: Pick<PlaybackDirectory, 'stream' | 'broadcast'>;
  /** How far viewers of a live can rewind, unless it says otherwise. Unit: s. */
  windowS: number;
  /** Broadcast id -> stream id, of broadcasts on the air. */
  liveBroadcasts: () => Promise<Record<string, string>>;
  /** Assets, newest first. */
  listAssets: (options: {
    limit: number;
    cursor: string | null;
  }) => Promise<{ values: AssetRecord[]; nextCursor: string | null }>;
};

/** @returns the catalog, at most two seconds old while its sources answer */
export type CatalogSource = () => Promise<Catalog>;

export function createCatalog(deps: CatalogDeps): CatalogSource {
  const limits = { ttlMs: 2_000, staleMs: 60_000, capacity: 1, limitMs: 10_000 };
  const held = new CachedLookup<Catalog>(limits, async () => {
    const [live, videos] = await Promise.all([liveNow(deps), newestVideos(deps)]);
    return { live, videos };
  });
  return () => held.get('catalog');
}

async function liveNow({ directory, liveBroadcasts, windowS }: CatalogDeps): Promise<PlaybackInfo[]> {
  const pairs = Object.entries(await liveBroadcasts()).slice(0, MOST_LIVE);
  const found = await Promise.all(
    pairs.map(async ([broadcastId, streamId]) => {
      const [broadcast, stream] = await Promise.all([directory.broadcast(broadcastId), directory.stream(streamId)]);
      const playback = stream === null ? null : publicId(stream.playback_ids);
      const isOnAir = broadcast !== null && broadcast.status === 'live' && newestEpoch(broadcast) !== null;
      if (stream === null || playback === null || !isOnAir || stream.broadcast_id !== broadcast.id) return null;
      return streamInfo(playback, { stream, broadcast, state: 'live', windowS });
    }),
  );
  const live = found.filter((info) => info !== null);
  return live.sort((a, b) => (b.started_at ?? 0) - (a.started_at ?? 0));
}

async function newestVideos({ listAssets }: CatalogDeps): Promise<PlaybackInfo[]> {
  const videos: PlaybackInfo[] = [];
  let cursor: string | null = null;
  for (let page = 0; page < MOST_PAGES && videos.length < MOST_VIDEOS; page += 1) {
    const { values, nextCursor }: Awaited<ReturnType<CatalogDeps['listAssets']>> = await listAssets({
      limit: PAGE,
      cursor,
    });
    for (const asset of values) {
      const playback = publicId(asset.playback_ids);
      if (asset.status === 'ready' && playback !== null) videos.push(assetInfo(playback, asset));
    }
    cursor = nextCursor;
    if (cursor === null) break;
  }
  return videos.slice(0, MOST_VIDEOS);
}

const publicId = (entries: readonly PlaybackEntry[]) => entries.find((entry) => entry.policy === 'public')?.id ?? null;
