// Where a live worker puts what it makes when a test gives it no disk: the store alone.
import type { ObjectStorage } from '../../platform/adapters/storage.ts';
import { putImmutable } from '../../transcoder/immutable-put.ts';
import type { MediaStore } from '../../transcoder/live-media-store.ts';

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
