// Puts the chunks of an upload together as one file in the job's folder.
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { ObjectStorage } from '../platform/adapters/storage.ts';
import type { UploadId } from '../platform/contract/ids.ts';
import { type ObjectKey, uploadPrefix } from '../platform/contract/object-keys.ts';
import { MediaRefused, SourceIncomplete } from './errors.ts';
import { SOURCE_FILE } from './ffmpeg-args.ts';
import { SNIFF_BYTES } from './sniff.ts';

export type SourceStore = Pick<ObjectStorage, 'list' | 'get'>;
export type Chunk = { key: ObjectKey; offset: number; bytes: number };

/**
 * Chunks of an upload in order.
 * @param length declared length of the upload, null when unknown. Unit: bytes
 * @throws MediaRefused when nothing is stored; SourceIncomplete when bytes are missing in between or at the end
 */
export async function listChunks(
  store: SourceStore,
  upload: UploadId,
  length: number | null,
  signal: AbortSignal,
): Promise<Chunk[]> {
  const prefix = uploadPrefix(upload);
  const chunks: Chunk[] = [];
  for await (const entry of store.list(prefix, { signal })) {
    const offset = Number(entry.key.slice(prefix.length));
    if (Number.isSafeInteger(offset)) chunks.push({ key: entry.key, offset, bytes: entry.bytes });
  }
  chunks.sort((a, b) => a.offset - b.offset);
  if (chunks.length === 0) throw new MediaRefused('SOURCE_MISSING', 'the uploaded bytes are no longer stored');
  let end = 0;
  for (const chunk of chunks) {
    if (chunk.offset !== end) throw new SourceIncomplete(`bytes ${end} to ${chunk.offset} are missing`);
    end += chunk.bytes;
  }
  if (length !== null && end !== length) throw new SourceIncomplete(`${end} of ${length} bytes are stored`);
  return chunks;
}

/** Bytes of all chunks. */
export const sizeOf = (chunks: readonly Chunk[]): number => chunks.reduce((sum, chunk) => sum + chunk.bytes, 0);

/**
 * Downloads the chunks into the folder's source file, one after another, in constant memory.
 * @returns the file's first bytes, for sniffContainer
 * @throws ObjectMissing StorageUnavailable SourceIncomplete
 */
export async function downloadSource(
  store: SourceStore,
  chunks: readonly Chunk[],
  filesFolder: string,
  signal: AbortSignal,
): Promise<Buffer> {
  const file = await open(join(filesFolder, SOURCE_FILE), 'wx+', 0o600);
  try {
    let at = 0;
    for (const chunk of chunks) {
      const { body } = await store.get(chunk.key, { signal });
      for await (const piece of body) {
        await file.write(piece as Buffer, 0, undefined, at);
        at += (piece as Buffer).length;
      }
      if (at !== chunk.offset + chunk.bytes) throw new SourceIncomplete(`chunk ${chunk.offset} ended early`);
    }
    const head = Buffer.alloc(Math.min(SNIFF_BYTES, at));
    await file.read(head, 0, head.length, 0);
    return head;
  } finally {
    await file.close();
  }
}
