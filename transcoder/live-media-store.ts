// Where a live worker puts what it makes: the object store, or its own disk while the store is away (live-spool.ts). Whoever publishes
// asks for this and learns where viewers find the object until it is stored.
import type { ContentId } from '../platform/contract/ids.ts';
import type { ObjectKey } from '../platform/contract/object-keys.ts';

/** `store`: durable under its key. `worker`: on this worker's disk, served at workerObjectPath until it is stored, in order, later. */
export type PlacedAt = 'store' | 'worker';

export interface MediaStore {
  /**
   * Stores an immutable object under If-None-Match `*`; a key that is taken counts as stored.
   * @throws StorageUnavailable SpoolFull when neither the store nor the disk takes it: nothing is accepted, the caller tries again
   */
  put(key: ObjectKey, bytes: Uint8Array): Promise<PlacedAt>;
  /** An object whole, from here while it waits, else from the store. @throws ObjectMissing StorageUnavailable */
  read(key: ObjectKey): Promise<Buffer>;
  /** The object was accepted here and is not in the store yet. */
  isWaiting(key: ObjectKey): boolean;
  /** Objects of a content that are not in the store yet. */
  waiting(content: ContentId): number;
  /**
   * Waits until all of a content's objects are in the store.
   * @param limitMs longest wait
   * @returns objects that still wait
   */
  settle(content: ContentId, limitMs: number): Promise<number>;
}
