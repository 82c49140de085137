// Records: JSON documents in the store, changed only under conditions (optimistic lock). The put is the commit; the Redis index follows it.
import type { PlaybackId } from '../contract/ids.ts';
import { type RecordKind, recordKey } from '../contract/object-keys.ts';
import { type PlaybackTarget, type RecordOf, recordSchemas } from '../contract/records.ts';
import { indexMarkerKey, leases as leaseNames } from '../contract/redis-keys.ts';
import { AppError, messageOf } from '../runtime/errors.ts';
import type { Logger } from '../runtime/log.ts';
import { delay, type Loop, repeat } from '../runtime/waits.ts';
import { createLeases, type Leases } from './leases.ts';
import { anyRecord, formatCursor, indexedPlayback, pageOfIds, parseCursor } from './record-index.ts';
import { INDEX_BUILT, rebuildIndex } from './record-rebuild.ts';
import { createRecordScan, type GetRecord, type RecordScan } from './record-scan.ts';
import { RecordWrites } from './record-writes.ts';
import type { RedisConnection } from './redis.ts';
import { ObjectConflict, ObjectMissing, type ObjectStorage, type PutCondition } from './storage.ts';

const CONFLICT_TRIES = 20;
const REBUILD_LEASE_MS = 10_000;
/** Longest wait for another role's rebuild. */
const REBUILD_WAIT_MS = 5_000;
const WATCH_MS = 2_000;

/** A record that does not fit its schema: written by another version or by hand. */
export class RecordInvalid extends AppError {
  constructor(kind: RecordKind, id: string, options: ErrorOptions) {
    super('RECORD_INVALID', `the record ${kind} ${id} is not valid: ${messageOf(options.cause)}`, {
      source: 'internal',
      retryable: false,
      ...options,
    });
  }
}

export type Stored<T> = { value: T; etag: string };

export interface Records {
  /** @throws RecordInvalid StorageUnavailable */
  get<K extends RecordKind>(kind: K, id: string): Promise<Stored<RecordOf[K]> | null>;
  /** Stores a new record (If-None-Match), then indexes it. @returns ETag @throws ObjectConflict StorageUnavailable StorageFull */
  create<K extends RecordKind>(kind: K, value: RecordOf[K]): Promise<string>;
  /**
   * Optimistic: reads, changes, puts under If-Match, again on a conflict up to 20 times. Sets updated_at.
   * @param change the new value, or null to leave the record as it is; may be called several times, so without effects
   * @returns what is stored now, or null when there is no record
   * @throws ObjectConflict after 20 lost races; StorageUnavailable
   */
  update<K extends RecordKind>(
    kind: K,
    id: string,
    change: (value: RecordOf[K]) => RecordOf[K] | null,
  ): Promise<Stored<RecordOf[K]> | null>;
  /** One conditional put; sets updated_at. @returns new ETag @throws ObjectConflict when `etag` is stale */
  replace<K extends RecordKind>(kind: K, value: RecordOf[K], etag: string): Promise<string>;
  /** Removes the record and its index entries; a missing one is no error. */
  remove(kind: RecordKind, id: string): Promise<void>;
  /** Newest first. A cursor that is none begins at the start. While Redis is away the store itself is read, at most every 5 s. */
  list<K extends RecordKind>(
    kind: K,
    options: { limit: number; cursor: string | null },
  ): Promise<{ values: RecordOf[K][]; nextCursor: string | null }>;
  /** What a playback id shows; null when there is none. While Redis is away the store itself is read, at most every 5 s. */
  playback(id: PlaybackId): Promise<PlaybackTarget | null>;
  /** Makes the whole index anew from the store, under the lease `rebuild`. @throws RebuildBusy RedisUnavailable StorageUnavailable */
  rebuild(): Promise<{ records: number }>;
  /** Rebuilds when the index is missing, or waits some seconds for whoever does. @throws RedisUnavailable StorageUnavailable */
  ensureIndex(): Promise<void>;
  /** ensureIndex() every 2 s until closed; failures are logged. */
  watchIndex(): Loop;
}

