// Makes the whole Redis index anew from the records in the store. May run beside writers: it never removes what a record still says.
import { randomUUID } from 'node:crypto';
import { RECORD_KINDS, type RecordKind } from '../contract/object-keys.ts';
import {
  indexMarkerKey,
  liveBroadcastsKey,
  playbackIndexKey,
  recordIndexKey,
  streamKeyIndexKey,
} from '../contract/redis-keys.ts';
import { parseStreamKeyEntry } from '../contract/stream-keys.ts';
import { addToList, anyRecord, applyChange, changeOf, entriesOf, parseTarget } from './record-index.ts';
import { eachRecord, type GetRecord } from './record-scan.ts';
import type { RedisClient } from './redis.ts';
import type { ObjectStorage } from './storage.ts';

/** Value of the marker when the index is whole. */
export const INDEX_BUILT = 'built';
const TRIES = 5;
const SETTLE_TRIES = 20;

/** The marker is set only if it is still ours: after a FLUSHALL in between the index is not whole. */
const FINISH = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1`;

export type RebuildParts = { storage: ObjectStorage; client: RedisClient; get: GetRecord; lost: AbortSignal };

/**
 * Sets every entry that the records say, removes those they do not, then sets the marker.
 * @param parts `lost`: ends the work when the lease is gone
 * @throws RedisUnavailable StorageUnavailable; the signal's reason
 */
export async function rebuildIndex(parts: RebuildParts): Promise<{ records: number }> {
  const { client, lost } = parts;
  for (let tries = 1; ; tries += 1) {
    const token = `building:${randomUUID()}`;
    await client.set(indexMarkerKey, token);
    const seen = new Set<string>();
    for (const kind of RECORD_KINDS) {
      await eachRecord(parts.storage, kind, (id) => {
        lost.throwIfAborted();
        seen.add(`${kind}/${id}`);
        return addRecord(parts, kind, id);
      });
    }
    await removeStale(parts, seen);
    lost.throwIfAborted();
    const isWhole = (await client.eval(FINISH, [indexMarkerKey], [token, INDEX_BUILT])) === 1;
    if (isWhole || tries >= TRIES) return { records: seen.size };
  }
}

/** Adds a record's entries; a writer may change it meanwhile, so on until the stored version is the one that was added. */
async function addRecord({ client, get }: RebuildParts, kind: RecordKind, id: string): Promise<void> {
  let found = await get(kind, id);
  for (let tries = 0; found !== null && tries < SETTLE_TRIES; tries += 1) {
    const record = anyRecord(kind, found.value);
    await addToList(client, record);
    const change = changeOf(null, record);
    if (change.set.length === 0) return;
    await applyChange(client, change);
    const now = await get(kind, id);
    if (now?.etag === found.etag) return;
    await applyChange(client, changeOf(record, now === null ? null : anyRecord(kind, now.value)));
    if (now === null) await client.zRem(recordIndexKey(kind), id);
    found = now;
  }
}

/** Entries whose record does not say them (any more); each is checked against its record, so a new one is safe. */
async function removeStale({ client, get, lost }: RebuildParts, seen: Set<string>): Promise<void> {
  const says = async (kind: RecordKind, id: string, key: string, field: string): Promise<boolean> => {
    lost.throwIfAborted();
    const found = await get(kind, id);
    return found !== null && entriesOf(anyRecord(kind, found.value)).get(key)?.has(field) === true;
  };
  for (const [field, text] of Object.entries(await client.hGetAll(playbackIndexKey))) {
    const target = parseTarget(text);
    const isTrue = target !== null && (await says(target.kind, target.id, playbackIndexKey, field));
    if (!isTrue) await client.hDel(playbackIndexKey, field);
  }
  for (const [field, text] of Object.entries(await client.hGetAll(streamKeyIndexKey))) {
    const entry = parseStreamKeyEntry(text);
    const isTrue = entry !== null && (await says('stream', entry.stream, streamKeyIndexKey, field));
    if (!isTrue) await client.hDel(streamKeyIndexKey, field);
  }
  for (const broadcast of Object.keys(await client.hGetAll(liveBroadcastsKey))) {
    if (!(await says('broadcast', broadcast, liveBroadcastsKey, broadcast))) {
      await client.hDel(liveBroadcastsKey, broadcast);
    }
  }
  for (const kind of RECORD_KINDS) {
    for (const id of await client.zRange(recordIndexKey(kind), 0, -1)) {
      lost.throwIfAborted();
      if (!seen.has(`${kind}/${id}`) && (await get(kind, id)) === null) await client.zRem(recordIndexKey(kind), id);
    }
  }
}
