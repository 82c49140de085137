// The object store as the platform sees it; drivers are storage-s3.ts and storage-fs.ts, one shared suite tests both.
import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { ObjectKey } from '../contract/object-keys.ts';
import { AppError } from '../runtime/errors.ts';

/** No object at this key. */
export class ObjectMissing extends AppError {
  constructor(key: string, options?: ErrorOptions) {
    super('OBJECT_MISSING', `no object at ${key}`, { source: 'client', retryable: false, ...options });
  }
}
/** A conditional put lost: the key exists, or its ETag is another. */
export class ObjectConflict extends AppError {
  constructor(key: string, options?: ErrorOptions) {
    super('OBJECT_CONFLICT', `another writer was first at ${key}`, { source: 'client', retryable: false, ...options });
  }
}
/** The store did not answer, or answered with a fault of its own. */
export class StorageUnavailable extends AppError {
  constructor(what: string, options?: ErrorOptions) {
    super('STORAGE_UNAVAILABLE', `the object store failed to ${what}`, {
      source: 'upstream',
      retryable: true,
      ...options,
    });
  }
}
/** The disk below the store is full. */
export class StorageFull extends AppError {
  constructor(options?: ErrorOptions) {
    super('STORAGE_FULL', 'the object store has no space left', { source: 'upstream', retryable: true, ...options });
  }
}
/** The start-up proof failed: this store cannot keep records safe. */
export class StorageUnfit extends AppError {
  constructor(reason: string) {
    super('STORAGE_UNFIT', `this object store cannot be used: ${reason}`, { source: 'upstream', retryable: false });
  }
}

/** A key or body that no store takes: outside the key grammar, an empty record, or an If-Match outside `records/`. */
export class ObjectRefused extends AppError {
  constructor(key: string, reason: string) {
    super('OBJECT_REFUSED', `object ${JSON.stringify(key.slice(0, 200))} is refused: ${reason}`, {
      source: 'internal',
      retryable: false,
    });
  }
}

const KEY_PATTERN = /^[A-Za-z0-9_-][A-Za-z0-9._-]*(?:\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/;
const KEY_MAX_LENGTH = 512;
/** Objects below this prefix change and carry a version in their ETag; all others are written once. */
export const VERSIONED_PREFIX = 'records/';

/**
 * Refuses what could leave the store's folder or mean something else to another driver.
 * @throws ObjectRefused
 */
export function checkKey(key: string): void {
  if (key.length > KEY_MAX_LENGTH || !KEY_PATTERN.test(key)) {
    throw new ObjectRefused(key, 'keys are segments of A-Z a-z 0-9 . _ - that do not begin with a dot');
  }
}

/** ETag of an immutable object, quoted: it derives from the key, so it agrees over origins and drivers. */
export const keyEtag = (key: string): string => `"${createHash('sha256').update(key).digest('hex').slice(0, 32)}"`;

/** `ifNoneMatch: '*'`: only if the key is new. `ifMatch`: only if the ETag still is this one. */
export type PutCondition = { ifNoneMatch: '*' } | { ifMatch: string };
export type ObjectHead = { bytes: number; etag: string; contentType: string; modifiedAt: number };
export type ObjectEntry = { key: ObjectKey; bytes: number };
/** First and last byte, inclusive (RFC 9110, 14.1.2). */
export type ByteRange = { first: number; last: number };

export interface ObjectStorage {
  /** Driver and place, for people: `fs ./data/store`, `s3 http://127.0.0.1:9000/headwater`. */
  readonly description: string;
  /**
   * Stores an object whole; durable when it resolves.
   * @param body a buffer, or a stream of exactly `bytes`
   * @param options `bytes` is the exact length; a body of another length is an error and stores nothing.
   *   `condition` with `ifMatch` is for keys below `records/` only
   * @returns its ETag
   * @throws ObjectConflict ObjectRefused StorageFull StorageUnavailable; the signal's reason when it aborts
   */
  put(
    key: ObjectKey,
    body: Buffer | Readable,
    options: { bytes: number; contentType: string; condition?: PutCondition; signal?: AbortSignal },
  ): Promise<string>;
  /**
   * @returns head and body; `range` must lie inside the object
   * @throws ObjectMissing StorageUnavailable
   */
  get(
    key: ObjectKey,
    options?: { range?: ByteRange; signal?: AbortSignal },
  ): Promise<{ head: ObjectHead; body: Readable }>;
  /** Whole small object at once. @throws ObjectMissing StorageUnavailable */
  read(key: ObjectKey, options?: { signal?: AbortSignal }): Promise<{ etag: string; body: Buffer }>;
  /** @throws ObjectMissing StorageUnavailable */
  head(key: ObjectKey, options?: { signal?: AbortSignal }): Promise<ObjectHead>;
  /** Objects below a prefix, in key order. */
  list(prefix: string, options?: { signal?: AbortSignal }): AsyncIterable<ObjectEntry>;
  /** Removes objects; missing ones are no error. */
  delete(keys: ObjectKey[], options?: { signal?: AbortSignal }): Promise<void>;
  /** Proves that conditional writes work (new key, taken key, stale ETag, ETag on a missing key). @throws StorageUnfit */
  prove(): Promise<void>;
  /** Free bytes where that can be known, else null. */
  freeBytes(): Promise<number | null>;
  close(): Promise<void>;
}

/** Whether there is an object at this key. @throws StorageUnavailable */
export async function isStored(storage: Pick<ObjectStorage, 'head'>, key: ObjectKey): Promise<boolean> {
  try {
    await storage.head(key);
    return true;
  } catch (thrown) {
    if (thrown instanceof ObjectMissing) return false;
    throw thrown;
  }
}

/** Fields of the settings that choose and open a store. */
export type StorageSettings = {
  STORAGE: 'fs' | 's3' | 'minio';
  DATA_DIR: string;
  S3_ENDPOINT: string | null;
  S3_REGION: string;
  S3_BUCKET: string;
  S3_ACCESS_KEY: string | null;
  S3_SECRET_KEY: string | null;
};