/** Another role is rebuilding the index. */
export class RebuildBusy extends AppError {
  constructor() {
    super('REBUILD_BUSY', 'another role is rebuilding the index: try again when it is done', {
      source: 'client',
      retryable: true,
    });
  }
}

class StoredRecords implements Records {
  readonly #storage: ObjectStorage;
  readonly #redis: RedisConnection;
  readonly #log: Logger;
  readonly #leases: Leases;
  readonly #scan: RecordScan;
  readonly #writes: RecordWrites;

  constructor(storage: ObjectStorage, redis: RedisConnection, log: Logger) {
    this.#storage = storage;
    this.#redis = redis;
    this.#log = log;
    this.#leases = createLeases(redis, log);
    const get: GetRecord = (kind, id) => this.#getQuietly(kind, id);
    this.#scan = createRecordScan(storage, get, log);
    this.#writes = new RecordWrites({ client: redis.client, get, log, now: () => performance.now() });
    redis.onReconnect(() => void this.#writes.repeat());
  }

  async get<K extends RecordKind>(kind: K, id: string): Promise<Stored<RecordOf[K]> | null> {
    try {
      const { body, etag } = await this.#storage.read(recordKey(kind, id));
      return { value: parseRecord(kind, id, body), etag };
    } catch (thrown) {
      if (thrown instanceof ObjectMissing) return null;
      throw thrown;
    }
  }

  /** For scans: one broken record must not hide the others. */
  async #getQuietly<K extends RecordKind>(kind: K, id: string): Promise<Stored<RecordOf[K]> | null> {
    try {
      return await this.get(kind, id);
    } catch (thrown) {
      if (!(thrown instanceof RecordInvalid)) throw thrown;
      this.#log.error('record not valid', { kind, id, err: thrown });
      return null;
    }
  }

  async create<K extends RecordKind>(kind: K, value: RecordOf[K]): Promise<string> {
    const etag = await this.#put(kind, value, { ifNoneMatch: '*' });
    await this.#writes.write({ kind, id: value.id, before: null, after: anyRecord(kind, value), etag });
    return etag;
  }

  async update<K extends RecordKind>(
    kind: K,
    id: string,
    change: (value: RecordOf[K]) => RecordOf[K] | null,
  ): Promise<Stored<RecordOf[K]> | null> {
    for (let tries = 1; ; tries += 1) {
      const before = await this.get(kind, id);
      if (before === null) return null;
      const wanted = change(before.value);
      if (wanted === null) return before;
      const value = { ...wanted, updated_at: Date.now() };
      try {
        const etag = await this.#put(kind, value, { ifMatch: before.etag });
        await this.#writes.write(changed(kind, before.value, { value, etag }));
        return { value, etag };
      } catch (thrown) {
        if (!(thrown instanceof ObjectConflict) || tries >= CONFLICT_TRIES) throw thrown;
        await delay(Math.random() * 5 * tries);
      }
    }
  }

  async replace<K extends RecordKind>(kind: K, wanted: RecordOf[K], etag: string): Promise<string> {
    const before = await this.get(kind, wanted.id);
    if (before?.etag !== etag) throw new ObjectConflict(recordKey(kind, wanted.id));
    const value = { ...wanted, updated_at: Date.now() };
    const newEtag = await this.#put(kind, value, { ifMatch: etag });
    await this.#writes.write(changed(kind, before.value, { value, etag: newEtag }));
    return newEtag;
  }

  async remove(kind: RecordKind, id: string): Promise<void> {
    const before = await this.#getQuietly(kind, id);
    await this.#storage.delete([recordKey(kind, id)]);
    const old = before === null ? null : anyRecord(kind, before.value);
    await this.#writes.write({ kind, id, before: old, after: null, etag: null });
  }

