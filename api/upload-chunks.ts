// The bytes of an upload as objects of at most 8 MiB. The listing is the truth: what is listed is durable, its end is the offset.

import { ObjectConflict, type ObjectStorage } from '../platform/adapters/storage.ts';
import type { UploadId } from '../platform/contract/ids.ts';
import { type ObjectKey, uploadChunkKey, uploadPrefix } from '../platform/contract/object-keys.ts';
import { UploadOffsetConflict, UploadTooLarge } from './errors.ts';

/** Largest object of an upload. Unit: bytes. */
export const UPLOAD_CHUNK_BYTES = 8 * 1024 * 1024;

/** What is stored: `offset` ends the unbroken chain from byte 0; `strays` are objects outside of it. */
export type UploadChain = { offset: number; strays: ObjectKey[] };

export type ChunkStorage = Pick<ObjectStorage, 'put' | 'list' | 'delete'>;

/** Reads the chain from the listing; keys are zero-padded, so they come in order. */
export async function readChain(storage: ChunkStorage, upload: UploadId): Promise<UploadChain> {
  let offset = 0;
  const strays: ObjectKey[] = [];
  for await (const entry of storage.list(uploadPrefix(upload))) {
    if (entry.key === uploadChunkKey(upload, offset)) offset += entry.bytes;
    else strays.push(entry.key);
  }
  return { offset, strays };
}

/** Removes every byte of an upload. */
export async function removeChunks(storage: ChunkStorage, upload: UploadId): Promise<void> {
  const keys: ObjectKey[] = [];
  for await (const entry of storage.list(uploadPrefix(upload))) keys.push(entry.key);
  if (keys.length > 0) await storage.delete(keys);
}

export type ChunkWrite = {
  upload: UploadId;
  /** End of the stored chain; the first byte of `body` belongs here. */
  offset: number;
  /** The upload may not grow beyond this. Unit: bytes. */
  limitBytes: number;
  /** Called with each amount made durable. */
  onStored: (bytes: number) => void;
};

/**
 * Stores a body object by object, one in memory at a time. When the body breaks off, the tail that arrived is stored too.
 * Every put is If-None-Match `*`: of two writers at one offset one stops here, whatever the locks say.
 * @returns the new offset
 * @throws UploadOffsetConflict UploadTooLarge, or what the body or the store threw
 */
export async function writeChunks(
  storage: ChunkStorage,
  body: AsyncIterable<Uint8Array>,
  write: ChunkWrite,
): Promise<number> {
  let offset = write.offset;
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  const flush = async () => {
    if (pendingBytes === 0) return;
    const bytes = pendingBytes;
    const chunk = Buffer.concat(pending, bytes);
    pending = [];
    pendingBytes = 0;
    await putChunk(storage, write.upload, offset, chunk);
    offset += bytes;
    write.onStored(bytes);
  };
  try {
    for await (const piece of body) {
      if (offset + pendingBytes + piece.byteLength > write.limitBytes) throw new UploadTooLarge(write.limitBytes);
      let rest = piece;
      while (rest.byteLength > 0) {
        const part = rest.subarray(0, UPLOAD_CHUNK_BYTES - pendingBytes);
        pending.push(part);
        pendingBytes += part.byteLength;
        rest = rest.subarray(part.byteLength);
        if (pendingBytes === UPLOAD_CHUNK_BYTES) await flush();
      }
    }
  } finally {
    await flush();
  }
  return offset;
}

async function putChunk(storage: ChunkStorage, upload: UploadId, offset: number, chunk: Buffer): Promise<void> {
  try {
    await storage.put(uploadChunkKey(upload, offset), chunk, {
      bytes: chunk.byteLength,
      contentType: 'application/octet-stream',
      condition: { ifNoneMatch: '*' },
    });
  } catch (thrown) {
    if (thrown instanceof ObjectConflict) throw new UploadOffsetConflict(offset);
    throw thrown;
  }
}
