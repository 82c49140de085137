// What the stand-in origin holds: addresses that say how long their object is, and its bytes, the same in every process.
import { createCipheriv, createHash } from 'node:crypto';
import { initUri, mediaPlaylistPath, PUBLIC_GRANT, partUri, segmentUri } from '../../platform/contract/routes.ts';

export const EPOCH = 1;
/** Contents of the stand-in. Titles of the catalogue: titleContent(). */
export const contents = {
  fixed: 'BenchFixed000000000001',
  classic: 'BenchClassic0000000001',
  lowLatency: 'BenchLowLatency0000001',
} as const;
/** One segment or part at the top of each of three rungs, or at the one rung there is. */
export const RENDITION = 'v720';
const POOL_BYTES = 16 * 1024 ** 2;

/** Master of the classic stream. */
export const MASTER_PATH = '/BenchClassicMaster0001.m3u8';

/** @param title 0 first */
export const titleContent = (title: number): string => `BenchTitle${String(title).padStart(12, '0')}`;
export const isTitle = (content: string): boolean => content.startsWith('BenchTitle');

/** The writer tag of an object says how many bytes it has. */
export const writerOf = (bytes: number): string => `b${String(bytes).padStart(7, '0')}`;

const folderOf = (content: string, rendition: string): string => `/v/${PUBLIC_GRANT}/${content}/${rendition}`;
export const playlistPath = (content: string, rendition: string = RENDITION): string =>
  mediaPlaylistPath(content, rendition);
export const initPath = (content: string, rendition: string = RENDITION): string =>
  `${folderOf(content, rendition)}/${initUri(EPOCH)}`;
export const segmentPath = (content: string, msn: number, bytes: number, rendition: string = RENDITION): string =>
  `${folderOf(content, rendition)}/${segmentUri(EPOCH, msn, writerOf(bytes))}`;
export const partPath = (
  content: string,
  msn: number,
  part: number,
  bytes: number,
  rendition: string = RENDITION,
): string => `${folderOf(content, rendition)}/${partUri(EPOCH, msn, part, writerOf(bytes))}`;

/** Bytes that the writer tag promises; null: not one of ours. */
export function lengthOfWriter(writer: string): number | null {
  const digits = /^b(\d{7})$/.exec(writer)?.[1];
  return digits === undefined ? null : Number(digits);
}

let pool: Buffer | null = null;

/**
 * The bytes of the object at a path: a window of one pseudo-random pool, at a place that depends on the path. Costs nothing to make.
 * @param length at most 9,999,999
 */
export function bytesOf(path: string, length: number): Buffer {
  pool ??= createCipheriv('aes-128-ctr', Buffer.alloc(16, 'headwater'), Buffer.alloc(16)).update(
    Buffer.alloc(POOL_BYTES),
  );
  const place = createHash('sha256').update(path).digest().readUInt32BE(0) % (POOL_BYTES - length);
  return pool.subarray(place, place + length);
}

/** Strong, from the address alone, so that it agrees over origins. */
export const etagOf = (path: string): string =>
  `"${createHash('sha256').update(path).digest('base64url').slice(0, 24)}"`;

export const sha256Of = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
