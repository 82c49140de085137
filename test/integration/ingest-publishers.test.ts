// Two publishers of one stream, on one ingest node and on two: who is on air, what the ring says, what the record says.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { hashKey } from '../../ingest/stream-keys.ts';
import { createEventBus, type EventBus } from '../../platform/adapters/event-bus.ts';
import type { NodeId, StreamId } from '../../platform/contract/ids.ts';
import type { StreamSignal } from '../../platform/contract/nodes.ts';
import type { BroadcastRecord, KeyKind } from '../../platform/contract/records.ts';
import { RING_KEYFRAME, RING_KINDS, type RingFrame } from '../../platform/contract/ring.ts';
import { silentLogger } from '../../platform/runtime/log.ts';
import { within } from '../../platform/runtime/waits.ts';
import {
  type Backstage,
  eventually,
  openBackstage,
  openRing,
  pictureTag,
  RingConnection,
  type RunningIngest,
  startIngest,
  textsOf,
} from '../support/ingest-service.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { connectRtmp, publishLikeObs } from '../support/rtmp-client.ts';
import { tempDir } from '../support/temp.ts';
import { FRAME_MS, GOP_MS, TestEncoder } from '../support/test-encoder.ts';

let redis: TestRedis;
let settings: Record<string, string>;
let backstage: Backstage;
let bus: EventBus;
let running: RunningIngest[];
let encoders: TestEncoder[];

beforeEach(async () => {
  redis = await startRedis();
  settings = { REDIS_URL: redis.url, HEADWATER_DATA_DIR: await tempDir('publishers') };
  backstage = await openBackstage(redis.url, settings['HEADWATER_DATA_DIR'] ?? '');
  bus = createEventBus(backstage.redis, silentLogger);
  running = [];
  encoders = [];
});
afterEach(async () => {
  for (const encoder of encoders) await encoder.cut();
  for (const node of running.reverse()) await node.stop();
  await backstage.close();
  await redis.stop();
});

async function startEncoder(node: RunningIngest, key: string, name: string): Promise<TestEncoder> {
  const encoder = await TestEncoder.start(node.rtmpPort, key, name);
  encoders.push(encoder);
  return encoder;
}
async function ingest(more: Record<string, string> = {}): Promise<RunningIngest> {
  const started = await startIngest({ ...settings, ...more });
  running.push(started);
  return started;
}
const recordWith = (stream: StreamId, what: string, test: (record: BroadcastRecord) => boolean, ms?: number) =>
  eventually(
    what,
    async () => {
      const record = await backstage.broadcastOf(stream);
      return record !== null && test(record) ? record : null;
    },
    ms,
  );
const onAir = (stream: StreamId, key: KeyKind, node?: NodeId, ms?: number) =>
  recordWith(
    stream,
    `${key} on air`,
    ({ ingest: held }) => held?.key === key && (node === undefined || held.node === node),
    ms,
  );
const signalOf = async ({ node }: RunningIngest, stream: StreamId): Promise<StreamSignal | null> =>
  (await backstage.said(node))?.signals?.[stream] ?? null;
const pictures = (ring: RingConnection): RingFrame[] =>
  ring.of(RING_KINDS.video).filter(({ payload }) => payload[1] === 1);
const arrives = (ring: RingConnection, name: string, ms?: number) =>
  eventually(`pictures of ${name}`, async () => textsOf(ring).some((text) => text.startsWith(name)), ms);
/** Where the pictures of one encoder follow those of another: the time between, and whether it begins with a key frame. */
function seam(ring: RingConnection, to: string): { gapMs: number; isKey: boolean } {
  const all = pictures(ring);
  const at = all.findIndex(({ payload }) => Buffer.from(payload).subarray(5).toString().startsWith(to));
  const [before, after] = [all[at - 1], all[at]];
  if (before === undefined || after === undefined) throw new Error('no seam');
  return { gapMs: after.arrival - before.arrival, isKey: (after.flags & RING_KEYFRAME) !== 0 };
}
const isRising = (values: number[]): boolean => values.every((value, i) => i === 0 || value >= (values[i - 1] ?? 0));

