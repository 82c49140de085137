// The broadcast as a record: opened, resumed, left and ended, each by one conditional put that loses to whoever was first.
import {
  type BroadcastId,
  contentOf,
  type NodeId,
  newId,
  type SessionId,
  type StreamId,
} from '../platform/contract/ids.ts';
import type { BroadcastRecord, RecordOf, StreamRecord } from '../platform/contract/records.ts';
import { AppError } from '../platform/runtime/errors.ts';

type Kind = 'stream' | 'broadcast';
/** The part of the records adapter that broadcasts need. */
export interface BroadcastRecords {
  get<K extends Kind>(kind: K, id: string): Promise<{ value: RecordOf[K]; etag: string } | null>;
  create<K extends Kind>(kind: K, value: RecordOf[K]): Promise<string>;
  update<K extends Kind>(
    kind: K,
    id: string,
    change: (value: RecordOf[K]) => RecordOf[K] | null,
  ): Promise<{ value: RecordOf[K]; etag: string } | null>;
}

/** Two ingest nodes opened a broadcast of one stream at once; the loser tries again and resumes the winner's. */
export class OpenRaced extends AppError {
  constructor() {
    super('BROADCAST_OPEN_RACED', 'another node opened a broadcast of this stream', {
      source: 'internal',
      retryable: true,
    });
  }
}

export type Publisher = { node: NodeId; session: SessionId; since: number };

/** Within its window, or with a publisher that a newer one may replace. */
export function isResumable(record: BroadcastRecord, now: number): boolean {
  if (record.status !== 'live') return false;
  return record.disconnected_at === null || now - record.disconnected_at <= record.reconnect_window_s * 1_000;
}

/**
 * Makes `publisher` the publisher of the stream's broadcast: the running one inside its window, else a new one.
 * @returns null when the stream may not broadcast (missing, disabled)
 * @throws OpenRaced; what the records throw
 */
export async function openBroadcast(
  records: BroadcastRecords,
  streamId: StreamId,
  publisher: Publisher,
): Promise<{ record: BroadcastRecord; isNew: boolean } | null> {
  const stream = (await records.get('stream', streamId))?.value;
  if (stream === undefined || stream.status !== 'enabled') return null;
  const resumed = stream.broadcast_id === null ? null : await resume(records, stream.broadcast_id, publisher);
  if (resumed !== null) return { record: resumed, isNew: false };
  return { record: await createBroadcast(records, stream, publisher), isNew: true };
}

async function resume(
  records: BroadcastRecords,
  id: BroadcastId,
  publisher: Publisher,
): Promise<BroadcastRecord | null> {
  const stored = await records.update('broadcast', id, (record) => {
    if (isResumable(record, publisher.since)) return { ...record, ingest: publisher, disconnected_at: null };
    // Nobody closed it when its window ended: its worker shall finish it.
    return record.status === 'live' ? { ...record, status: 'ending', ingest: null } : null;
  });
  return stored?.value.ingest?.session === publisher.session ? stored.value : null;
}

async function createBroadcast(
  records: BroadcastRecords,
  stream: StreamRecord,
  publisher: Publisher,
): Promise<BroadcastRecord> {
  const id = newId<BroadcastId>();
  const record: BroadcastRecord = {
    version: 1,
    id,
    stream_id: stream.id,
    content_id: contentOf(id),
    status: 'live',
    created_at: publisher.since,
    updated_at: publisher.since,
    ended_at: null,
    latency_mode: stream.latency_mode,
    reconnect_window_s: stream.reconnect_window_s,
    term: 0,
    worker: null,
    ingest: publisher,
    disconnected_at: null,
    epochs: [],
  };
  await records.create('broadcast', record);
  const linked = await records.update('stream', stream.id, (value) =>
    value.status === 'enabled' && value.broadcast_id === stream.broadcast_id ? { ...value, broadcast_id: id } : null,
  );
  if (linked?.value.broadcast_id === id) return record;
  await records.update('broadcast', id, (value) => ({
    ...value,
    status: 'ended',
    ended_at: Date.now(),
    ingest: null,
  }));
  throw new OpenRaced();
}

/** What the record says after a change of publisher: ours, over, or another node's. */
export type Standing = 'ours' | 'over' | 'elsewhere';

/** Notes a publisher's arrival at a broadcast that this node holds. The newest publisher wins. */
export async function noteArrival(records: BroadcastRecords, id: BroadcastId, publisher: Publisher): Promise<Standing> {
  const stored = await records.update('broadcast', id, (record) =>
    record.status === 'live' ? { ...record, ingest: publisher, disconnected_at: null } : null,
  );
  return stored?.value.status === 'live' ? 'ours' : 'over';
}

/** Notes that the publisher left; a publisher on another node stays. */
export async function noteDeparture(
  records: BroadcastRecords,
  id: BroadcastId,
  node: NodeId,
  at: number,
): Promise<Standing> {
  const stored = await records.update('broadcast', id, (record) =>
    record.status === 'live' && record.ingest?.node === node ? { ...record, ingest: null, disconnected_at: at } : null,
  );
  return standingOf(stored?.value ?? null, node);
}

/** Ends the broadcast, unless a publisher on another node goes on with it. */
export async function noteEnding(records: BroadcastRecords, id: BroadcastId, node: NodeId): Promise<Standing> {
  const stored = await records.update('broadcast', id, (record) =>
    record.status === 'live' && (record.ingest === null || record.ingest.node === node)
      ? { ...record, status: 'ending', ingest: null, disconnected_at: record.disconnected_at ?? Date.now() }
      : null,
  );
  return standingOf(stored?.value ?? null, node);
}

/** Whose broadcast this is, seen from `node`. */
export function standingOf(record: BroadcastRecord | null, node: NodeId): Standing {
  if (record === null || record.status !== 'live') return 'over';
  return record.ingest === null || record.ingest.node === node ? 'ours' : 'elsewhere';
}
