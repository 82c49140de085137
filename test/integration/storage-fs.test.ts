// The fs driver: the shared suite, and what only a folder can show.
import { access, mkdir, readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { beforeAll, describe, expect, test } from 'vitest';
import { ObjectConflict, type StorageSettings } from '../../platform/adapters/storage.ts';
import { createFsStorage } from '../../platform/adapters/storage-fs.ts';
import type { ObjectKey } from '../../platform/contract/object-keys.ts';
import { fsSettings } from '../support/fs-settings.ts';
import { storageSuite } from '../support/storage-suite.ts';
import { tempDir } from '../support/temp.ts';

const json = { contentType: 'application/json' };

describe('fs storage', () => {
  let settings: StorageSettings;
  beforeAll(async () => {
    settings = fsSettings(await tempDir('fs-suite'));
  });
  storageSuite(() => settings);
});

describe('fs storage on disk', () => {
  const record = 'records/asset/AAAAAAAAAAAAAAAAAAAAAA' as ObjectKey;
  const put = (storage: ReturnType<typeof createFsStorage>, text: string, ifMatch?: string) =>
    storage.put(record, Buffer.from(text), {
      bytes: text.length,
      ...json,
      ...(ifMatch ? { condition: { ifMatch } } : {}),
    });

  test('keeps the newest two versions; a used number is never free again', async () => {
    const root = await tempDir('fs-versions');
    const storage = createFsStorage(root);
    for (let i = 1; i <= 5; i += 1) await put(storage, `value ${i}`);
    const folder = join(root, record);
    expect((await readdir(folder)).sort()).toEqual(['v1', 'v2', 'v3', 'v4', 'v5']);
    const texts = await Promise.all([1, 2, 3, 4, 5].map((n) => readFile(join(folder, `v${n}`), 'utf8')));
    expect(texts).toEqual(['', '', '', 'value 4', 'value 5']);
  });
  test('a deletion is a version: an ETag from before it never fits again', async () => {
    const storage = createFsStorage(await tempDir('fs-tombstone'));
    const before = await put(storage, 'one');
    await storage.delete([record]);
    await put(storage, 'two');
    await expect(put(storage, 'three', before)).rejects.toThrow(ObjectConflict);
    await expect(put(storage, 'three', '"v2"')).rejects.toThrow(ObjectConflict);
    await put(storage, 'three', '"v3"');
  });
  test('leaves no temporary file, whatever happened', async () => {
    const root = await tempDir('fs-temp');
    const storage = createFsStorage(root);
    const media = 'media/x/v240/0/init.mp4' as ObjectKey;
    await storage.put(media, Buffer.from('abc'), { bytes: 3, contentType: 'video/mp4' });
    const failing = Readable.from([Buffer.from('ab')]);
    await expect(storage.put(media, failing, { bytes: 3, contentType: 'video/mp4' })).rejects.toThrow();
    await put(storage, 'one');
    await put(storage, 'two');
    await expect(put(storage, 'three', '"v9"')).rejects.toThrow(ObjectConflict);
    await storage.delete([record]);
    expect(await readdir(join(root, '.tmp'))).toEqual([]);
    expect((await storage.read(media)).body.toString()).toBe('abc');
  });
  test('sweeps what killed processes left, not what others are writing', async () => {
    const root = await tempDir('fs-sweep');
    await mkdir(join(root, '.tmp'), { recursive: true });
    await writeFile(join(root, '.tmp', 'old'), 'x');
    await writeFile(join(root, '.tmp', 'new'), 'x');
    const longAgo = new Date(Date.now() - 7_200_000);
    await utimes(join(root, '.tmp', 'old'), longAgo, longAgo);
    await createFsStorage(root).prove();
    expect(await readdir(join(root, '.tmp'))).toEqual(['new']);
  });
  test('removes folders that became empty', async () => {
    const root = await tempDir('fs-empty');
    const storage = createFsStorage(root);
    const keys = ['media/x/v240/0/init.mp4', 'media/x/v240/0/s0.aaaa.m4s'] as ObjectKey[];
    for (const key of keys) await storage.put(key, Buffer.from('x'), { bytes: 1, contentType: 'video/mp4' });
    await storage.delete(keys);
    await expect(access(join(root, 'media'))).rejects.toThrow();
  });
  test('knows the free space', async () => {
    const free = await createFsStorage(await tempDir('fs-free')).freeBytes();
    expect(free).toBeGreaterThan(0);
  });
});
