// Index blocks: what the store keeps of a live timeline. Read when a broadcast is first asked for, so that a fresh origin shows the whole
// window, and for recordings and clips, which are nothing but these blocks.
import type { ObjectStorage } from '../platform/adapters/storage.ts';
import type { ContentId } from '../platform/contract/ids.ts';
import { indexBlockKey, indexPrefix } from '../platform/contract/object-keys.ts';
import { INDEX_BLOCK_SEGMENTS, IndexBlock } from '../platform/contract/timeline.ts';

/** Where a block begins: the first segment it may hold. */
export type BlockPlace = { epoch: number; msn: number };

export interface BlockSource {
  /** Places of all stored blocks, in play order. @throws StorageUnavailable */
  places(content: ContentId): Promise<BlockPlace[]>;
  /** @throws ObjectMissing StorageUnavailable */
  read(content: ContentId, place: BlockPlace): Promise<IndexBlock>;
}

/** Blocks read from the store at a time. */
const READ_AT_ONCE = 16;

export function createBlockSource(storage: Pick<ObjectStorage, 'list' | 'read'>): BlockSource {
  return {
    async places(content) {
      const places: BlockPlace[] = [];
      const prefix = indexPrefix(content);
      for await (const { key } of storage.list(prefix)) {
        const place = parsePlace(key.slice(prefix.length));
        if (place !== null) places.push(place);
      }
      return places.sort((a, b) => a.epoch - b.epoch || a.msn - b.msn);
    },
    async read(content, place) {
      const { body } = await storage.read(indexBlockKey(content, place.epoch, place.msn));
      return IndexBlock.parse(JSON.parse(body.toString('utf8')));
    },
  };
}

/**
 * The stored blocks that reach back `segments` media sequence numbers from the newest, newest first, so that the live edge comes soonest.
 * @param onBlocks called with each batch as it arrives
 * @throws StorageUnavailable
 */
export async function readNewestBlocks(
  source: BlockSource,
  content: ContentId,
  segments: number,
  onBlocks: (blocks: IndexBlock[]) => void,
): Promise<void> {
  const places = await source.places(content);
  const last = places.at(-1);
  if (last === undefined) return;
  const wanted = places.filter((place) => place.msn > last.msn - segments - INDEX_BLOCK_SEGMENTS);
  await readPlaces(source, content, wanted.reverse(), onBlocks);
}

/** Blocks at the given places, in that order, some at a time. @throws ObjectMissing StorageUnavailable */
export async function readPlaces(
  source: BlockSource,
  content: ContentId,
  places: readonly BlockPlace[],
  onBlocks: (blocks: IndexBlock[]) => void,
): Promise<void> {
  for (let at = 0; at < places.length; at += READ_AT_ONCE) {
    onBlocks(await Promise.all(places.slice(at, at + READ_AT_ONCE).map((place) => source.read(content, place))));
  }
}

/** `{epoch}-{msn}.json`; other names below the prefix are tables of on-demand renditions. */
function parsePlace(name: string): BlockPlace | null {
  const match = /^(\d{1,9})-(\d{1,12})\.json$/.exec(name);
  return match ? { epoch: Number(match[1]), msn: Number(match[2]) } : null;
}
