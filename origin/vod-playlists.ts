// Media playlists of finished on-demand renditions: the segment table is immutable, so the text is made once and kept.

import type { ObjectStorage } from '../platform/adapters/storage.ts';
import type { ContentId } from '../platform/contract/ids.ts';
import { type ObjectKey, renditionIndexKey } from '../platform/contract/object-keys.ts';
import type { StoredRendition } from '../platform/contract/records.ts';
import { RenditionIndex } from '../platform/contract/timeline.ts';
import { vodPlaylist, writeMediaPlaylist } from '../platform/hls/media-playlist.ts';
import { CachedLookup } from './cached-lookup.ts';

/** Text of a rendition's media playlist. @throws ObjectMissing StorageUnavailable */
export type VodPlaylists = (content: ContentId, rendition: StoredRendition) => Promise<string>;

export function createVodPlaylists(storage: Pick<ObjectStorage, 'read'>): VodPlaylists {
  const forever = Number.POSITIVE_INFINITY;
  const texts = new CachedLookup(
    { ttlMs: forever, staleMs: forever, capacity: 2_000, limitMs: 5_000 },
    async (key: string) => {
      const { body } = await storage.read(key as ObjectKey);
      return writeMediaPlaylist(vodPlaylist(RenditionIndex.parse(JSON.parse(body.toString('utf8')))));
    },
  );
  return (content, rendition) => texts.get(renditionIndexKey(content, rendition.name, rendition.writer));
}
