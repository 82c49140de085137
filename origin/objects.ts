// Immutable objects from the store: whole or one range, with an ETag that every origin and driver agrees on.
import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { ByteRange, ObjectStorage } from '../platform/adapters/storage.ts';
import type { ObjectKey } from '../platform/contract/object-keys.ts';
import { within } from '../platform/runtime/waits.ts';
import { parseRange } from './byte-range.ts';
import { RangeUnsatisfiable } from './errors.ts';

/** Longest wait for the store's first byte. Unit: ms. */
const FIRST_BYTE_MS = 5_000;

export type ObjectRequest = {
  key: ObjectKey;
  isHead: boolean;
  /** Range header; If-Range has been weighed by the caller. */
  range: string | undefined;
  /** The viewer left. */
  signal: AbortSignal;
};
export type ObjectAnswer = {
  /** Length of the whole object. */
  bytes: number;
  /** null: whole. */
  range: ByteRange | null;
  /** null for HEAD. Must be read to its end or destroyed. */
  body: Readable | null;
};

/**
 * Strong ETag of an immutable object, from its key alone: it agrees over origins and drivers, so a transfer that broke off on
 * one origin goes on from another by Range.
 */
export const keyETag = (key: ObjectKey): string =>
  `"${createHash('sha256').update(key).digest('base64url').slice(0, 24)}"`;

export interface Objects {
  /** @throws ObjectMissing StorageUnavailable TimedOut RangeUnsatisfiable */
  open(request: ObjectRequest): Promise<ObjectAnswer>;
}

export function createObjects(storage: Pick<ObjectStorage, 'get' | 'head'>): Objects {
  return {
    async open({ key, isHead, range, signal }) {
      const giveUp = new AbortController();
      const options = { signal: AbortSignal.any([signal, giveUp.signal]) };
      const limited = async <T>(work: Promise<T>): Promise<T> => {
        try {
          return await within(work, FIRST_BYTE_MS, 'the object store');
        } catch (thrown) {
          giveUp.abort();
          throw thrown;
        }
      };
      if (!isHead && range === undefined) {
        const { head, body } = await limited(storage.get(key, options));
        return { bytes: head.bytes, range: null, body };
      }
      const { bytes } = await limited(storage.head(key, options));
      if (isHead) return { bytes, range: null, body: null };
      const wanted = parseRange(range, bytes);
      if (wanted === 'unsatisfiable') throw new RangeUnsatisfiable(bytes);
      const { body } = await limited(storage.get(key, wanted === null ? options : { ...options, range: wanted }));
      return { bytes, range: wanted, body };
    },
  };
}
