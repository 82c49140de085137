// An origin over a real MinIO: on-demand playback, ranges, the store going away and coming back.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openStorage } from '../../platform/adapters/open-storage.ts';
import { createRecords, type Records } from '../../platform/adapters/records.ts';
import { createRedis, type RedisConnection } from '../../platform/adapters/redis.ts';
import type { ObjectStorage } from '../../platform/adapters/storage.ts';
import { createTimelineWriter } from '../../platform/adapters/timeline-store.ts';
import { type BroadcastId, type ContentId, contentOf, newId, type StreamId } from '../../platform/contract/ids.ts';
import { initKey, type ObjectKey, renditionIndexKey, segmentKey } from '../../platform/contract/object-keys.ts';
import { mediaPlaylistPath, segmentUri } from '../../platform/contract/routes.ts';
import { silentLogger } from '../../platform/runtime/log.ts';
import { delay } from '../../platform/runtime/waits.ts';
import { hasMinio, startMinio, type TestMinio } from '../support/minio.ts';
import { until } from '../support/platform.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import {
  A0,
  ASSET,
  assetOf,
  audio0,
  broadcastOf,
  entriesOf,
  renditionIndexOf,
  streamOf,
  V360,
  VIDEO_PLAYBACK,
  video360,
  WRITER,
} from '../support/timelines.ts';
import { type RunningOrigin, startOrigin } from './origin-rig.ts';

const CONTENT = String(ASSET) as ContentId;
const media = mediaPlaylistPath(CONTENT, V360);
const segment = media.replace('index.m3u8', segmentUri(1, 0, WRITER));
const bytes = Buffer.alloc(300_000, 'headwater ');

describe.skipIf(!(await hasMinio()))('on MinIO', () => {
  let minio: TestMinio;
  let redis: TestRedis;
  let connection: RedisConnection;
  let records: Records;
  let storage: ObjectStorage;
  let origin: RunningOrigin;

  const put = (key: ObjectKey, body: Buffer) =>
    storage.put(key, body, {
      bytes: body.byteLength,
      contentType: 'application/octet-stream',
      condition: { ifNoneMatch: '*' },
    });

  beforeAll(async () => {
    [minio, redis] = await Promise.all([startMinio(), startRedis()]);
    storage = openStorage(minio.settings, silentLogger);
    await storage.prove();
    connection = createRedis(redis.url, silentLogger);
    await connection.start();
    records = createRecords(storage, connection, silentLogger);
    await records.ensureIndex();
    await put(renditionIndexKey(CONTENT, V360, WRITER), Buffer.from(JSON.stringify(renditionIndexOf(video360))));
    await put(renditionIndexKey(CONTENT, A0, WRITER), Buffer.from(JSON.stringify(renditionIndexOf(audio0))));
    await put(segmentKey({ content: CONTENT, rendition: V360, epoch: 1, msn: 0, writer: WRITER }), bytes);
    await put(initKey({ content: CONTENT, rendition: V360, epoch: 1 }), Buffer.from('init'));
    await records.create('asset', assetOf());
    origin = await startOrigin(redis.url, minio.settings);
  });

  afterAll(async () => {
    await origin?.close();
    await connection?.close();
    await storage?.close();
    await redis?.stop();
    await minio?.stop();
  });

  test('master, media playlist, init, segment', async () => {
    const master = await origin.get(`/${VIDEO_PLAYBACK}.m3u8`);
    expect([master.status, await master.text()]).toEqual([200, expect.stringContaining(media.slice(1))]);
    expect(await (await origin.get(media)).text()).toContain(segmentUri(1, 0, WRITER));
    expect(await (await origin.get(media.replace('index.m3u8', '1/init.mp4'))).text()).toBe('init');
    expect(Buffer.from(await (await origin.get(segment)).arrayBuffer()).equals(bytes)).toBe(true);
  });

  test('a transfer goes on where it broke off', async () => {
    const { headers } = await origin.get(segment);
    const rest = await origin.get(segment, { range: 'bytes=123456-', 'if-range': headers.get('etag') ?? '' });
    expect([rest.status, rest.headers.get('content-range')]).toEqual([206, 'bytes 123456-299999/300000']);
    expect(Buffer.from(await rest.arrayBuffer()).equals(bytes.subarray(123_456))).toBe(true);
  });

  test('ready; then the store goes away: media 503, held playlists stay, not ready; then back', async () => {
    const isReady = async () => (await fetch(`${origin.url}/readyz`)).status === 200;
    await until('ready', 10_000, isReady);
    const held = await (await origin.get(media)).text();
    await minio.kill();
    const refused = await origin.get(segment);
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(refused.headers.get('headwater-scope')).toBeNull();
    expect(await (await origin.get(media)).text()).toBe(held);
    await until('not ready', 10_000, async () => !(await isReady()));
    const metrics = await (await fetch(`${origin.privateUrl}/metrics`)).text();
    expect(Number(/^headwater_origin_storage_errors_total (\d+)/m.exec(metrics)?.[1])).toBeGreaterThan(0);
    await minio.restart();
    await until('media again', 15_000, async () => (await origin.get(segment)).status === 200);
    await until('ready again', 10_000, isReady);
  });

  test('a live goes on without the store: reloads are answered as parts come, long after records have grown old', async () => {
    const id = newId<BroadcastId>();
    const streamId = newId<StreamId>();
    const content = contentOf(id);
    await records.create('broadcast', broadcastOf({ id, content_id: content, stream_id: streamId }));
    await records.create('stream', streamOf({ id: streamId, broadcast_id: id }));
    const writer = createTimelineWriter(connection);
    await writer.seed(content, 1, []);
    for (const entry of entriesOf(1, 0, 3)) await writer.append(content, entry);
    const live = mediaPlaylistPath(content, V360);
    expect((await origin.get(live)).status).toBe(200);
    await minio.kill();
    for (const entry of entriesOf(1, 4, 5)) {
      await delay(400);
      const waiting = origin.get(`${live}?_HLS_msn=${entry.msn}&_HLS_part=${entry.part}`);
      await delay(150);
      await writer.append(content, entry);
      const appendedAt = performance.now();
      const answer = await waiting;
      expect([answer.status, answer.headers.get('headwater-position')]).toEqual([200, `1.${entry.msn}.${entry.part}`]);
      expect(performance.now() - appendedAt).toBeLessThan(1_000);
    }
    await minio.restart();
    await until('media again', 15_000, async () => (await origin.get(segment)).status === 200);
  }, 60_000);

  test('it is in the registry while it runs, and leaves it at the end', async () => {
    const other = await startOrigin(redis.url, minio.settings);
    const registered = async () => (await redis.command('HVALS', 'hw:nodes:origin')).includes(other.url);
    await until('registered', 5_000, registered);
    await other.close();
    expect(await registered()).toBe(false);
  });
});
