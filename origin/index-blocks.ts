// Index blocks: what the store keeps of a live timeline. Read when a broadcast is first asked for, so that a fresh origin shows the whole window.

import type { ObjectStorage } from '../platform/adapters/storage.ts';
import type { ContentId } from '../platform/contract/ids.ts';
import { indexBlockKey, indexPrefix } from '../platform/contract/object-keys.ts';
import { INDEX_BLOCK_SEGMENTS, IndexBlock, type TimelineEntry } from '../platform/contract/timeline.ts';

export interface BlockSource {
  /**
   * Entries of the stored blocks that reach back `segments` media sequence numbers from the newest block, in order.
   * @throws StorageUnavailable
   */
  newest(content: ContentId, segments: number): Promise<TimelineEntry[]>;
}

const READ_AT_ONCE = 8;

export function createBlockSource(storage: Pick<ObjectStorage, 'list' | 'read'>): BlockSource {
  const read = async (content: ContentId, place: BlockPlace): Promise<TimelineEntry[]> => {
    const { body } = await storage.read(indexBlockKey(content, place.epoch, place.msn));
    return IndexBlock.parse(JSON.parse(body.toString('utf8'))).entries;
  };
  return {
    async newest(content, segments) {
      const places: BlockPlace[] = [];
      const prefix = indexPrefix(content);
      for await (const { key } of storage.list(prefix)) {
        const place = parsePlace(key.slice(prefix.length));
        if (place !== null) places.push(place);
      }
      places.sort((a, b) => a.epoch - b.epoch || a.msn - b.msn);
      const last = places.at(-1);
      if (last === undefined) return [];
      const wanted = places.filter((place) => place.msn > last.msn - segments - INDEX_BLOCK_SEGMENTS);
      const entries: TimelineEntry[] = [];
      for (let at = 0; at < wanted.length; at += READ_AT_ONCE) {
        const blocks = await Promise.all(wanted.slice(at, at + READ_AT_ONCE).map((place) => read(content, place)));
        entries.push(...blocks.flat());
      }
      return entries;
    },
  };
}

type BlockPlace = { epoch: number; msn: number };

/** `{epoch}-{msn}.json`; other names below the prefix are tables of on-demand renditions. */
function parsePlace(name: string): BlockPlace | null {
  const match = /^(\d{1,9})-(\d{1,12})\.json$/.exec(name);
  return match ? { epoch: Number(match[1]), msn: Number(match[2]) } : null;
}
