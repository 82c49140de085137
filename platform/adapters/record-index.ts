// The Redis index over the records: what stands in it for a record, and how a change of the record changes it. All of it can be made anew.
import type { PlaybackId } from '../contract/ids.ts';
import type { RecordKind } from '../contract/object-keys.ts';
import { PlaybackTarget, type RecordOf } from '../contract/records.ts';
import { liveBroadcastsKey, playbackIndexKey, recordIndexKey, streamKeyIndexKey } from '../contract/redis-keys.ts';
import { formatStreamKeyEntry, streamKeyEntries } from '../contract/stream-keys.ts';
import type { RedisClient } from './redis.ts';

/** What writing the index takes. */
export type IndexClient = Pick<RedisClient, 'hSet' | 'hDel' | 'zAdd' | 'zRem'>;
/** Hash key -> field -> value: what the hashes hold because of one record. */
export type IndexEntries = Map<string, Map<string, string>>;
export type AnyRecord = { [K in RecordKind]: { kind: K; value: RecordOf[K] } }[RecordKind];

/** Kind and value as one thing that narrows by its kind. */
export const anyRecord = <K extends RecordKind>(kind: K, value: RecordOf[K]): AnyRecord =>
  ({ kind, value }) as unknown as AnyRecord;

/** What the hashes shall hold because of this record. Streams that are disabled have no key there: their publishers are unknown. */
export function entriesOf(record: AnyRecord): IndexEntries {
  const playback = new Map<string, string>();
  const keys = new Map<string, string>();
  const live = new Map<string, string>();
  const { kind, value } = record;
  if ((kind === 'asset' || kind === 'stream') && value.status !== 'deleting') {
    for (const { id, policy } of value.playback_ids) {
      playback.set(id, JSON.stringify({ kind, id: value.id, policy }));
    }
  }
  if (kind === 'stream') {
    for (const [hash, entry] of streamKeyEntries(value)) keys.set(hash, formatStreamKeyEntry(entry));
  }
  if (kind === 'broadcast' && value.status === 'live') live.set(value.id, value.stream_id);
  return new Map([
    [playbackIndexKey, playback],
    [streamKeyIndexKey, keys],
    [liveBroadcastsKey, live],
  ]);
}

export type IndexChange = {
  set: [key: string, field: string, value: string][];
  remove: [key: string, field: string][];
};

/** What must change so that the hashes follow from `before` to `after`; null: no such record. */
export function changeOf(before: AnyRecord | null, after: AnyRecord | null): IndexChange {
  const old: IndexEntries = before === null ? new Map() : entriesOf(before);
  const now: IndexEntries = after === null ? new Map() : entriesOf(after);
  const change: IndexChange = { set: [], remove: [] };
  for (const [key, fields] of now) {
    for (const [field, value] of fields) if (old.get(key)?.get(field) !== value) change.set.push([key, field, value]);
  }
  for (const [key, fields] of old) {
    for (const field of fields.keys()) if (!now.get(key)?.has(field)) change.remove.push([key, field]);
  }
  return change;
}

export const isEmpty = (change: IndexChange): boolean => change.set.length === 0 && change.remove.length === 0;

/** @throws RedisUnavailable */
export async function applyChange(client: IndexClient, change: IndexChange): Promise<void> {
  for (const [key, field] of change.remove) await client.hDel(key, field);
  for (const [key, field, value] of change.set) await client.hSet(key, { [field]: value });
}

/** @throws RedisUnavailable */
export async function addToList(client: IndexClient, record: AnyRecord): Promise<void> {
  await client.zAdd(recordIndexKey(record.kind), record.value.created_at, record.value.id);
}

/** The target of a playback id by the index; null when it does not stand there. @throws RedisUnavailable */
export async function indexedPlayback(client: RedisClient, id: PlaybackId): Promise<PlaybackTarget | null> {
  const text = await client.hGet(playbackIndexKey, id);
  return text === null ? null : parseTarget(text);
}

/** Null when the text is not a target: somebody else's bytes count as no entry. */
export function parseTarget(text: string): PlaybackTarget | null {
  try {
    return PlaybackTarget.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/** Place in a list, newest first. */
export type ListPlace = { createdAt: number; id: string };
export const formatCursor = (place: ListPlace): string =>
  Buffer.from(`${place.createdAt}.${place.id}`).toString('base64url');
/** Null when the text is no cursor. */
export function parseCursor(text: string): ListPlace | null {
  const match = /^(\d{1,16})\.([A-Za-z0-9]{1,64})$/.exec(Buffer.from(text, 'base64url').toString());
  return match ? { createdAt: Number(match[1]), id: match[2] ?? '' } : null;
}
/** Newest first; equal times by id, descending, as Redis orders members. */
export const compareNewest = (a: ListPlace, b: ListPlace): number =>
  b.createdAt - a.createdAt || (a.id < b.id ? 1 : a.id > b.id ? -1 : 0);

/**
 * Ids after a place in a kind's list.
 * @param after null: from the newest
 * @throws RedisUnavailable
 */
export async function pageOfIds(
  client: RedisClient,
  kind: RecordKind,
  after: ListPlace | null,
  limit: number,
): Promise<ListPlace[]> {
  const places: ListPlace[] = [];
  const max = after?.createdAt ?? Number.MAX_SAFE_INTEGER;
  for (let offset = 0; places.length < limit; offset += limit) {
    const page = await client.zPage(recordIndexKey(kind), max, offset, limit);
    for (const { member, score } of page) {
      const place = { createdAt: score, id: member };
      if (after === null || compareNewest(after, place) < 0) places.push(place);
    }
    if (page.length < limit) break;
  }
  return places.slice(0, limit);
}
