// The ingest role over a real Redis and a real store: broadcasts, keys, rings, jobs, as other roles see them.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { hashKey } from '../../ingest/stream-keys.ts';
import { createEventBus } from '../../platform/adapters/event-bus.ts';
import { createLeases } from '../../platform/adapters/leases.ts';
import { createQueue, type JobQueue } from '../../platform/adapters/queue.ts';
import type { StreamId } from '../../platform/contract/ids.ts';
import { liveJobId } from '../../platform/contract/jobs.ts';
import { leases as leaseNames, liveBroadcastsKey } from '../../platform/contract/redis-keys.ts';
import { RING_KEYFRAME, RING_KINDS } from '../../platform/contract/ring.ts';
import { silentLogger } from '../../platform/runtime/log.ts';
import { delay, within } from '../../platform/runtime/waits.ts';
import {
  type Backstage,
  eventually,
  INTERNAL_SECRET,
  openBackstage,
  pictureTag,
  RingConnection,
  type RunningIngest,
  sendHeaders,
  startIngest,
  textsOf,
} from '../support/ingest-service.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { connectRtmp, publishLikeObs, type RtmpClient, readFlv } from '../support/rtmp-client.ts';
import { tempDir } from '../support/temp.ts';

const CLIP = 'test/media/rabbit320.mp4';
let redis: TestRedis;
let settings: Record<string, string>;
let backstage: Backstage;
let queue: JobQueue;
let running: { stop(): Promise<void> }[];
let clients: RtmpClient[];

beforeEach(async () => {
  redis = await startRedis();
  settings = { REDIS_URL: redis.url, HEADWATER_DATA_DIR: await tempDir('ingest') };
  backstage = await openBackstage(redis.url, settings['HEADWATER_DATA_DIR'] ?? '');
  queue = createQueue(redis.url, ['live'], silentLogger);
  await queue.start();
  running = [];
  clients = [];
});
afterEach(async () => {
  for (const client of clients) client.socket.destroy();
  for (const { stop } of running.reverse()) await stop();
  await queue.close();
  await backstage.close();
  await redis.stop();
});

async function ingest(more: Record<string, string> = {}): Promise<RunningIngest> {
  const started = await startIngest({ ...settings, ...more });
  running.push(started);
  return started;
}

async function publish(node: RunningIngest, key: string): Promise<RtmpClient> {
  const client = await connectRtmp(node.rtmpPort);
  clients.push(client);
  await publishLikeObs(client, node.rtmpPort, key);
  sendHeaders(client);
  return client;
}
const frame = pictureTag;
const live = (stream: StreamId) =>
  eventually('a live broadcast', async () => {
    const record = await backstage.broadcastOf(stream);
    return record?.status === 'live' && record.ingest !== null ? record : null;
  });
const arrives = (ring: RingConnection, text: string) => eventually(text, async () => textsOf(ring).includes(text));
const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

