import { beforeEach, describe, expect, test } from 'vitest';
import { type BroadcastId, contentOf, type NodeId, type SessionId, type StreamId } from '../platform/contract/ids.ts';
import { BroadcastRecord, ContentRecord, type RecordOf, StreamRecord } from '../platform/contract/records.ts';
import {
  type Bid,
  type BroadcastRecords,
  isResumable,
  noteArrival,
  noteDeparture,
  noteEnding,
  type OnAir,
  OpenRaced,
  openBroadcast,
  resumeBroadcast,
  standingOf,
  staysOnAir,
} from './broadcast-records.ts';

const STREAM = 'streamAAAAAAAAAAAAAAAA' as StreamId;
const OLD = 'broadcastAAAAAAAAAAAAA' as BroadcastId;
const [HERE, THERE] = ['nodeAAAAAAAAAAAAAAAAAA', 'nodeBBBBBBBBBBBBBBBBBB'] as [NodeId, NodeId];
const [S1, S2] = ['sessionAAAAAAAAAAAAAAA', 'sessionBBBBBBBBBBBBBBB'] as [SessionId, SessionId];
const NOW = 1_000_000;

type Kind = 'stream' | 'broadcast' | 'content';
let stored: Map<string, RecordOf[Kind]>;
/** In the order of their creation. */
let created: Kind[];
/** Runs before the stream is changed: another node's move. */
let beforeStreamUpdate: () => void;
const records: BroadcastRecords = {
  async get<K extends Kind>(_kind: K, id: string) {
    const value = stored.get(id) as RecordOf[K] | undefined;
    return value === undefined ? null : { value, etag: '' };
  },
  async create(kind, value) {
    created.push(kind);
    stored.set(kind === 'content' ? `content ${value.id}` : value.id, value);
    return '';
  },
  async update<K extends Kind>(kind: K, id: string, change: (value: RecordOf[K]) => RecordOf[K] | null) {
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
const me: OnAir = { node: HERE, session: S1, since: NOW, key: 'primary' };
const other: OnAir = { node: THERE, session: S2, since: 0, key: 'primary' };
let gone: NodeId[];
const bid = (fields: Partial<Bid> = {}): Bid => ({
  publisher: me,
  claim: 'new',
  isThere: (node) => !gone.includes(node),
  ...fields,
});

function given(fields: object): void {
  const record = {
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
  };
  stored.set(OLD, BroadcastRecord.parse(record));
  stored.set(STREAM, { ...stream(), broadcast_id: OLD });
}
function givenStream(fields: object): void {
  const record = {
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
    ...fields,
  };
  stored.set(STREAM, StreamRecord.parse(record));
}

beforeEach(() => {
  beforeStreamUpdate = () => undefined;
  stored = new Map();
  created = [];
  gone = [];
  givenStream({});
});

describe('opening', () => {
  test('the first publish makes a broadcast and points the stream at it', async () => {
    const opened = await openBroadcast(records, STREAM, bid());
    if (opened.state !== 'opened') throw new Error(opened.state);
    expect(opened).toMatchObject({ isNew: true, record: { status: 'live', term: 0, ingest: me, latency_mode: 'low' } });
    expect(stream().broadcast_id).toBe(opened.record.id);
    expect(broadcast(opened.record.id).reconnect_window_s).toBe(30);
  });

  test("its content is held before it exists; the stream's settings are its own from then on", async () => {
    givenStream({ transcode: 'passthrough', redundancy: 'hot', use_slate: true, dvr_window_s: 600, record: true });
    const opened = await openBroadcast(records, STREAM, bid());
    if (opened.state !== 'opened') throw new Error(opened.state);
    const { record } = opened;
    expect(created).toEqual(['content', 'broadcast']);
    expect(ContentRecord.parse(stored.get(`content ${record.content_id}`)).holders).toEqual([record.id]);
    expect(record).toMatchObject({ transcode: 'passthrough', redundancy: 'hot', use_slate: true, dvr_window_s: 600 });
    expect(record.asset_id).toMatch(/^[A-Za-z0-9]{22}$/);
    expect(record.fault).toBeNull();
  });

  test('what is not to be recorded has no asset', async () => {
    givenStream({ record: false });
    const opened = await openBroadcast(records, STREAM, bid());
    expect(opened).toMatchObject({ state: 'opened', record: { asset_id: null } });
  });

  test.each([
    ['inside the window', {}, true],
    ['at its last moment', { disconnected_at: NOW - 60_000 }, true],
    ['after it', { disconnected_at: NOW - 60_001 }, false],
    ['while another node has a publisher of this key', { ingest: other, disconnected_at: null }, true],
    ['when it is ending', { status: 'ending' }, false],
    ['when it has ended', { status: 'ended', ended_at: 1 }, false],
  ])('a publisher that comes %s', async (_name, fields, isResumed) => {
    given(fields);
    const opened = await openBroadcast(records, STREAM, bid());
    if (opened.state !== 'opened') throw new Error(opened.state);
    expect(opened.isNew).toBe(!isResumed);
    expect(opened.record.id === OLD).toBe(isResumed);
    expect(opened.record).toMatchObject({ ingest: me, disconnected_at: null });
    if (!isResumed) expect(broadcast().status).not.toBe('live');
  });

  test('a missing or disabled stream opens nothing', async () => {
    givenStream({ status: 'disabled' });
    expect(await openBroadcast(records, STREAM, bid())).toEqual({ state: 'refused' });
    stored.delete(STREAM);
    expect(await openBroadcast(records, STREAM, bid())).toEqual({ state: 'refused' });
    expect([...stored.keys()].filter((id) => id !== STREAM)).toEqual([]);
  });

  test('of two nodes that open at once one wins; the other leaves nothing running and nothing to record', async () => {
    beforeStreamUpdate = () => given({ ingest: other, disconnected_at: null });
    await expect(openBroadcast(records, STREAM, bid())).rejects.toThrow(OpenRaced);
    const made = [...stored.values()].filter((record) => 'stream_id' in record);
    expect(made.filter((record) => record.status === 'live').map((record) => record.id)).toEqual([OLD]);
    const lost = made.find((record) => record.id !== OLD);
    expect(lost).toMatchObject({ status: 'ended', asset_id: null, epochs: [] });
  });
});

describe('who is on air', () => {
  const backup: OnAir = { ...other, key: 'backup' };
  test.each([
    ['a newcomer of the same key takes over', other, 'new', false],
    ['a newcomer of the other key stands by', backup, 'new', true],
    ['who only stood by takes nobody off', other, 'standby', true],
    ['nor the other key', backup, 'standby', true],
    ['a command takes anybody off', backup, 'command', false],
    ['at the same node the node decides', { ...backup, node: HERE }, 'standby', false],
  ] as const)('%s', (_name, ingest, claim, stays) => {
    given({ ingest, disconnected_at: null });
    expect(staysOnAir(broadcast(), bid({ claim }))).toBe(stays);
  });

  test('a node that is gone holds nothing', async () => {
    given({ ingest: backup, disconnected_at: null });
    expect(await openBroadcast(records, STREAM, bid())).toMatchObject({ state: 'standby' });
    expect(broadcast().ingest).toEqual(backup);
    gone = [THERE];
    expect(await openBroadcast(records, STREAM, bid())).toMatchObject({ state: 'opened', isNew: false });
    expect(broadcast().ingest).toEqual(me);
  });

  test('a node that is not in the registry yet is not taken for gone', async () => {
    gone = [THERE];
    given({ ingest: { ...backup, since: NOW - 2_900 }, disconnected_at: null });
    expect(staysOnAir(broadcast(), bid())).toBe(true);
    given({ ingest: { ...backup, since: NOW - 3_100 }, disconnected_at: null });
    expect(staysOnAir(broadcast(), bid())).toBe(false);
  });

  test('whoever stood by learns when the last one left', async () => {
    given({ ingest: null, disconnected_at: NOW - 700 });
    const opened = await resumeBroadcast(records, OLD, bid({ claim: 'standby' }));
    expect(opened).toMatchObject({ state: 'opened', leftAt: NOW - 700 });
  });

  test('what is over is not opened anew by one that stood by for it', async () => {
    given({ status: 'ending', ingest: null });
    expect(await resumeBroadcast(records, OLD, bid({ claim: 'standby' }))).toEqual({ state: 'refused' });
    expect(created).toEqual([]);
  });
});

describe('afterwards', () => {
  test('the newest publisher of a key wins', async () => {
    given({ ingest: other, disconnected_at: null });
    expect(await noteArrival(records, OLD, bid())).toMatchObject({ standing: 'ours' });
    expect(broadcast().ingest).toEqual(me);
  });

  test('one that stood by finds another node on air and leaves it there', async () => {
    given({ ingest: other, disconnected_at: null });
    expect(await noteArrival(records, OLD, bid({ claim: 'standby' }))).toMatchObject({ standing: 'elsewhere' });
    expect(broadcast().ingest).toEqual(other);
  });

  test('a departure is noted, unless the publisher is elsewhere by now', async () => {
    given({ ingest: me, disconnected_at: null });
    expect(await noteDeparture(records, OLD, HERE, NOW)).toMatchObject({ standing: 'ours' });
    expect(broadcast()).toMatchObject({ ingest: null, disconnected_at: NOW });
    given({ ingest: other, disconnected_at: null });
    expect(await noteDeparture(records, OLD, HERE, NOW)).toMatchObject({ standing: 'elsewhere' });
    expect(broadcast().disconnected_at).toBeNull();
  });

  test('an ending too', async () => {
    given({ ingest: other, disconnected_at: null });
    expect(await noteEnding(records, OLD, HERE)).toMatchObject({ standing: 'elsewhere' });
    expect(broadcast().status).toBe('live');
    given({});
    expect(await noteEnding(records, OLD, HERE)).toMatchObject({ standing: 'over' });
    expect(broadcast()).toMatchObject({ status: 'ending', ingest: null, disconnected_at: NOW - 10_000 });
  });

  test('nothing brings an ended broadcast back', async () => {
    given({ status: 'ended', ended_at: 1 });
    expect(await noteArrival(records, OLD, bid())).toMatchObject({ standing: 'over' });
    expect(await noteDeparture(records, OLD, HERE, NOW)).toMatchObject({ standing: 'over' });
    expect(broadcast()).toMatchObject({ status: 'ended', ingest: null });
    expect(standingOf(null, HERE)).toBe('over');
    expect(isResumable(broadcast(), NOW)).toBe(false);
  });
});
