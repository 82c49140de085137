// Answers from the store itself while Redis is away: slow, so at most every 5 s, and only the last look is kept.
import type { PlaybackId } from '../contract/ids.ts';
import { RECORD_KINDS, type RecordKind, recordPrefix } from '../contract/object-keys.ts';
import type { PlaybackTarget, RecordOf } from '../contract/records.ts';
import { playbackIndexKey } from '../contract/redis-keys.ts';
import type { Logger } from '../runtime/log.ts';
import { anyRecord, compareNewest, entriesOf, type ListPlace, parseTarget } from './record-index.ts';
import type { ObjectStorage } from './storage.ts';

const KEEP_MS = 5_000;
const PARALLEL = 16;

export type GetRecord = <K extends RecordKind>(
  kind: K,
  id: string,
) => Promise<{ value: RecordOf[K]; etag: string } | null>;

/**
 * Every id of a kind, then `visit` for each, some at a time.
 * @throws StorageUnavailable; what `visit` throws
 */
export async function eachRecord(
  storage: ObjectStorage,
  kind: RecordKind,
  visit: (id: string) => Promise<void>,
): Promise<void> {
  const prefix = recordPrefix(kind);
  const ids: string[] = [];
  for await (const { key } of storage.list(prefix)) ids.push(key.slice(prefix.length));
  let next = 0;
  const work = async () => {
    for (let id = ids[next++]; id !== undefined; id = ids[next++]) await visit(id);
  };
  await Promise.all(Array.from({ length: Math.min(PARALLEL, ids.length) }, work));
}

type Look = { places: Map<RecordKind, ListPlace[]>; playback: Map<string, PlaybackTarget> };

export interface RecordScan {
  places(kind: RecordKind, after: ListPlace | null, limit: number): Promise<ListPlace[]>;
  playback(id: PlaybackId): Promise<PlaybackTarget | null>;
}

/** @param get reads one record; null when missing or broken */
export function createRecordScan(storage: ObjectStorage, get: GetRecord, log: Logger): RecordScan {
  let look: Promise<Look> | null = null;
  let lookedAt = Number.NEGATIVE_INFINITY;
  const current = (): Promise<Look> => {
    if (look === null || performance.now() - lookedAt > KEEP_MS) {
      lookedAt = performance.now();
      log.warn('records read from the store while redis is away');
      const started = scan(storage, get);
      look = started;
      started.catch(() => {
        if (look === started) look = null;
      });
    }
    return look;
  };
  return {
    async places(kind, after, limit) {
      const all = (await current()).places.get(kind) ?? [];
      return all.filter((place) => after === null || compareNewest(after, place) < 0).slice(0, limit);
    },
    playback: async (id) => (await current()).playback.get(id) ?? null,
  };
}

async function scan(storage: ObjectStorage, get: GetRecord): Promise<Look> {
  const look: Look = { places: new Map(), playback: new Map() };
  for (const kind of RECORD_KINDS) {
    const places: ListPlace[] = [];
    await eachRecord(storage, kind, async (id) => {
      const found = await get(kind, id);
      if (found === null) return;
      places.push({ createdAt: found.value.created_at, id });
      for (const [playbackId, text] of entriesOf(anyRecord(kind, found.value)).get(playbackIndexKey) ?? []) {
        const target = parseTarget(text);
        if (target !== null) look.playback.set(playbackId, target);
      }
    });
    look.places.set(kind, places.sort(compareNewest));
  }
  return look;
}