  async #put<K extends RecordKind>(kind: K, value: RecordOf[K], condition: PutCondition): Promise<string> {
    const checked = recordSchemas[kind].safeParse(value);
    if (!checked.success) throw new RecordInvalid(kind, value.id, { cause: checked.error });
    const body = Buffer.from(JSON.stringify(checked.data));
    return this.#storage.put(recordKey(kind, value.id), body, {
      bytes: body.length,
      contentType: 'application/json',
      condition,
    });
  }

  async list<K extends RecordKind>(kind: K, options: { limit: number; cursor: string | null }) {
    const after = options.cursor === null ? null : parseCursor(options.cursor);
    let places: { createdAt: number; id: string }[];
    try {
      await this.ensureIndex();
      places = await pageOfIds(this.#redis.client, kind, after, options.limit);
    } catch (thrown) {
      if (!isRedisFault(thrown)) throw thrown;
      places = await this.#scan.places(kind, after, options.limit);
    }
    const found = await Promise.all(places.map(({ id }) => this.#getQuietly(kind, id)));
    const last = places.at(-1);
    return {
      values: found.flatMap((item) => (item === null ? [] : [item.value])),
      nextCursor: last !== undefined && places.length === options.limit ? formatCursor(last) : null,
    };
  }

  async playback(id: PlaybackId): Promise<PlaybackTarget | null> {
    try {
      const target = await indexedPlayback(this.#redis.client, id);
      if (target !== null) return target;
      if (await this.#isBuilt()) return null;
      await this.ensureIndex();
      return await indexedPlayback(this.#redis.client, id);
    } catch (thrown) {
      if (!isRedisFault(thrown)) throw thrown;
      return this.#scan.playback(id);
    }
  }

  async #isBuilt(): Promise<boolean> {
    return !this.#writes.isDirty && (await this.#redis.client.get(indexMarkerKey)) === INDEX_BUILT;
  }

  async rebuild(): Promise<{ records: number }> {
    const lease = await this.#leases.acquire(leaseNames.rebuild, REBUILD_LEASE_MS);
    if (lease === null) throw new RebuildBusy();
    const startedAt = performance.now();
    try {
      // Before the scan: a change missed from here on makes it dirty again.
      this.#writes.isDirty = false;
      const result = await rebuildIndex({
        storage: this.#storage,
        client: this.#redis.client,
        get: (kind, id) => this.#getQuietly(kind, id),
        lost: lease.lost,
      });
      this.#log.info('index rebuilt', { ...result, ms: Math.round(performance.now() - startedAt) });
      return result;
    } catch (thrown) {
      this.#writes.isDirty = true;
      throw thrown;
    } finally {
      await lease.release();
    }
  }

  async ensureIndex(): Promise<void> {
    const deadline = performance.now() + REBUILD_WAIT_MS;
    while (!(await this.#isBuilt())) {
      try {
        await this.rebuild();
        return;
      } catch (thrown) {
        if (!(thrown instanceof RebuildBusy)) throw thrown;
        if (performance.now() > deadline) return;
        await delay(100);
      }
    }
  }

  watchIndex(): Loop {
    let isFailing = false;
    return repeat(
      WATCH_MS,
      async () => {
        await this.ensureIndex();
        isFailing = false;
      },
      (thrown) => {
        if (!isFailing) this.#log.warn('index not checked', { err: thrown });
        isFailing = true;
      },
    );
  }
}

const changed = <K extends RecordKind>(kind: K, old: RecordOf[K], { value, etag }: Stored<RecordOf[K]>) => {
  const [before, after] = [anyRecord(kind, old), anyRecord(kind, value)];
  return { kind, id: value.id, before, after, etag };
};

const isRedisFault = (thrown: unknown): boolean =>
  thrown instanceof AppError && (thrown.code === 'REDIS_UNAVAILABLE' || thrown.code === 'REDIS_REFUSED');

function parseRecord<K extends RecordKind>(kind: K, id: string, body: Buffer): RecordOf[K] {
  try {
    return recordSchemas[kind].parse(JSON.parse(body.toString())) as RecordOf[K];
  } catch (thrown) {
    throw new RecordInvalid(kind, id, { cause: thrown });
  }
}

/** Records over the store, indexed in Redis; connection and store belong to the caller. */
export function createRecords(storage: ObjectStorage, redis: RedisConnection, log: Logger): Records {
  return new StoredRecords(storage, redis, log);
}