describe('two publishers at one node', () => {
  test('the backup takes over when the connection of the primary ends; back only on command, then without a gap', async () => {
    const { id, key, backupKey } = await backstage.addStream();
    const node = await ingest();
    const primary = await startEncoder(node, key, 'primary');
    const opened = await onAir(id, 'primary');
    await startEncoder(node, backupKey, 'backup');
    const ring = await openRing(node, opened.id);
    await eventually('a standby', async () => (await signalOf(node, id))?.has_standby ?? false);
    expect(textsOf(ring).some((text) => text.startsWith('backup'))).toBe(false);
    await primary.cut();
    await arrives(ring, 'backup');
    const first = seam(ring, 'backup');
    expect(first.isKey).toBe(true);
    expect(first.gapMs).toBeLessThanOrEqual(GOP_MS + 1_000);
    expect((await onAir(id, 'backup')).id).toBe(opened.id);
    await startEncoder(node, key, 'returned');
    await eventually('the returned one stands by', async () => (await signalOf(node, id))?.has_standby ?? false);
    expect((await backstage.broadcastOf(id))?.ingest?.key).toBe('backup');
    expect(textsOf(ring).some((text) => text.startsWith('returned'))).toBe(false);
    await bus.publish({ type: 'switch', id, to: 'primary' });
    await arrives(ring, 'returned');
    expect(seam(ring, 'returned')).toMatchObject({ isKey: true });
    expect(seam(ring, 'returned').gapMs).toBeLessThan(GOP_MS / 2);
    await onAir(id, 'primary');
    expect(ring.of(RING_KINDS.away)).toEqual([]);
    expect(isRising(pictures(ring).map(({ arrival }) => arrival))).toBe(true);
    ring.close();
  });

  test('and when the primary falls silent with its connection open: no picture is lost but those it did not send', async () => {
    const { id, key, backupKey } = await backstage.addStream();
    const node = await ingest();
    const primary = await startEncoder(node, key, 'primary');
    const opened = await onAir(id, 'primary');
    await startEncoder(node, backupKey, 'backup');
    await eventually('a standby', async () => (await signalOf(node, id))?.has_standby ?? false);
    const ring = await openRing(node, opened.id);
    primary.fallSilent();
    await arrives(ring, 'backup', 5_000);
    const { gapMs, isKey } = seam(ring, 'backup');
    expect(isKey).toBe(true);
    // What the backup sent meanwhile was kept: the hole is what is left of its group of pictures.
    expect(gapMs).toBeLessThanOrEqual(GOP_MS + 4 * FRAME_MS);
    expect(primary.client.isClosed).toBe(false);
    expect(ring.of(RING_KINDS.away)).toEqual([]);
    ring.close();
  });

  test('a kick cuts both off and keeps the broadcast; complete ends it', async () => {
    const { id, key, backupKey } = await backstage.addStream();
    const node = await ingest();
    const both = [await startEncoder(node, key, 'primary'), await startEncoder(node, backupKey, 'backup')];
    const opened = await onAir(id, 'primary');
    await bus.publish({ type: 'kick', id });
    for (const { client } of both) await within(client.closed, 2_000, 'cut off');
    const left = await recordWith(id, 'nobody on air', ({ ingest: held }) => held === null);
    expect(left).toMatchObject({ id: opened.id, status: 'live' });
    const again = await startEncoder(node, backupKey, 'again');
    const ring = await openRing(node, opened.id);
    await arrives(ring, 'again');
    await bus.publish({ type: 'complete', id });
    await within(again.client.closed, 2_000, 'cut off');
    await eventually('the end frame', async () => ring.over === 'end', 3_000);
    expect(await backstage.broadcastOf(id)).toMatchObject({ id: opened.id, status: 'ending', ingest: null });
  });

  test('a rotated key is good until its time; its publisher is replaced by one with the new key', async () => {
    const { id, key } = await backstage.addStream();
    const node = await ingest();
    const until = Date.now() + 60_000;
    const old = await startEncoder(node, key, 'old');
    const opened = await onAir(id, 'primary');
    await backstage.records.update('stream', id, (stream) => ({
      ...stream,
      key_hash: hashKey('the-new-key'),
      old_keys: [{ hash: stream.key_hash, key: 'primary', until }],
    }));
    await bus.publish({ type: 'stream-keys' });
    await eventually('the new key', async () => {
      await startEncoder(node, 'the-new-key', 'new').catch(() => null);
      return old.client.isClosed;
    });
    const ring = await openRing(node, opened.id);
    await arrives(ring, 'new');
    await startEncoder(node, key, 'old again');
    await backstage.records.update('stream', id, (stream) => ({
      ...stream,
      old_keys: stream.old_keys.map((entry) => ({ ...entry, until: Date.now() })),
    }));
    await bus.publish({ type: 'stream-keys' });
    const expired = encoders.at(-1);
    await within(expired?.client.closed ?? Promise.resolve(), 5_000, 'expired');
    expect((await backstage.broadcastOf(id))?.id).toBe(opened.id);
    ring.close();
  });
});

