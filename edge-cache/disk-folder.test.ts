// Files of the disk cache in a real folder: whole or not there, proved at each read, nothing of anybody else's touched.
import { randomBytes } from 'node:crypto';
import { appendFile, mkdir, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { tempDir } from '../test/support/temp.ts';
import { createDiskFolder, type FoundFile, type ObjectFiles } from './disk-folder.ts';
import { decodeObject, encodeHead, nameOf } from './disk-format.ts';
import type { CachedObject } from './memory-store.ts';

const KEY = '/v/content/v720/1/s7.writer.m4s';
const NAME = nameOf(KEY);
const clocks = { now: () => 5_000, wallMs: () => 1_700_000_000_000 };
const object = (body: Buffer): CachedObject => ({
  headers: { 'content-type': 'video/mp4', etag: '"e"' },
  body,
  etag: '"e"',
  arrivedMs: 2_000,
  freshUntilMs: 90_000,
  staleUntilMs: 100_000,
});

async function written(body: Buffer) {
  const folder = await tempDir('disk-folder');
  const files = createDiskFolder(folder);
  const bytes = await files.write(NAME, encodeHead(KEY, object(body), clocks), body);
  return { folder, files, bytes, path: join(folder, NAME.slice(0, 2), NAME) };
}

async function scanned(files: ObjectFiles): Promise<FoundFile[]> {
  const found: FoundFile[] = [];
  await files.scan(async (file) => void found.push(file), new AbortController().signal);
  return found;
}

describe('a file', () => {
  it.each([0, 1, 1024 ** 2, 2 * 1024 ** 2 + 7])('of %d bytes comes back as it was', async (length) => {
    const body = randomBytes(length);
    const { files, bytes } = await written(body);
    const read = decodeObject(KEY, await files.read(NAME, bytes), clocks);
    expect(read.body.equals(body)).toBe(true);
    expect({ ...read, body: null }).toEqual({ ...object(body), body: null });
  });

  it('says its age and its time to the next process, whose clock begins anew', async () => {
    const { files, bytes } = await written(Buffer.from('x'));
    const file = await files.read(NAME, bytes);
    const later = { now: () => 100, wallMs: () => 1_700_000_060_000 };
    expect(decodeObject(KEY, file, later)).toMatchObject({ arrivedMs: -62_900, freshUntilMs: 25_100 });
    const setBack = { now: () => 100, wallMs: () => 1_600_000_000_000 };
    expect(decodeObject(KEY, file, setBack)).toMatchObject({ arrivedMs: 100, freshUntilMs: 88_100 });
  });

  it('is refused under another key', async () => {
    const { files, bytes } = await written(Buffer.from('x'));
    const file = await files.read(NAME, bytes);
    expect(() => decodeObject('/v/other/v720/1/s7.writer.m4s', file, clocks)).toThrow('another object');
  });

  it('is refused with any bit changed', async () => {
    const { files, bytes, path } = await written(randomBytes(2_000));
    const good = await readFile(path);
    for (let at = 0; at < good.length; at += 97) {
      const bad = Buffer.from(good);
      bad[at] = (bad[at] ?? 0) ^ (1 << (at % 8));
      await writeFile(path, bad);
      await expect(files.read(NAME, bytes)).rejects.toThrow('checksum');
    }
  });

  it.each([
    ['cut', (path: string) => truncate(path, 1_000), 'ends early'],
    ['emptied', (path: string) => truncate(path, 0), 'ends early'],
  ])('is refused when %s', async (_name, spoil, message) => {
    const { files, bytes, path } = await written(randomBytes(2_000));
    await spoil(path);
    await expect(files.read(NAME, bytes)).rejects.toThrow(message);
  });

  it.each([
    ['nothing', Buffer.alloc(0), 'another form'],
    ['another mark', Buffer.from('ABCD\0\0\0\0'), 'another form'],
    ['a head longer than the file', Buffer.from('HWE1\0\0\x7f\xff{}', 'latin1'), 'too long'],
    ['a head that is no JSON', Buffer.from('HWE1\0\0\0\x02{]body'), 'makes no sense'],
    ['a head without its fields', Buffer.from('HWE1\0\0\0\x02{}body'), 'makes no sense'],
  ])('whose checksum fits but that holds %s is refused', (_name, file, message) => {
    expect(() => decodeObject(KEY, file, clocks)).toThrow(message);
  });
});

describe('a folder', () => {
  it('shows whole files, removes unfinished ones and leaves alone what is not its own', async () => {
    const { folder, files, bytes, path } = await written(Buffer.from('x'));
    await writeFile(`${path}.partial`, 'half');
    await writeFile(join(folder, 'letter.txt'), 'mine');
    await writeFile(join(folder, NAME.slice(0, 2), 'letter.partial'), 'mine');
    await mkdir(join(folder, 'photos'));
    expect(await scanned(files)).toEqual([{ name: NAME, bytes, modifiedAt: expect.any(Number) }]);
    expect((await readdir(folder)).sort()).toEqual([NAME.slice(0, 2), 'letter.txt', 'photos'].sort());
    expect((await readdir(join(folder, NAME.slice(0, 2)))).sort()).toEqual([NAME, 'letter.partial'].sort());
  });

  it('is made when it is missing, and again when somebody takes it away', async () => {
    const files = createDiskFolder(join(await tempDir('disk-folder'), 'not', 'yet'));
    expect(await scanned(files)).toEqual([]);
    expect(await files.write(NAME, Buffer.from('head'), Buffer.from('body'))).toBe(12);
    expect((await files.read(NAME, 12)).toString()).toBe('headbody');
  });

  it('holds nothing of a write that failed', async () => {
    const { folder, files, path } = await written(Buffer.from('x'));
    await files.remove(NAME);
    await mkdir(path);
    await appendFile(join(path, 'in the way'), '');
    await expect(files.write(NAME, Buffer.from('head'), Buffer.from('body'))).rejects.toThrow();
    expect(await readdir(join(folder, NAME.slice(0, 2)))).toEqual([NAME]);
  });

  it('forgets a file twice without an error', async () => {
    const { files } = await written(Buffer.from('x'));
    await files.remove(NAME);
    await files.remove(NAME);
    expect(await scanned(files)).toEqual([]);
  });
});
