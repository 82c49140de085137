// Where a live worker puts what it makes: the object store, or its own disk while the store is away (live-spool.ts). Whoever publishes
// asks for this and learns where viewers find the object until it is stored.
import { ObjectConflict, type ObjectStorage } from '../platform/adapters/storage.ts';
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

const CONTENT_TYPES: readonly [ending: string, type: string][] = [
  ['.m4s', 'video/mp4'],
  ['.mp4', 'video/mp4'],
  ['.json', 'application/json'],
  ['.jpg', 'image/jpeg'],
  ['.vtt', 'text/vtt'],
];

/** Content type of a media object, by the ending of its key. */
export const contentTypeOf = (key: string): string =>
  CONTENT_TYPES.find(([ending]) => key.endsWith(ending))?.[1] ?? 'application/octet-stream';

/**
 * Puts an immutable object; one that is there already is the same one, stored by a try whose answer was lost.
 * @throws what the store throws, conflicts excepted
 */
export async function putImmutable(
  storage: Pick<ObjectStorage, 'put'>,
  key: ObjectKey,
  bytes: Uint8Array,
  signal?: AbortSignal,
): Promise<void> {
  const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const base = { bytes: body.length, contentType: contentTypeOf(key), condition: { ifNoneMatch: '*' } as const };
  try {
    await storage.put(key, body, signal === undefined ? base : { ...base, signal });
  } catch (thrown) {
    if (!(thrown instanceof ObjectConflict)) throw thrown;
  }
}

/** The store alone, without a disk behind it. */
export const storeOnly = (storage: Pick<ObjectStorage, 'put' | 'read'>): MediaStore => ({
  async put(key, bytes) {
    await putImmutable(storage, key, bytes);
    return 'store';
  },
  read: async (key) => (await storage.read(key)).body,
  isWaiting: () => false,
  waiting: () => 0,
  settle: async () => 0,
});
