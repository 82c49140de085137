// Bytes in, objects out: sizes, offsets, tails, limits, races.
import { describe, expect, test } from 'vitest';
import type { UploadId } from '../platform/contract/ids.ts';
import { memoryStorage } from '../test/support/api-parts.ts';
import { UploadOffsetConflict, UploadTooLarge } from './errors.ts';
import { readChain, removeChunks, UPLOAD_CHUNK_BYTES, writeChunks } from './upload-chunks.ts';

const UPLOAD = 'U'.repeat(22) as UploadId;
const write = (offset: number, limitBytes = 1e9) => ({ upload: UPLOAD, offset, limitBytes, onStored: () => undefined });
async function* body(...pieces: (string | Buffer | Error)[]): AsyncIterable<Buffer> {
  for (const piece of pieces) {
    if (piece instanceof Error) throw piece;
    yield Buffer.from(piece);
  }
}
const key = (offset: number) => `uploads/${UPLOAD}/${String(offset).padStart(15, '0')}`;

test('objects have 8 MiB, the last one the rest', async () => {
  const storage = memoryStorage();
  const megabyte = Buffer.alloc(1024 * 1024 + 1, 7);
  const stored: number[] = [];
  const end = await writeChunks(storage, body(...Array(17).fill(megabyte)), {
    ...write(0),
    onStored: (bytes) => stored.push(bytes),
  });
  expect(end).toBe(17 * megabyte.byteLength);
  expect(stored).toEqual([UPLOAD_CHUNK_BYTES, UPLOAD_CHUNK_BYTES, end - 2 * UPLOAD_CHUNK_BYTES]);
  expect(await readChain(storage, UPLOAD)).toEqual({ offset: end, strays: [] });
});

test('a piece larger than an object is split', async () => {
  const storage = memoryStorage();
  await writeChunks(storage, body(Buffer.alloc(UPLOAD_CHUNK_BYTES * 2 + 5)), write(0));
  expect([...storage.objects.keys()]).toEqual([key(0), key(UPLOAD_CHUNK_BYTES), key(2 * UPLOAD_CHUNK_BYTES)]);
});

test('a body that breaks off leaves its tail stored', async () => {
  const storage = memoryStorage();
  const broken = new Error('connection lost');
  await expect(writeChunks(storage, body('abc', 'def', broken), write(0))).rejects.toBe(broken);
  expect(await readChain(storage, UPLOAD)).toEqual({ offset: 6, strays: [] });
  expect(await writeChunks(storage, body('ghi'), write(6))).toBe(9);
});

test('nothing is stored beyond the limit', async () => {
  const storage = memoryStorage();
  await expect(writeChunks(storage, body('12345', '678901'), write(0, 10))).rejects.toBeInstanceOf(UploadTooLarge);
  expect((await readChain(storage, UPLOAD)).offset).toBe(5);
});

test('of two writers at one offset one stops', async () => {
  const storage = memoryStorage();
  await writeChunks(storage, body('first'), write(0));
  await expect(writeChunks(storage, body('other'), write(0))).rejects.toBeInstanceOf(UploadOffsetConflict);
  expect(storage.objects.get(key(0))?.toString()).toBe('first');
});

describe('the chain', () => {
  test('ends at the first gap; what lies beyond is stray', async () => {
    const storage = memoryStorage();
    for (const [offset, text] of [
      [0, 'abc'],
      [3, 'de'],
      [9, 'late'],
    ] as const)
      storage.objects.set(key(offset), Buffer.from(text));
    expect(await readChain(storage, UPLOAD)).toEqual({ offset: 5, strays: [key(9)] });
  });

  test('of nothing is empty, and removal leaves nothing', async () => {
    const storage = memoryStorage();
    expect(await readChain(storage, UPLOAD)).toEqual({ offset: 0, strays: [] });
    await writeChunks(storage, body('abc'), write(0));
    await removeChunks(storage, UPLOAD);
    expect(storage.objects.size).toBe(0);
  });
});
