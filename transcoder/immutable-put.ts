// Puts of objects that never change: on demand and live, whoever stores one first wins, and a key that is taken is as good as stored.
import { ObjectConflict, type ObjectStorage } from '../platform/adapters/storage.ts';
import type { ObjectKey } from '../platform/contract/object-keys.ts';

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
 * @param options `contentType`: another one than the key's ending says
 * @returns whether it was not there yet
 * @throws what the store throws, conflicts excepted
 */
export async function putImmutable(
  storage: Pick<ObjectStorage, 'put'>,
  key: ObjectKey,
  bytes: Uint8Array,
  options: { contentType?: string; signal?: AbortSignal } = {},
): Promise<boolean> {
  const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const base = { bytes: body.length, contentType: contentTypeOf(key), condition: { ifNoneMatch: '*' } as const };
  try {
    await storage.put(key, body, { ...base, ...options });
    return true;
  } catch (thrown) {
    if (!(thrown instanceof ObjectConflict)) throw thrown;
    return false;
  }
}
