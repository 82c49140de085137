// The broadcast as a record: opened, resumed, left and ended, each by one conditional put that loses to whoever was first.
import {
  type AssetId,
  type BroadcastId,
  contentOf,
  type NodeId,
  newId,
  type SessionId,
  type StreamId,
} from '../platform/contract/ids.ts';
import type { BroadcastRecord, ContentRecord, KeyKind, RecordOf, StreamRecord } from '../platform/contract/records.ts';
import { AppError } from '../platform/runtime/errors.ts';
import type { Claim } from './publisher.ts';

type Kind = 'stream' | 'broadcast' | 'content';
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

/** A publisher as the record names it. */
export type OnAir = { node: NodeId; session: SessionId; since: number; key: KeyKind };
/** Who wants to be on air, and why; `isThere` says whether a node is still in the registry. */
export type Bid = { publisher: OnAir; claim: Claim; isThere(node: NodeId): boolean };

/** Within its window, or with a publisher that a newer one may replace. */
export function isResumable(record: BroadcastRecord, now: number): boolean {
  if (record.status !== 'live') return false;
  return record.disconnected_at === null || now - record.disconnected_at <= record.reconnect_window_s * 1_000;
}

/** A node that has just started may not have been seen in the registry yet. Unit: ms. */
const REGISTRY_LAG_MS = 3_000;

/**
 * Whether the publisher that the record names stays on air. It gives way when its node is gone, to a command, and to a newcomer with
 * the same key; one that only stood by never takes its place.
 */
export function staysOnAir(record: BroadcastRecord, { publisher, claim, isThere }: Bid): boolean {
  const held = record.ingest;
  if (held === null || held.node === publisher.node) return false;
  if (!isThere(held.node) && publisher.since - held.since > REGISTRY_LAG_MS) return false;
  return claim === 'standby' || (claim === 'new' && held.key !== publisher.key);
}

/** `leftAt`: when the last publisher left, as far as it is known; ms since the epoch. */
export type Opening =
  | { state: 'opened'; record: BroadcastRecord; isNew: boolean; leftAt: number | null }
  /** Another node's publisher is on air: this one stands by. */
  | { state: 'standby'; record: BroadcastRecord }
  /** The stream is missing or disabled; or the broadcast that was stood by for is over. */
  | { state: 'refused' };

/**
 * Makes the bidder the publisher of the stream's broadcast: of the running one inside its window, else of a new one.
 * @throws OpenRaced; what the records throw
 */
export async function openBroadcast(records: BroadcastRecords, streamId: StreamId, bid: Bid): Promise<Opening> {
  const stream = (await records.get('stream', streamId))?.value;
  if (stream === undefined || stream.status !== 'enabled') return { state: 'refused' };
  const resumed = stream.broadcast_id === null ? null : await resumeBroadcast(records, stream.broadcast_id, bid);
  if (resumed !== null && resumed.state !== 'refused') return resumed;
  return { state: 'opened', record: await createBroadcast(records, stream, bid.publisher), isNew: true, leftAt: null };
}

/** The same for one running broadcast; `refused` when it is over or its window is. @throws what the records throw */
export async function resumeBroadcast(records: BroadcastRecords, id: BroadcastId, bid: Bid): Promise<Opening> {
  const { publisher } = bid;
  let leftAt: number | null = null;
  const stored = await records.update('broadcast', id, (record) => {
    leftAt = record.disconnected_at;
    if (isResumable(record, publisher.since))
      return staysOnAir(record, bid) ? null : { ...record, ingest: publisher, disconnected_at: null };
    // Nobody closed it when its window ended: its worker shall finish it.
    return record.status === 'live' ? { ...record, status: 'ending', ingest: null } : null;
  });
  if (stored === null || stored.value.status !== 'live') return { state: 'refused' };
  const { value: record } = stored;
  if (record.ingest?.session === publisher.session) return { state: 'opened', record, isNew: false, leftAt };
  return { state: 'standby', record };
}

async function createBroadcast(
  records: BroadcastRecords,
  stream: StreamRecord,
  publisher: OnAir,
): Promise<BroadcastRecord> {
  const record = newBroadcast(stream, publisher);
  const { id } = record;
  await records.create('content', newContent(record));
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
    asset_id: null,
  }));
  throw new OpenRaced();
}

function newBroadcast(stream: StreamRecord, publisher: OnAir): BroadcastRecord {
  const id = newId<BroadcastId>();
  return {
    version: 1,
    id,
    stream_id: stream.id,
    content_id: contentOf(id),
    status: 'live',
    created_at: publisher.since,
    updated_at: publisher.since,
    ended_at: null,
    latency_mode: stream.latency_mode,
    transcode: stream.transcode,
    redundancy: stream.redundancy,
    use_slate: stream.use_slate,
    dvr_window_s: stream.dvr_window_s,
    asset_id: stream.record ? newId<AssetId>() : null,
    reconnect_window_s: stream.reconnect_window_s,
    term: 0,
    worker: null,
    ingest: publisher,
    disconnected_at: null,
    epochs: [],
    fault: null,
  };
}

/** Stored before the broadcast: its objects are held from the first one on. */
const newContent = (record: BroadcastRecord): ContentRecord => ({
  version: 1,
  id: record.content_id,
  status: 'kept',
  created_at: record.created_at,
  updated_at: record.created_at,
  holders: [record.id],
});

/** What the record says after a change of publisher: ours, over, or another node's. */
export type Standing = 'ours' | 'over' | 'elsewhere';
export type Noted = { standing: Standing; record: BroadcastRecord | null };

/** Notes a publisher's arrival at a broadcast that this node holds. */
export async function noteArrival(records: BroadcastRecords, id: BroadcastId, bid: Bid): Promise<Noted> {
  const stored = await records.update('broadcast', id, (record) =>
    record.status === 'live' && !staysOnAir(record, bid)
      ? { ...record, ingest: bid.publisher, disconnected_at: null }
      : null,
  );
  return noted(stored?.value ?? null, bid.publisher.node);
}

/** Notes that the publisher left; a publisher on another node stays. */
export async function noteDeparture(
  records: BroadcastRecords,
  id: BroadcastId,
  node: NodeId,
  at: number,
): Promise<Noted> {
  const stored = await records.update('broadcast', id, (record) =>
    record.status === 'live' && record.ingest?.node === node ? { ...record, ingest: null, disconnected_at: at } : null,
  );
  return noted(stored?.value ?? null, node);
}

/** Ends the broadcast, unless a publisher on another node goes on with it. */
export async function noteEnding(records: BroadcastRecords, id: BroadcastId, node: NodeId): Promise<Noted> {
  const stored = await records.update('broadcast', id, (record) =>
    standingOf(record, node) === 'ours'
      ? { ...record, status: 'ending', ingest: null, disconnected_at: record.disconnected_at ?? Date.now() }
      : null,
  );
  return noted(stored?.value ?? null, node);
}

const noted = (record: BroadcastRecord | null, node: NodeId): Noted => ({ standing: standingOf(record, node), record });

/** Whose broadcast this is, seen from `node`. */
export function standingOf(record: BroadcastRecord | null, node: NodeId): Standing {
  if (record === null || record.status !== 'live') return 'over';
  return record.ingest === null || record.ingest.node === node ? 'ours' : 'elsewhere';
}
