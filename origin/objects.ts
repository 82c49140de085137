// Immutable objects: whole or one range, with an ETag that every origin and driver agrees on. From the store; media of a running broadcast
// also from the transcoder that could not store it yet.
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { ByteRange, ObjectStorage } from '../platform/adapters/storage.ts';
import type { NodeId } from '../platform/contract/ids.ts';
import type { ObjectKey } from '../platform/contract/object-keys.ts';
import { AppError } from '../platform/runtime/errors.ts';
import { within } from '../platform/runtime/waits.ts';
import { parseRange } from './byte-range.ts';
import { RangeUnsatisfiable } from './errors.ts';

/** Longest wait for the store's first byte. Unit: ms. */
const FIRST_BYTE_MS = 5_000;
/** The same where somebody else may have it: viewers hold little more than this. */
const LIVE_FIRST_BYTE_MS = 1_000;

/** Where media of a running broadcast may be beside the store. */
export type LiveObject = {
  /** Held by this origin itself. */
  kept: Buffer | null;
  /** The timeline says that this node has it and the store does not: it is asked first. */
  holder: NodeId | null;
  /** Asked when the store is away. */
  carriers: readonly NodeId[];
};
export type ObjectRequest = {
  key: ObjectKey;
  isHead: boolean;
  /** Range header; If-Range has been weighed by the caller. */
  range: string | undefined;
  /** The viewer left. */
  signal: AbortSignal;
  live?: LiveObject;
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

/** Nodes that keep what they could not store yet. */
export interface ObjectHolders {
  /** @returns null when the node is unknown, away, or does not have it. @throws RangeUnsatisfiable */
  open(node: NodeId, request: ObjectRequest): Promise<ObjectAnswer | null>;
}

export function createObjects(
  storage: Pick<ObjectStorage, 'get' | 'head'>,
  workers: ObjectHolders = { open: async () => null },
): Objects {
  return {
    async open(request) {
      const { live } = request;
      if (live === undefined) return await stored(storage, request, FIRST_BYTE_MS);
      if (live.kept !== null) return inMemory(live.kept, request);
      const held = live.holder === null ? null : await workers.open(live.holder, request);
      if (held !== null) return held;
      const others = live.carriers.filter((node) => node !== live.holder);
      try {
        return await stored(storage, request, others.length > 0 ? LIVE_FIRST_BYTE_MS : FIRST_BYTE_MS);
      } catch (thrown) {
        if (!(thrown instanceof AppError) || !thrown.retryable || request.signal.aborted) throw thrown;
        for (const node of others) {
          const answer = await workers.open(node, request);
          if (answer !== null) return answer;
        }
        throw thrown;
      }
    },
  };
}

function inMemory(whole: Buffer, { isHead, range }: ObjectRequest): ObjectAnswer {
  const bytes = whole.byteLength;
  if (isHead) return { bytes, range: null, body: null };
  const wanted = parseRange(range, bytes);
  if (wanted === 'unsatisfiable') throw new RangeUnsatisfiable(bytes);
  const body = Readable.from([wanted === null ? whole : whole.subarray(wanted.first, wanted.last + 1)]);
  return { bytes, range: wanted, body };
}

async function stored(
  storage: Pick<ObjectStorage, 'get' | 'head'>,
  { key, isHead, range, signal }: ObjectRequest,
  firstByteMs: number,
): Promise<ObjectAnswer> {
  const giveUp = new AbortController();
  const options = { signal: AbortSignal.any([signal, giveUp.signal]) };
  const limited = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await within(work, firstByteMs, 'the object store');
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
}
