// The start-up proof: a store that does not keep conditional writes would lose records silently, so it is refused.

import { randomText } from '../contract/ids.ts';
import type { ObjectKey } from '../contract/object-keys.ts';
import { ObjectConflict, type ObjectStorage, type PutCondition, StorageUnfit } from './storage.ts';

/**
 * Runs the conditional table on a fresh key: new key, taken key, right ETag, stale ETag, ETag on a missing key, delete.
 * @returns the key it used, deleted again
 * @throws StorageUnfit naming the rule that did not hold; StorageUnavailable when the store does not answer
 */
export async function proveStorage(storage: ObjectStorage): Promise<ObjectKey> {
  const key = `records/proof/${randomText(22)}` as ObjectKey;
  const put = (text: string, condition?: PutCondition) => {
    const body = Buffer.from(text);
    return storage.put(key, body, {
      bytes: body.length,
      contentType: 'application/json',
      ...(condition ? { condition } : {}),
    });
  };
  const refuses = async (rule: string, condition: PutCondition) => {
    try {
      await put('"stale"', condition);
    } catch (thrown) {
      if (thrown instanceof ObjectConflict) return;
      throw thrown;
    }
    throw new StorageUnfit(`it accepted ${rule}`);
  };
  try {
    await refuses('If-Match on a key that does not exist', { ifMatch: '"00000000000000000000000000000000"' });
    const first = await put('"first"', { ifNoneMatch: '*' });
    await refuses('If-None-Match on a key that exists', { ifNoneMatch: '*' });
    const second = await put('"second"', { ifMatch: first });
    if (second === first) throw new StorageUnfit('two contents of one key have the same ETag');
    await refuses('If-Match with an old ETag', { ifMatch: first });
    const stored = await storage.read(key);
    if (stored.body.toString() !== '"second"' || stored.etag !== second) {
      throw new StorageUnfit('it does not read back what it acknowledged');
    }
  } finally {
    // A leftover of a few bytes is no reason to hide what went wrong above.
    await storage.delete([key]).catch(() => undefined);
  }
  return key;
}
