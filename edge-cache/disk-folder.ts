// The folder of the disk cache: one file per object in 256 folders. Files are written aside and renamed, so one that is there is whole as
// far as the process goes; what a power cut leaves is found by its checksum. Other files in the folder are left alone.
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { codeOf } from '../platform/runtime/errors.ts';
import { CHECKSUM_BYTES, isName } from './disk-format.ts';
import { DiskFileBroken } from './errors.ts';

export type FoundFile = {
  name: string;
  bytes: number;
  /** Unit: ms since epoch. */
  modifiedAt: number;
};

/** Files by name; each call may reject with what the file system says. */
export interface ObjectFiles {
  /** Calls `found` for every whole file, and removes unfinished ones. Stops early, without an error, when the signal aborts. */
  scan(found: (file: FoundFile) => Promise<void>, signal: AbortSignal): Promise<void>;
  /** @returns bytes of the file */
  write(name: string, head: Buffer, body: Buffer): Promise<number>;
  /**
   * @param bytes of the file
   * @returns head and body, proved
   * @throws DiskFileBroken
   */
  read(name: string, bytes: number): Promise<Buffer>;
  /** No error when it is gone already. */
  remove(name: string): Promise<void>;
}

/** Read, written and summed up at a time, so that a large object holds up nobody. Unit: bytes. */
const SLICE_BYTES = 1024 ** 2;
const PARTIAL = '.partial';
const SUBFOLDER = /^[0-9a-f]{2}$/;
/** Files looked at by one turn of a scan: the thread pool has other callers. */
const SCAN_AT_A_TIME = 16;

/** @param folder made when it is missing */
export function createDiskFolder(folder: string): ObjectFiles {
  const subfolderOf = (name: string): string => join(folder, name.slice(0, 2));
  const pathOf = (name: string): string => join(subfolderOf(name), name);
  return {
    async scan(found, signal) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      for (const subfolder of await readdir(folder)) {
        if (signal.aborted) return;
        if (SUBFOLDER.test(subfolder)) await scanSubfolder(join(folder, subfolder), found, signal);
      }
    },
    async write(name, head, body) {
      await mkdir(subfolderOf(name), { recursive: true, mode: 0o700 });
      const partial = pathOf(name) + PARTIAL;
      try {
        const handle = await open(partial, 'w', 0o600);
        try {
          await writeSummed(handle, [head, body]);
        } finally {
          await handle.close();
        }
        await rename(partial, pathOf(name));
      } catch (thrown) {
        await rm(partial, { force: true });
        throw thrown;
      }
      return head.length + body.length + CHECKSUM_BYTES;
    },
    async read(name, bytes) {
      const handle = await open(pathOf(name), 'r');
      try {
        return await readProved(handle, bytes);
      } finally {
        await handle.close();
      }
    },
    remove: (name) => rm(pathOf(name), { force: true }),
  };
}

async function scanSubfolder(path: string, found: (file: FoundFile) => Promise<void>, signal: AbortSignal) {
  const names = await readdir(path);
  for (let at = 0; at < names.length && !signal.aborted; at += SCAN_AT_A_TIME) {
    const look = names.slice(at, at + SCAN_AT_A_TIME).map(async (name) => {
      const isPartial = name.endsWith(PARTIAL) && isName(name.slice(0, -PARTIAL.length));
      if (isPartial) await rm(join(path, name), { force: true });
      if (!isName(name)) return;
      const facts = await stat(join(path, name)).catch((thrown: unknown) => {
        if (codeOf(thrown) === 'ENOENT') return null;
        throw thrown;
      });
      if (facts?.isFile()) await found({ name, bytes: facts.size, modifiedAt: facts.mtimeMs });
    });
    await Promise.all(look);
  }
}

async function writeSummed(handle: FileHandle, pieces: Buffer[]): Promise<void> {
  let sum = 0;
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; at += SLICE_BYTES) {
      const slice = piece.subarray(at, at + SLICE_BYTES);
      sum = crc32(slice, sum);
      await handle.writeFile(slice);
    }
  }
  const checksum = Buffer.alloc(CHECKSUM_BYTES);
  checksum.writeUInt32BE(sum);
  await handle.writeFile(checksum);
}

async function readProved(handle: FileHandle, bytes: number): Promise<Buffer> {
  const end = bytes - CHECKSUM_BYTES;
  if (end < 0) throw new DiskFileBroken('it is too short');
  // Not from the shared pool: a cached object must not pin its neighbours.
  const file = Buffer.allocUnsafeSlow(bytes);
  let sum = 0;
  for (let at = 0; at < bytes; ) {
    const { bytesRead } = await handle.read(file, at, Math.min(SLICE_BYTES, bytes - at), at);
    if (bytesRead === 0) throw new DiskFileBroken('it ends early');
    sum = crc32(file.subarray(at, Math.max(at, Math.min(at + bytesRead, end))), sum);
    at += bytesRead;
  }
  if (file.readUInt32BE(end) !== sum) throw new DiskFileBroken('its checksum does not fit');
  return file.subarray(0, end);
}
