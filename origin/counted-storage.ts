// The store as an origin reads it, with its failures counted. A missing object is an answer, not a failure.
import { ObjectMissing, type ObjectStorage } from '../platform/adapters/storage.ts';

export type ReadStorage = Pick<ObjectStorage, 'get' | 'read' | 'head' | 'list'>;

/** @param failed called once for each read that the store failed or left unanswered until the caller gave up waiting */
export function countedStorage(storage: ReadStorage, failed: () => void): ReadStorage {
  const counted = async <T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> => {
    try {
      return await work;
    } catch (thrown) {
      if (!(thrown instanceof ObjectMissing) && !signal?.aborted) failed();
      throw thrown;
    }
  };
  return {
    get: (key, options) => counted(storage.get(key, options), options?.signal),
    read: (key, options) => counted(storage.read(key, options), options?.signal),
    head: (key, options) => counted(storage.head(key, options), options?.signal),
    async *list(prefix, options) {
      try {
        yield* storage.list(prefix, options);
      } catch (thrown) {
        failed();
        throw thrown;
      }
    },
  };
}
