// Media playlists of finished on-demand renditions: the segment table is immutable, so table and text are made once and kept.
import type { ObjectStorage } from '../platform/adapters/storage.ts';
import type { RenditionName } from '../platform/contract/ids.ts';
import { type ObjectKey, renditionIndexKey } from '../platform/contract/object-keys.ts';
import type { AssetRecord, StoredRendition } from '../platform/contract/records.ts';
import { RenditionIndex } from '../platform/contract/timeline.ts';
import { vodPlaylist, writeMediaPlaylist } from '../platform/hls/media-playlist.ts';
import { CachedLookup } from './cached-lookup.ts';

/** The asset's own segments: an upload's, or a clip's of one (`range`). @throws ObjectMissing StorageUnavailable */
export interface VodPlaylists {
  /** Text of a rendition's media playlist. */
  media(asset: AssetRecord, rendition: StoredRendition): Promise<string>;
  /** A rendition's segment table, cut to what the asset shows. */
  table(asset: AssetRecord, rendition: StoredRendition): Promise<RenditionIndex>;
}

/** Renditions kept in memory. */
const MOST_KEPT = 2_000;

export function createVodPlaylists(storage: Pick<ObjectStorage, 'read'>): VodPlaylists {
  const forever = Number.POSITIVE_INFINITY;
  const limits = { ttlMs: forever, staleMs: forever, capacity: MOST_KEPT, limitMs: 5_000 };
  const tables = new CachedLookup(limits, async (key): Promise<RenditionIndex> => {
    const { body } = await storage.read(key as ObjectKey);
    return withoutHashes(RenditionIndex.parse(JSON.parse(body.toString('utf8'))));
  });
  const texts = new WeakMap<RenditionIndex, string>();
  const whole = ({ content_id: content }: AssetRecord, { name, writer }: StoredRendition) =>
    tables.get(renditionIndexKey(content, name, writer));
  return {
    async media(asset, rendition) {
      const index = await whole(asset, rendition);
      if (asset.range !== null) return textOf(asset, cut(index, asset.range));
      const text = texts.get(index) ?? textOf(asset, index);
      texts.set(index, text);
      return text;
    },
    async table(asset, rendition) {
      const index = await whole(asset, rendition);
      return asset.range === null ? index : cut(index, asset.range);
    },
  };
}

/**
 * What stands before each address in an asset's media playlist (`/v/{grant}/{asset id}/{rendition}/index.m3u8`): nothing where the
 * asset's id is its content's, else the way over to the content it shows.
 */
export const mediaBase = ({ id, content_id: content }: AssetRecord, rendition: RenditionName): string =>
  String(id) === String(content) ? '' : `../../${content}/${rendition}/`;

const textOf = (asset: AssetRecord, index: RenditionIndex): string =>
  writeMediaPlaylist(vodPlaylist(index, mediaBase(asset, index.rendition)));

const cut = (index: RenditionIndex, range: NonNullable<AssetRecord['range']>): RenditionIndex => ({
  ...index,
  segments: index.segments.filter(({ msn }) => msn >= range.from_msn && msn <= range.to_msn),
});

/** Hashes are nothing to playlists, and most of a table's bytes. */
const withoutHashes = (index: RenditionIndex): RenditionIndex => ({
  ...index,
  segments: index.segments.map((segment) => ({ ...segment, sha256: '' })),
});
