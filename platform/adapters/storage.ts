// The object store as the platform sees it; drivers are storage-s3.ts and storage-fs.ts, one shared suite tests both.
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
   * @returns its ETag
   * @throws ObjectConflict StorageFull StorageUnavailable
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
