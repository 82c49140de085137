import { beforeEach, describe, expect, test } from 'vitest';
import { type BroadcastId, contentOf, type NodeId, type SessionId, type StreamId } from '../platform/contract/ids.ts';
import { BroadcastRecord, type RecordOf, type StreamRecord } from '../platform/contract/records.ts';
import {
  type BroadcastRecords,
  isResumable,
  noteArrival,
  noteDeparture,
  noteEnding,
  OpenRaced,
  openBroadcast,
  standingOf,
} from './broadcast-records.ts';

const STREAM = 'streamAAAAAAAAAAAAAAAA' as StreamId;
const OLD = 'broadcastAAAAAAAAAAAAA' as BroadcastId;
const [HERE, THERE] = ['nodeAAAAAAAAAAAAAAAAAA', 'nodeBBBBBBBBBBBBBBBBBB'] as [NodeId, NodeId];
const [S1, S2] = ['sessionAAAAAAAAAAAAAAA', 'sessionBBBBBBBBBBBBBBB'] as [SessionId, SessionId];
const NOW = 1_000_000;

let stored: Map<string, RecordOf['stream'] | RecordOf['broadcast']>;
/** Runs before the stream is changed: another node's move. */
let beforeStreamUpdate: () => void;
const records: BroadcastRecords = {
  async get<K extends 'stream' | 'broadcast'>(_kind: K, id: string) {
    const value = stored.get(id) as RecordOf[K] | undefined;
    return value === undefined ? null : { value, etag: '' };
  },
  async create(_kind, value) {
    stored.set(value.id, value);
    return '';
  },
  async update<K extends 'stream' | 'broadcast'>(
    kind: K,
    id: string,
    change: (value: RecordOf[K]) => RecordOf[K] | null,
  ) {
    if (kind === 'stream') beforeStreamUpdate();
    const value = stored.get(id) as RecordOf[K] | undefined;
    if (value === undefined) return null;
    const changed = change(value) ?? value;
    stored.set(id, changed);
    return { value: changed, etag: '' };
  },
};
const broadcast = (id: string = OLD): BroadcastRecord => BroadcastRecord.parse(stored.get(id));
const stream = (): StreamRecord => stored.get(STREAM) as StreamRecord;
const me = { node: HERE, session: S1, since: NOW };

function given(fields: Partial<BroadcastRecord>): void {
  stored.set(OLD, {
    version: 1,
    id: OLD,
    stream_id: STREAM,
    content_id: contentOf(OLD),
    status: 'live',
    created_at: 0,
    updated_at: 0,
    ended_at: null,
    latency_mode: 'low',
    reconnect_window_s: 60,
    term: 3,
    worker: null,
    ingest: null,
    disconnected_at: NOW - 10_000,
    epochs: [],
    ...fields,
  });
  stored.set(STREAM, { ...stream(), broadcast_id: OLD });
}

beforeEach(() => {
  beforeStreamUpdate = () => undefined;
  stored = new Map();
  stored.set(STREAM, {
    version: 1,
    id: STREAM,
    status: 'enabled',
    created_at: 0,
    updated_at: 0,
    title: '',
    description: '',
    latency_mode: 'low',
    reconnect_window_s: 30,
    key_hash: '',
    key_rotated_at: 0,
    playback_ids: [],
    new_asset_settings: { playback_policies: ['public'], title: '', description: '' },
    broadcast_id: null,
  });
});

describe('opening', () => {
  test('the first publish makes a broadcast and points the stream at it', async () => {
    const opened = await openBroadcast(records, STREAM, me);
    expect(opened).toMatchObject({ isNew: true, record: { status: 'live', term: 0, ingest: me, latency_mode: 'low' } });
    expect(stream().broadcast_id).toBe(opened?.record.id);
    expect(broadcast(opened?.record.id).reconnect_window_s).toBe(30);
  });

  test.each([
    ['inside the window', {}, true],
    ['at its last moment', { disconnected_at: NOW - 60_000 }, true],
    ['after it', { disconnected_at: NOW - 60_001 }, false],
    [
      'while another node has the publisher',
      { ingest: { node: THERE, session: S2, since: 0 }, disconnected_at: null },
      true,
    ],
    ['when it is ending', { status: 'ending' as const }, false],
    ['when it has ended', { status: 'ended' as const, ended_at: 1 }, false],
  ])('a publisher that comes %s', async (_name, fields, isResumed) => {
    given(fields);
    const opened = await openBroadcast(records, STREAM, me);
    expect(opened?.isNew).toBe(!isResumed);
    expect(opened?.record.id === OLD).toBe(isResumed);
    expect(opened?.record).toMatchObject({ ingest: me, disconnected_at: null });
    if (!isResumed) expect(broadcast().status).not.toBe('live');
  });

  test('a missing or disabled stream opens nothing', async () => {
    stored.set(STREAM, { ...stream(), status: 'disabled' });
    expect(await openBroadcast(records, STREAM, me)).toBeNull();
    stored.delete(STREAM);
    expect(await openBroadcast(records, STREAM, me)).toBeNull();
    expect([...stored.keys()].filter((id) => id !== STREAM)).toEqual([]);
  });

  test('of two nodes that open at once one wins; the other leaves nothing running', async () => {
    beforeStreamUpdate = () => given({ ingest: { node: THERE, session: S2, since: NOW }, disconnected_at: null });
    await expect(openBroadcast(records, STREAM, me)).rejects.toThrow(OpenRaced);
    const running = [...stored.values()].filter((record) => record.status === 'live');
    expect(running.map((record) => record.id)).toEqual([OLD]);
  });
});

describe('afterwards', () => {
  test('the newest publisher wins', async () => {
    given({ ingest: { node: THERE, session: S2, since: 0 }, disconnected_at: null });
    expect(await noteArrival(records, OLD, me)).toBe('ours');
    expect(broadcast().ingest).toEqual(me);
  });

  test('a departure is noted, unless the publisher is elsewhere by now', async () => {
    given({ ingest: me, disconnected_at: null });
    expect(await noteDeparture(records, OLD, HERE, NOW)).toBe('ours');
    expect(broadcast()).toMatchObject({ ingest: null, disconnected_at: NOW });
    given({ ingest: { ...me, node: THERE }, disconnected_at: null });
    expect(await noteDeparture(records, OLD, HERE, NOW)).toBe('elsewhere');
    expect(broadcast().disconnected_at).toBeNull();
  });

  test('an ending too', async () => {
    given({ ingest: { ...me, node: THERE }, disconnected_at: null });
    expect(await noteEnding(records, OLD, HERE)).toBe('elsewhere');
    expect(broadcast().status).toBe('live');
    given({});
    expect(await noteEnding(records, OLD, HERE)).toBe('over');
    expect(broadcast()).toMatchObject({ status: 'ending', ingest: null, disconnected_at: NOW - 10_000 });
  });

  test('nothing brings an ended broadcast back', async () => {
    given({ status: 'ended', ended_at: 1 });
    expect(await noteArrival(records, OLD, me)).toBe('over');
    expect(await noteDeparture(records, OLD, HERE, NOW)).toBe('over');
    expect(broadcast()).toMatchObject({ status: 'ended', ingest: null });
    expect(standingOf(null, HERE)).toBe('over');
    expect(isResumable(broadcast(), NOW)).toBe(false);
  });
});
