// The slate: a picture that stands in while nobody publishes. What it is is decided by its first bytes, never by what the sender says.
import type { ObjectStorage } from '../platform/adapters/storage.ts';
import type { StreamId } from '../platform/contract/ids.ts';
import { slateKey } from '../platform/contract/object-keys.ts';
import { RequestInvalid } from './errors.ts';

type SlateType = 'image/jpeg' | 'image/png';
/** Largest picture. Unit: bytes. */
export const SLATE_BYTES = 2 * 1024 * 1024;

const JPEG = Buffer.from([0xff, 0xd8, 0xff]);
const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const startsWith = (bytes: Buffer, magic: Buffer): boolean => bytes.subarray(0, magic.length).equals(magic);

/** Null for anything but a JPEG or PNG. */
function slateTypeOf(bytes: Buffer): SlateType | null {
  if (startsWith(bytes, JPEG)) return 'image/jpeg';
  return startsWith(bytes, PNG) ? 'image/png' : null;
}

/**
 * Puts the picture in place of an earlier one.
 * @throws RequestInvalid StorageUnavailable StorageFull
 */
export async function storeSlate(
  storage: Pick<ObjectStorage, 'put'>,
  stream: StreamId,
  picture: Buffer,
): Promise<void> {
  const type = slateTypeOf(picture);
  if (type === null) throw new RequestInvalid(['the slate must be a JPEG or PNG picture']);
  await storage.put(slateKey(stream), picture, { bytes: picture.length, contentType: type });
}