describe('two publishers at two nodes', () => {
  test('the backup stands by there, takes over, and gives back on command', async () => {
    const { id, key, backupKey } = await backstage.addStream();
    const [a, b] = [await ingest(), await ingest()];
    const primary = await startEncoder(a, key, 'primary');
    const opened = await onAir(id, 'primary', a.node);
    const atA = await openRing(a, opened.id);
    const backup = await startEncoder(b, backupKey, 'backup');
    await eventually('a standby elsewhere', async () => (await signalOf(a, id))?.has_standby ?? false);
    expect(await backstage.broadcastOf(id)).toMatchObject({ ingest: { node: a.node, key: 'primary' } });
    expect((await RingConnection.open(b.url, opened.id, 'from=start')).status).toBe(404);
    await primary.cut();
    const taken = await onAir(id, 'backup', b.node, 3_000);
    expect(taken.id).toBe(opened.id);
    const atB = await openRing(b, opened.id);
    await arrives(atB, 'backup');
    await eventually('the ring at the first node is cut', async () => atA.over === 'cut');
    expect(atA.of(RING_KINDS.away)).toEqual([]);
    const [last, first] = [pictures(atA).at(-1), pictures(atB)[0]];
    expect((first?.arrival ?? 0) - (last?.arrival ?? 0)).toBeLessThanOrEqual(GOP_MS + 1_000);
    expect((first?.flags ?? 0) & RING_KEYFRAME).toBe(RING_KEYFRAME);
    const returned = await startEncoder(a, key, 'returned');
    await eventually('the returned one stands by', async () => (await signalOf(b, id))?.has_standby ?? false);
    expect((await backstage.broadcastOf(id))?.ingest?.node).toBe(b.node);
    await bus.publish({ type: 'switch', id, to: 'primary' });
    await onAir(id, 'primary', a.node, 3_000);
    const back = await openRing(a, opened.id);
    await arrives(back, 'returned');
    await eventually('the ring at the second node is cut', async () => atB.over === 'cut');
    expect(backup.client.isClosed).toBe(false);
    returned.fallSilent();
    await onAir(id, 'backup', b.node, 6_000);
    back.close();
  });

  test('a node that is gone from the registry holds nobody up', async () => {
    const { id, key, backupKey } = await backstage.addStream();
    const a = await startIngest(settings);
    await startEncoder(a, key, 'primary');
    const opened = await onAir(id, 'primary', a.node);
    await a.stop();
    // As a kill would have left it.
    await backstage.records.update('broadcast', opened.id, (record) => ({
      ...record,
      ingest: opened.ingest,
      disconnected_at: null,
    }));
    const b = await ingest();
    await startEncoder(b, backupKey, 'backup');
    expect((await onAir(id, 'backup', b.node)).id).toBe(opened.id);
  });
});

describe('nobody publishes', () => {
  test('the ring says so, to those who come later too, until somebody does', async () => {
    const { id, key } = await backstage.addStream();
    const node = await ingest();
    const first = await startEncoder(node, key, 'first');
    const opened = await onAir(id, 'primary');
    const ring = await openRing(node, opened.id);
    await arrives(ring, 'first');
    const cutAt = Date.now();
    await first.cut();
    await eventually('the away frame', async () => ring.of(RING_KINDS.away).length === 1, 1_000);
    expect(Math.abs((ring.of(RING_KINDS.away)[0]?.arrival ?? 0) - cutAt)).toBeLessThan(500);
    const late = await openRing(node, opened.id, 'from=live');
    await eventually('the away frame again', async () => late.frames.at(-1)?.kind === RING_KINDS.away, 1_000);
    await startEncoder(node, key, 'second');
    await arrives(late, 'second');
    const kinds = late.frames.map(({ kind }) => kind);
    expect(kinds.indexOf(RING_KINDS.session, 1)).toBe(kinds.indexOf(RING_KINDS.away) + 1);
    expect((await onAir(id, 'primary')).id).toBe(opened.id);
    ring.close();
    late.close();
  });

  test('sound alone is a broadcast: a reader may begin at any of it', async () => {
    const { id, key } = await backstage.addStream();
    const node = await ingest();
    const client = await connectRtmp(node.rtmpPort);
    await publishLikeObs(client, node.rtmpPort, key);
    client.tag({ type: 8, timestamp: 0, body: Buffer.from([0xaf, 0, 0x12, 0x10]) });
    for (let i = 0; i < 40; i++) client.tag({ type: 8, timestamp: i * 23, body: Buffer.from([0xaf, 1, i]) });
    const record = await onAir(id, 'primary');
    const ring = await openRing(node, record.id);
    await eventually('all of it', async () => ring.of(RING_KINDS.audio).length === 41);
    const live = await openRing(node, record.id, 'from=live');
    await eventually('the newest', async () => live.of(RING_KINDS.audio).length === 2);
    expect(live.of(RING_KINDS.audio).at(-1)?.payload[2]).toBe(39);
    ring.close();
    live.close();
    await client.destroy();
  });
});

test('a publisher that sends more than the limit is cut off, with the reason', async () => {
  const { id, key } = await backstage.addStream();
  const node = await ingest({ HEADWATER_INGEST_MAX_BITRATE_BPS: '100000' });
  const encoder = await startEncoder(node, key, 'big');
  await onAir(id, 'primary');
  encoder.client.tag(pictureTag(0, 'x'.repeat(200_000), true));
  await within(encoder.client.closed, 2_000, 'cut off');
  expect(encoder.client.received.toString('latin1')).toContain('Lower the bitrate');
  expect(await node.metrics.expose()).toContain('headwater_ingest_ended_total{reason="bitrate"} 1');
});