async function run(program: string, args: string[]): Promise<Buffer> {
  const child = spawn('nice', [program, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const chunks: Buffer[] = [];
  for await (const chunk of child.stdout) chunks.push(chunk as Buffer);
  if (child.exitCode === null) await once(child, 'exit');
  if (child.exitCode !== 0) throw new Error(`${program}: exit ${child.exitCode}`);
  return Buffer.concat(chunks);
}

describe('a push', () => {
  test('of ffmpeg -c copy reaches a worker: every tag, in order, byte for byte', async () => {
    const { id, key } = await backstage.addStream({ reconnect_window_s: 1 });
    const node = await ingest();
    const file = await run('ffmpeg', ['-v', 'error', '-i', CLIP, '-t', '4', '-c', 'copy', '-f', 'flv', 'pipe:1']);
    const address = `rtmp://127.0.0.1:${node.rtmpPort}/live/${key}`;
    const pushing = run('ffmpeg', ['-v', 'error', '-re', '-i', CLIP, '-t', '4', '-c', 'copy', '-f', 'flv', address]);
    const record = await live(id);
    const ring = await RingConnection.open(node.url, record.id, 'from=start');
    expect(ring.status).toBe(200);
    const described = await eventually('a bit rate in the registry', async () => {
      const info = await backstage.said(node.node);
      return (info?.bitrates?.[id] ?? 0) > 10_000 ? info : null;
    });
    expect(described.url).toBe(node.url);
    expect(described.load['publishers']).toBe(1);
    expect(described.signals?.[id]).toMatchObject({
      key: 'primary',
      width: 320,
      video_codec: 'h264',
      has_standby: false,
    });
    await pushing;
    await eventually('the end frame', async () => ring.over === 'end');
    expect(ring.frames.at(-1)?.kind).toBe(RING_KINDS.end);
    for (const kind of [RING_KINDS.audio, RING_KINDS.video]) {
      const expected = readFlv(file).filter((tag) => tag.type === kind);
      expect(ring.of(kind).map((tag) => `${tag.timestamp} ${sha(tag.payload)}`)).toEqual(
        expected.map((tag) => `${tag.timestamp} ${sha(tag.body)}`),
      );
    }
    const order = ring.frames.filter((tag) => tag.kind === RING_KINDS.audio || tag.kind === RING_KINDS.video);
    expect(order.map((tag) => tag.tag)).toEqual([...order].map((tag) => tag.tag).sort((a, b) => a - b));
    expect((await backstage.broadcastOf(id))?.status).toBe('ending');
    expect(await node.metrics.expose()).toMatch(/headwater_ingest_received_bytes_total [1-9]/);
    expect(node.logLines.join('\n')).not.toContain(key);
    expect(await node.metrics.expose()).not.toContain(key);
  });

  test('encoded by ffmpeg has key frames where ffprobe finds them', async () => {
    const { id, key } = await backstage.addStream();
    const node = await ingest();
    const address = `rtmp://127.0.0.1:${node.rtmpPort}/live/${key}`;
    const encode = ['-c:v', 'libx264', '-preset', 'ultrafast', '-g', '15', '-bf', '0', '-c:a', 'aac', '-ar', '44100'];
    await run('ffmpeg', ['-v', 'error', '-i', CLIP, '-t', '2', '-vf', 'fps=30', ...encode, '-f', 'flv', address]);
    const record = await eventually('a broadcast', () => backstage.broadcastOf(id));
    const ring = await RingConnection.open(node.url, record.id, 'from=start');
    await eventually('all tags', async () => ring.of(RING_KINDS.video).length >= 61);
    const keys = ring.of(RING_KINDS.video).filter((tag) => (tag.flags & RING_KEYFRAME) !== 0);
    // The clock begins with the audio encoder's delay.
    const first = keys[0]?.timestamp ?? 0;
    expect(keys.map((tag) => tag.timestamp - first)).toEqual([0, 500, 1000, 1500]);
    ring.close();
  });
});

describe('the ring', () => {
  test('is for other roles alone, and says what it does not hold', async () => {
    const { id, key } = await backstage.addStream();
    const node = await ingest();
    const client = await publish(node, key);
    client.tag(frame(0, 'first', true));
    const record = await live(id);
    const status = async (path: string, query: string, secret = INTERNAL_SECRET) => {
      const ring = await RingConnection.open(node.url, path, query, secret);
      ring.close();
      return ring.status;
    };
    expect(await status(record.id, 'from=start', 'wrong')).toBe(401);
    expect(await status('AAAAAAAAAAAAAAAAAAAAAA', 'from=start')).toBe(404);
    expect(await status('..', 'from=start')).toBe(404);
    expect(await status(record.id, 'from=middle')).toBe(422);
    expect(await status(record.id, 'session=AAAAAAAAAAAAAAAAAAAAAA&tag=0')).toBe(410);
    expect(await status(record.id, `session=${record.ingest?.session}&tag=999`)).toBe(410);
    expect(await status(record.id, `session=${record.ingest?.session}&tag=0`)).toBe(200);
  });

  test('hands a reader over from its last tag, without a gap and without a repeat', async () => {
    const { id, key } = await backstage.addStream();
    const node = await ingest();
    const client = await publish(node, key);
    for (let i = 0; i < 5; i++) client.tag(frame(i * 40, `frame ${i}`, i === 0));
    const record = await live(id);
    const first = await RingConnection.open(node.url, record.id, 'from=start');
    await arrives(first, 'frame 4');
    first.close();
    const last = first.of(RING_KINDS.video).at(-1)?.tag ?? 0;
    for (let i = 5; i < 9; i++) client.tag(frame(i * 40, `frame ${i}`));
    const second = await RingConnection.open(node.url, record.id, `session=${record.ingest?.session}&tag=${last + 1}`);
    await arrives(second, 'frame 8');
    expect(second.frames[0]?.kind).toBe(RING_KINDS.session);
    expect(textsOf(second)).toEqual(['frame 5', 'frame 6', 'frame 7', 'frame 8']);
    // The headers come first in every body.
    expect(second.frames.slice(1, 4).map((found) => found.kind)).toEqual([18, 9, 8]);
    second.close();
  });

  test('goes on over a reconnect inside the window; after it, the broadcast ends', async () => {
    const { id, key } = await backstage.addStream({ reconnect_window_s: 2 });
    const node = await ingest();
    const first = await publish(node, key);
    first.tag(frame(0, 'before', true));
    const opened = await live(id);
    const ring = await RingConnection.open(node.url, opened.id, 'from=start');
    await arrives(ring, 'before');
    await first.destroy();
    await eventually('the departure', async () => (await backstage.broadcastOf(id))?.disconnected_at ?? null);
    const second = await publish(node, key);
    second.tag(frame(0, 'after', true));
    await arrives(ring, 'after');
    const resumed = await live(id);
    expect(resumed.id).toBe(opened.id);
    expect(resumed.ingest?.session).not.toBe(opened.ingest?.session);
    expect(ring.of(RING_KINDS.session).map((found) => Buffer.from(found.payload).toString())).toEqual([
      opened.ingest?.session,
      resumed.ingest?.session,
    ]);
    await second.destroy();
    await eventually('the end', async () => ring.over === 'end');
    expect((await backstage.broadcastOf(id))?.status).toBe('ending');
    const third = await publish(node, key);
    third.tag(frame(0, 'anew', true));
    const anew = await eventually('a new broadcast', async () => {
      const record = await backstage.broadcastOf(id);
      return record !== null && record.id !== opened.id ? record : null;
    });
    expect(anew.status).toBe('live');
  });

  test('cuts off a reader that falls behind, and keeps its bytes bounded', async () => {
    const { id, key } = await backstage.addStream();
    const node = await ingest({ HEADWATER_INGEST_RING_BYTES: '1000000' });
    const client = await publish(node, key);
    client.tag(frame(0, 'first', true));
    const record = await live(id);
    const stalled = await fetch(`${node.url}/ring/${record.id}?from=start`, {
      headers: { 'headwater-internal': INTERNAL_SECRET },
    });
    const big = 'x'.repeat(60_000);
    for (let i = 1; i < 400; i++) client.tag(frame(i * 33, big, i % 10 === 0));
    await eventually('the cut', async () => (await node.metrics.expose()).includes('ring_lagged_total 1'));
    const held = /headwater_ingest_ring_bytes (\d+)/.exec(await node.metrics.expose());
    expect(Number(held?.[1])).toBeLessThanOrEqual(1_000_000);
    await expect(stalled.arrayBuffer()).rejects.toThrow();
    expect(client.isClosed).toBe(false);
  });
});

describe('publishers', () => {
  test('a newer one with the same key takes over', async () => {
    const { id, key } = await backstage.addStream();
    const node = await ingest();
    const first = await publish(node, key);
    const opened = await live(id);
    const second = await publish(node, key);
    await within(first.closed, 1_000, 'the older one is cut off');
    const taken = await eventually('the new session', async () => {
      const record = await backstage.broadcastOf(id);
      return record?.ingest?.session !== opened.ingest?.session ? record : null;
    });
    expect(taken.id).toBe(opened.id);
    expect(second.isClosed).toBe(false);
  });

  test('move to another node: its ring serves, the old one is cut', async () => {
    const { id, key } = await backstage.addStream();
    const [a, b] = [await ingest(), await ingest()];
    const first = await publish(a, key);
    first.tag(frame(0, 'at a', true));
    const opened = await live(id);
    const atA = await RingConnection.open(a.url, opened.id, 'from=start');
    await arrives(atA, 'at a');
    const second = await publish(b, key);
    second.tag(frame(0, 'at b', true));
    await within(first.closed, 5_000, 'the older one is cut off');
    await eventually('the old ring is cut', async () => atA.over === 'cut');
    const moved = await live(id);
    expect(moved.id).toBe(opened.id);
    expect(moved.ingest?.node).toBe(b.node);
    const atB = await RingConnection.open(b.url, moved.id, 'from=start');
    await arrives(atB, 'at b');
    atB.close();
  });

  test('a reset key ends its publisher; the old key is refused, the new one let in', async () => {
    const { id, key } = await backstage.addStream();
    const node = await ingest();
    const client = await publish(node, key);
    const opened = await live(id);
    await backstage.records.update('stream', id, (stream) => ({ ...stream, key_hash: hashKey('the-new-key') }));
    const bus = createEventBus(backstage.redis, silentLogger);
    await bus.publish({ type: 'kick', id });
    await within(client.closed, 2_000, 'cut off');
    await expect(publish(node, key)).rejects.toThrow();
    const back = await publish(node, 'the-new-key');
    expect(back.isClosed).toBe(false);
    expect((await live(id)).id).toBe(opened.id);
  });

  test('a reset key ends its publisher also when every event is lost', async () => {
    const { id, key } = await backstage.addStream();
    const node = await ingest();
    const client = await publish(node, key);
    await live(id);
    await backstage.records.update('stream', id, (stream) => ({ ...stream, key_hash: hashKey('another-key') }));
    await within(client.closed, 5_000, 'cut off by the poll');
  });

  test('a disabled stream ends at once, its key is refused', async () => {
    const { id, key } = await backstage.addStream();
    const node = await ingest();
    const client = await publish(node, key);
    client.tag(frame(0, 'on air', true));
    const opened = await live(id);
    const ring = await RingConnection.open(node.url, opened.id, 'from=start');
    await backstage.records.update('stream', id, (stream) => ({ ...stream, status: 'disabled' }));
    const bus = createEventBus(backstage.redis, silentLogger);
    await bus.publish({ type: 'kick', id });
    await within(client.closed, 2_000, 'cut off');
    await eventually('the end frame', async () => ring.over === 'end');
    const again = await connectRtmp(node.rtmpPort);
    clients.push(again);
    await publishLikeObs(again, node.rtmpPort, key).catch(() => undefined);
    await within(again.closed, 3_000, 'refused');
    expect((await backstage.broadcastOf(id))?.id).toBe(opened.id);
  });

  test('a silent one is dropped', async () => {
    const { id, key } = await backstage.addStream();
    const node = await ingest({ HEADWATER_INGEST_SILENCE_MS: '1000' });
    const client = await publish(node, key);
    await live(id);
    await within(client.closed, 3_000, 'dropped');
    await eventually('the departure', async () => (await backstage.broadcastOf(id))?.disconnected_at ?? null);
  });

  test('stopping the node notes their departure, so that another node resumes the broadcast', async () => {
    const { id, key } = await backstage.addStream();
    const node = await startIngest(settings);
    const client = await publish(node, key);
    const opened = await live(id);
    await node.stop();
    await within(client.closed, 1_000, 'cut off');
    expect(await backstage.broadcastOf(id)).toMatchObject({ status: 'live', ingest: null });
    const next = await ingest();
    await publish(next, key);
    expect((await live(id)).id).toBe(opened.id);
  });
});

describe('jobs', () => {
  test('the first term at once; the next when the lease lapses; none while it is held', async () => {
    const { id, key } = await backstage.addStream();
    const leases = createLeases(backstage.redis, silentLogger);
    const node = await ingest();
    await publish(node, key).then((client) => {
      const timer = setInterval(() => client.tag(frame(Date.now() % 100_000, 'tick', true)), 100);
      void client.closed.then(() => clearInterval(timer));
    });
    const { id: broadcast } = await live(id);
    await eventually('job 1', async () => (await queue.state('live', liveJobId(broadcast, 1))) === 'waiting');
    expect(await backstage.redis.client.hGet(liveBroadcastsKey, broadcast)).toBe(id);
    const lease = await leases.acquire(leaseNames.live(broadcast), 3_000);
    await backstage.records.update('broadcast', broadcast, (record) => ({ ...record, term: 1 }));
    // That nothing happens can only be waited for: twice the time after which a missing holder is noticed.
    await delay(2_500);
    expect(await queue.state('live', liveJobId(broadcast, 2))).toBeNull();
    await lease?.release();
    await eventually('job 2', async () => (await queue.state('live', liveJobId(broadcast, 2))) === 'waiting', 4_000);
  });

  test('FLUSHALL: the publisher stays, its key stays known, the job comes back, a held lease is left alone', async () => {
    const { id, key } = await backstage.addStream();
    const other = await backstage.addStream();
    const leases = createLeases(backstage.redis, silentLogger);
    const node = await ingest();
    const client = await publish(node, key);
    const { id: broadcast } = await live(id);
    const { id: held } = await publish(node, other.key).then(() => live(other.id));
    await leases.acquire(leaseNames.live(held), 3_000);
    await backstage.records.update('broadcast', held, (record) => ({ ...record, term: 1 }));
    await eventually('job 1', async () => (await queue.state('live', liveJobId(broadcast, 1))) === 'waiting');
    await redis.flush();
    const again = await publish(node, key);
    await within(client.closed, 1_000, 'taken over right after the flush');
    await eventually(
      'job 1 again',
      async () => (await queue.state('live', liveJobId(broadcast, 1))) === 'waiting',
      6_000,
    );
    await eventually('the live index', async () => backstage.redis.client.hGet(liveBroadcastsKey, broadcast), 15_000);
    expect(await queue.state('live', liveJobId(held, 2))).toBeNull();
    expect(again.isClosed).toBe(false);
    expect((await live(id)).id).toBe(broadcast);
  });
});
