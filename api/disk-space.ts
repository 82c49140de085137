// Refuses an upload that would fill the disk, before a byte of it is accepted.
import { statfs } from 'node:fs/promises';
import { codeOf } from '../platform/runtime/errors.ts';
import { DiskLow } from './errors.ts';

/** @throws DiskLow when the reserve would be touched by `bytes` more */
export type SpaceCheck = (bytes: number) => Promise<void>;

/** Free bytes for this user in the file system of a folder; null when the folder does not exist. */
export async function freeBytesAt(folder: string): Promise<number | null> {
  try {
    const stats = await statfs(folder);
    return stats.bavail * stats.bsize;
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return null;
    throw thrown;
  }
}

/** @param sources each answers free bytes, or null where that cannot be known */
export const createSpaceCheck =
  (reserveBytes: number, sources: (() => Promise<number | null>)[]): SpaceCheck =>
  async (bytes) => {
    for (const source of sources) {
      const free = await source();
      if (free !== null && free < reserveBytes + bytes) throw new DiskLow();
    }
  };
