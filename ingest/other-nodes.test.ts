import { expect, test } from 'vitest';
import type { NodeId, StreamId } from '../platform/contract/ids.ts';
import type { NodeInfo, Role } from '../platform/contract/nodes.ts';
import { sampleNode } from '../test/support/sample-records.ts';
import { createOtherNodes } from './other-nodes.ts';

const [HERE, THERE] = ['nodeAAAAAAAAAAAAAAAAAA', 'nodeBBBBBBBBBBBBBBBBBB'] as [NodeId, NodeId];
const STREAM = 'streamAAAAAAAAAAAAAAAA' as StreamId;

const signal = (key: string, bitrate_bps = 1_000_000) => ({
  [STREAM]: {
    health: 'healthy',
    advice: [],
    key,
    has_standby: false,
    bitrate_bps,
    frame_rate: 30,
    gop_s: 1,
    width: 320,
    height: 180,
    video_codec: 'h264',
    audio_codec: 'aac',
    speed: 1,
  },
});
const node = (id: NodeId, role: Role, fields: object = {}): NodeInfo => sampleNode(role, { id, ...fields });
const seen = (...nodes: NodeInfo[]) =>
  createOtherNodes({ nodes: (role) => nodes.filter((known) => known.role === role) }, HERE);

test('a node is there while the registry names it; this one always is', () => {
  expect(seen(node(THERE, 'ingest')).isThere(THERE)).toBe(true);
  expect(seen().isThere(THERE)).toBe(false);
  expect(seen().isThere(HERE)).toBe(true);
});

test("another node's publisher counts when it sends and has the other key", () => {
  const other = seen(node(THERE, 'ingest', { signals: signal('backup') }));
  expect(other.hasPublisher(STREAM, 'primary')).toBe(true);
  expect(other.hasPublisher(STREAM, 'backup')).toBe(false);
  expect(other.hasPublisher(STREAM, null)).toBe(true);
  expect(other.hasPublisher('another' as StreamId, null)).toBe(false);
  expect(seen(node(THERE, 'ingest', { signals: signal('backup', 0) })).hasPublisher(STREAM, null)).toBe(false);
  expect(seen(node(HERE, 'ingest', { signals: signal('backup') })).hasPublisher(STREAM, null)).toBe(false);
});

test('workers for on-demand alone, or about to stop, take no live jobs', () => {
  const workers = seen(
    node(HERE, 'transcoder'),
    node(THERE, 'transcoder', { pool: 'live' }),
    node(THERE, 'transcoder', { pool: 'vod' }),
    node(THERE, 'transcoder', { state: 'draining' }),
  );
  expect(workers.liveWorkers()).toBe(2);
});
