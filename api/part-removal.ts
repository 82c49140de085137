// Parts of ended broadcasts: once no viewer is at the live edge any more, whole segments are enough.
import type { Records } from '../platform/adapters/records.ts';
import type { ObjectStorage } from '../platform/adapters/storage.ts';
import type { ContentId } from '../platform/contract/ids.ts';
import { type ObjectKey, partsPrefix } from '../platform/contract/object-keys.ts';
import type { BroadcastRecord } from '../platform/contract/records.ts';

/** Longest that a viewer may still ask for a part after the end. Unit: ms. */
export const PARTS_KEPT_MS = 60_000;
/** Objects deleted in one round: other repairs wait meanwhile. */
const PER_ROUND = 2_000;

export type PartRemovalDeps = {
  storage: Pick<ObjectStorage, 'list' | 'delete'>;
  records: Pick<Records, 'update'>;
  removeTimeline: (content: ContentId) => Promise<void>;
};

/**
 * One round of deleting the parts of an ended broadcast, with its timeline in Redis at the last one.
 * @param limit objects of this round
 * @returns whether all are gone, which the record then says
 * @throws StorageUnavailable RedisUnavailable: call it again
 */
export async function removeParts(
  deps: PartRemovalDeps,
  broadcast: BroadcastRecord,
  limit: number = PER_ROUND,
): Promise<boolean> {
  const keys: ObjectKey[] = [];
  for await (const key of partsOf(deps.storage, broadcast)) {
    keys.push(key);
    if (keys.length >= limit) break;
  }
  if (keys.length > 0) await deps.storage.delete(keys);
  if (keys.length >= limit) return false;
  await deps.removeTimeline(broadcast.content_id);
  await deps.records.update('broadcast', broadcast.id, (record) =>
    record.parts_removed_at === undefined ? { ...record, parts_removed_at: Date.now() } : null,
  );
  return true;
}

async function* partsOf(
  storage: PartRemovalDeps['storage'],
  { content_id: content, epochs }: BroadcastRecord,
): AsyncIterable<ObjectKey> {
  for (const { epoch, renditions } of epochs)
    for (const { name: rendition } of renditions)
      for await (const { key } of storage.list(partsPrefix({ content, rendition, epoch }))) yield key;
}
