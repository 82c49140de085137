// Chunks put together: order, holes, ends.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { newId, type UploadId } from '../platform/contract/ids.ts';
import { type ObjectKey, uploadChunkKey } from '../platform/contract/object-keys.ts';
import { MediaRefused, SourceIncomplete } from './errors.ts';
import { downloadSource, listChunks, type SourceStore, sizeOf } from './vod-source.ts';

const upload = newId<UploadId>();
const signal = new AbortController().signal;
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'headwater-source-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A store of chunks; `cut` loses the last byte of every body. */
function storeOf(chunks: Record<number, string>, cut = false): SourceStore {
  const entries = Object.entries(chunks).map(([offset, text]) => ({
    key: uploadChunkKey(upload, Number(offset)),
    text,
  }));
  return {
    async *list() {
      for (const { key, text } of entries) yield { key, bytes: text.length };
    },
    async get(key: ObjectKey) {
      const text = entries.find((entry) => entry.key === key)?.text ?? '';
      const head = { bytes: text.length, etag: 'e', contentType: 'x', modifiedAt: 0 };
      return { head, body: Readable.from([Buffer.from(cut ? text.slice(0, -1) : text)]) };
    },
  };
}

describe('listChunks', () => {
  it('orders chunks and adds them up', async () => {
    const chunks = await listChunks(storeOf({ 4: 'efg', 0: 'abcd' }), upload, 7, signal);
    expect(chunks.map((chunk) => chunk.offset)).toEqual([0, 4]);
    expect(sizeOf(chunks)).toBe(7);
  });
  it.each([
    ['nothing is stored', {}, null, MediaRefused],
    ['a chunk is missing at the start', { 4: 'efg' }, null, SourceIncomplete],
    ['a chunk is missing in between', { 0: 'abcd', 5: 'fg' }, null, SourceIncomplete],
    ['chunks overlap', { 0: 'abcd', 3: 'de' }, null, SourceIncomplete],
    ['the end is missing', { 0: 'abcd' }, 7, SourceIncomplete],
  ])('refuses when %s', async (_name, chunks, length, error) => {
    await expect(listChunks(storeOf(chunks), upload, length, signal)).rejects.toThrow(error);
  });
});

describe('downloadSource', () => {
  it('writes one file and answers its head', async () => {
    const store = storeOf({ 0: 'abcd', 4: 'efg' });
    const head = await downloadSource(store, await listChunks(store, upload, null, signal), folder, signal);
    expect(head.toString()).toBe('abcdefg');
    expect(await readFile(join(folder, 'source'), 'utf8')).toBe('abcdefg');
  });
  it('notices a chunk that ends early', async () => {
    const store = storeOf({ 0: 'abcd' }, true);
    const chunks = await listChunks(store, upload, null, signal);
    await expect(downloadSource(store, chunks, folder, signal)).rejects.toThrow(SourceIncomplete);
  });
});
