// How an object lies in its file: mark, length of the head, head (JSON), body, CRC-32 of all before it. Nothing of it comes from a viewer:
// the file's name is a hash of the cache key, and the key itself stands inside, to be compared at each read.
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { DiskFileBroken } from './errors.ts';
import type { CachedObject } from './memory-store.ts';

/** Another number when the form of the file changes: older files are then dropped. */
const MARK = Buffer.from('HWE1');
const PREFIX_BYTES = MARK.length + 4;
/** CRC-32 at the end of the file, big-endian. */
export const CHECKSUM_BYTES = 4;
const MAX_HEAD_BYTES = 65_536;

const Head = z.strictObject({
  key: z.string(),
  headers: z.record(z.string(), z.string()),
  etag: z.string().nullable(),
  /** Clock time, so that it means something to the next process. Unit: ms since epoch. */
  arrivedAt: z.number(),
  /** From the arrival. Unit: ms. */
  freshMs: z.number(),
  /** From the arrival. Unit: ms. */
  staleMs: z.number(),
  bodyBytes: z.number().int(),
});

/** The process's own clock and the wall's. Unit: ms. */
export type Clocks = { now(): number; wallMs(): number };

const NAME = /^[0-9a-f]{40}$/;

const hashOf = (text: string, digits: number): string =>
  createHash('sha256').update(text).digest('hex').slice(0, digits);

/** End of the names of all files of one content (or of the first part of any other path), so that a purge finds them without opening any. */
export const endingOf = (content: string): string => hashOf(content, 16);

/** Name of the file of a cache key, `/v/{content}/...`: 40 hexadecimal digits. */
export const nameOf = (key: string): string => hashOf(key, 24) + endingOf(key.split('/', 3)[2] ?? '');

export const isName = (text: string): boolean => NAME.test(text);

/** Everything before the body. */
export function encodeHead(key: string, object: CachedObject, clocks: Clocks): Buffer {
  const head: z.infer<typeof Head> = {
    key,
    headers: object.headers,
    etag: object.etag,
    arrivedAt: clocks.wallMs() - (clocks.now() - object.arrivedMs),
    freshMs: object.freshUntilMs - object.arrivedMs,
    staleMs: object.staleUntilMs - object.arrivedMs,
    bodyBytes: object.body.length,
  };
  const text = Buffer.from(JSON.stringify(head));
  const prefix = Buffer.alloc(PREFIX_BYTES);
  MARK.copy(prefix);
  prefix.writeUInt32BE(text.length, MARK.length);
  return Buffer.concat([prefix, text]);
}

/**
 * The object in a file whose checksum has been proved.
 * @param file head and body, without the checksum
 * @throws DiskFileBroken when it is of another form, or of another key
 */
export function decodeObject(key: string, file: Buffer, clocks: Clocks): CachedObject {
  if (file.length < PREFIX_BYTES || !file.subarray(0, MARK.length).equals(MARK))
    throw new DiskFileBroken('it has another form');
  const bodyFrom = PREFIX_BYTES + file.readUInt32BE(MARK.length);
  if (bodyFrom > Math.min(file.length, PREFIX_BYTES + MAX_HEAD_BYTES)) throw new DiskFileBroken('its head is too long');
  const head = Head.safeParse(jsonOf(file.subarray(PREFIX_BYTES, bodyFrom)));
  if (!head.success) throw new DiskFileBroken('its head makes no sense', { cause: head.error });
  const { headers, etag, arrivedAt, freshMs, staleMs, bodyBytes } = head.data;
  if (head.data.key !== key) throw new DiskFileBroken('it holds another object');
  if (bodyFrom + bodyBytes !== file.length) throw new DiskFileBroken('its body has another length');
  // A wall clock that was set back must not make an object younger than now.
  const arrivedMs = clocks.now() - Math.max(0, clocks.wallMs() - arrivedAt);
  return {
    headers,
    etag,
    body: file.subarray(bodyFrom),
    arrivedMs,
    freshUntilMs: arrivedMs + freshMs,
    staleUntilMs: arrivedMs + staleMs,
  };
}

function jsonOf(text: Buffer): unknown {
  try {
    return JSON.parse(text.toString('utf8'));
  } catch {
    return null;
  }
}
