// From a broadcast's end to its recording, clips and deletions: two real api processes over one Redis and one fs store, racing.
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { openStorage } from '../../platform/adapters/open-storage.ts';
import { createQueue, type JobQueue } from '../../platform/adapters/queue.ts';
import { createRecords, type Records } from '../../platform/adapters/records.ts';
import { createRedis, type RedisConnection } from '../../platform/adapters/redis.ts';
import type { ObjectStorage } from '../../platform/adapters/storage.ts';
import { createTimelineWriter } from '../../platform/adapters/timeline-store.ts';
import { type AssetId, type BroadcastId, newId } from '../../platform/contract/ids.ts';
import { liveJobId } from '../../platform/contract/jobs.ts';
import { indexPrefix, mediaPrefix, renditionIndexKey } from '../../platform/contract/object-keys.ts';
import type { BroadcastRecord } from '../../platform/contract/records.ts';
import { eventsChannel, liveBroadcastsKey, timelineKey } from '../../platform/contract/redis-keys.ts';
import { silentLogger } from '../../platform/runtime/log.ts';
import { type RunningApi, startApi } from '../support/api-service.ts';
import { fsSettings } from '../support/fs-settings.ts';
import { blockOf, type RecordedPlan, recordedBroadcast, storeMedia } from '../support/recorded-broadcast.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { sampleBroadcast, sampleContent } from '../support/sample-records.ts';
import { tempDir } from '../support/temp.ts';
import { assetOf, audio0, entriesOf, epochOf, renditionIndexOf, video360, WRITER } from '../support/timelines.ts';

/** For what comes by itself, where the test says nothing of when. */
const SOON = { timeout: 10_000, interval: 50 };

let redisServer: TestRedis;
let redis: RedisConnection;
let storage: ObjectStorage;
let records: Records;
let queue: JobQueue;
let apis: RunningApi[];

beforeAll(async () => {
  redisServer = await startRedis();
  const dataDir = await tempDir('api-recordings');
  const settings = { HEADWATER_DATA_DIR: dataDir, REDIS_URL: redisServer.url };
  apis = [await startApi(settings), await startApi(settings)];
  redis = createRedis(redisServer.url, silentLogger);
  await redis.start();
  storage = openStorage(fsSettings(dataDir), silentLogger);
  records = createRecords(storage, redis, silentLogger);
  queue = createQueue(redisServer.url, ['live'], silentLogger);
  await queue.start();
});
afterAll(async () => {
  await queue.close();
  for (const api of apis) await api.stop();
  await redis.close();
  await storage.close();
  await redisServer.stop();
});

const call = (method: string, path: string, body?: unknown, by = 0) => {
  const api = apis[by % apis.length];
  if (api === undefined) throw new Error('no api runs');
  return api.call(method, path, body);
};
const recorded = (plan: RecordedPlan) => recordedBroadcast({ records, storage }, plan);
const tell = (id: BroadcastId) => redis.client.publish(eventsChannel, JSON.stringify({ type: 'broadcast', id }));
const keys = async (prefix: string) => {
  const found: string[] = [];
  for await (const entry of storage.list(prefix)) found.push(entry.key);
  return found;
};
const assetIn = async (broadcast: BroadcastRecord) =>
  (await records.get('asset', broadcast.asset_id ?? ''))?.value ?? null;
const listedIn = async (stream: string) => (await records.get('stream', stream))?.value.recent_asset_ids;
const holdersOf = async (content: string) => (await records.get('content', content))?.value.holders ?? null;
/** Made by the event, at once. */
async function recordingOf(broadcast: BroadcastRecord) {
  await tell(broadcast.id);
  return vi.waitFor(
    async () => {
      const asset = await assetIn(broadcast);
      expect(asset).not.toBeNull();
      return asset;
    },
    { timeout: 5_000, interval: 50 },
  );
}
const clip = (source: object, start: number | string, end: number | string, by = 0) =>
  call('POST', '/video/v1/clips', { source, start, end }, by);

describe('the recording', () => {
  test('is there at once after the end, with length, size, title, holders, pictures', async () => {
    const { broadcast, stream } = await recorded({ segments: 40, gaps: [3, 4] });
    await storeMedia(storage, broadcast, 1);
    const from = performance.now();
    const asset = await recordingOf(broadcast);
    expect(performance.now() - from).toBeLessThan(1_500);
    expect(asset).toMatchObject({
      status: 'ready',
      title: 'Concert, 2023-11-14 22:13 UTC',
      content_id: broadcast.content_id,
      source: { type: 'live', stream_id: stream.id, broadcast_id: broadcast.id },
      duration_s: 76,
      size_bytes: 76_000,
      images_writer: 'live',
      range: null,
      renditions: [],
      playback_ids: [{ policy: 'public' }],
    });
    expect(await holdersOf(broadcast.content_id)).toEqual([broadcast.id, broadcast.asset_id]);
    await vi.waitFor(async () => {
      const shown = await call('GET', `/video/v1/live-streams/${stream.id}`);
      expect(shown.body.data['recent_asset_ids']).toEqual([broadcast.asset_id]);
    });
    expect(await records.playback(asset?.playback_ids[0]?.id ?? ('' as never))).toMatchObject({ kind: 'asset' });
  });

  test('without a hint it is there within 5 s', async () => {
    const running = { status: 'live', ended_at: null } as const;
    const { broadcast } = await recorded({ segments: 3, broadcast: running });
    await records.update('broadcast', broadcast.id, (b) => ({ ...b, status: 'ended', ended_at: Date.now() }));
    // As it stands in a pass that began before the end.
    await redis.client.hSet(liveBroadcastsKey, { [broadcast.id]: broadcast.stream_id });
    await vi.waitFor(async () => expect(await assetIn(broadcast)).not.toBeNull(), { timeout: 5_000, interval: 50 });
  });

  test('is made once by two processes that hear the end many times', async () => {
    const { broadcast, stream } = await recorded({ segments: 5 });
    await Promise.all(Array.from({ length: 20 }, () => tell(broadcast.id)));
    const asset = await recordingOf(broadcast);
    await Promise.all(Array.from({ length: 20 }, () => tell(broadcast.id)));
    await vi.waitFor(async () => expect(await listedIn(stream.id)).toEqual([broadcast.asset_id]), SOON);
    expect((await assetIn(broadcast))?.playback_ids).toEqual(asset?.playback_ids);
    expect(await holdersOf(broadcast.content_id)).toEqual([broadcast.id, broadcast.asset_id]);
  });

  test('a crash after the holder, or after the asset, is gone on from', async () => {
    const first = await recorded({ segments: 5 });
    await records.update('content', first.broadcast.content_id, (c) => ({
      ...c,
      holders: [...c.holders, first.broadcast.asset_id as AssetId],
    }));
    expect(await recordingOf(first.broadcast)).toMatchObject({ status: 'ready' });
    expect(await holdersOf(first.broadcast.content_id)).toHaveLength(2);

    await records.update('stream', first.stream.id, ({ recent_asset_ids: _gone, ...rest }) => rest);
    await tell(first.broadcast.id);
    await vi.waitFor(async () => expect(await listedIn(first.stream.id)).toEqual([first.broadcast.asset_id]), SOON);
  });

  test('a broadcast without media becomes an errored asset that says so', async () => {
    const { broadcast } = await recorded({ segments: 2, gaps: [0, 1] });
    expect(await recordingOf(broadcast)).toMatchObject({ status: 'errored', errors: { type: 'NO_MEDIA' } });
  });

  test('one that is not to be recorded makes none', async () => {
    const { broadcast } = await recorded({ segments: 2, broadcast: { asset_id: null } });
    const other = await recorded({ segments: 2 });
    await tell(broadcast.id);
    await recordingOf(other.broadcast);
    expect(await holdersOf(broadcast.content_id)).toEqual([broadcast.id]);
  });

  test('deleted, it is not made again', async () => {
    const { broadcast, stream } = await recorded({ segments: 2 });
    await recordingOf(broadcast);
    expect((await call('DELETE', `/video/v1/assets/${broadcast.asset_id}`)).status).toBe(204);
    expect((await records.get('broadcast', broadcast.id))?.value.asset_id).toBeNull();
    expect((await records.get('stream', stream.id))?.value.recent_asset_ids).toEqual([]);
    await Promise.all(Array.from({ length: 5 }, () => tell(broadcast.id)));
    await recordingOf((await recorded({ segments: 2 })).broadcast);
    expect(await assetIn(broadcast)).toBeNull();
  });
});

describe('holders', () => {
  test('objects go with the last one: broadcast, recording, clips, in any order', async () => {
    const { broadcast, stream } = await recorded({ segments: 10 });
    const { content_id: content } = broadcast;
    await storeMedia(storage, broadcast, 10);
    await recordingOf(broadcast);
    const made = await clip({ live_stream_id: stream.id }, -6, -2);
    expect(made.status).toBe(201);
    const clipId = String(made.body.data['id']);
    const before = (await keys(mediaPrefix(content))).length;

    await call('DELETE', `/video/v1/assets/${broadcast.asset_id}`, undefined, 1);
    expect(await holdersOf(content)).toEqual([broadcast.id, clipId]);
    // The stream goes on to another broadcast: viewers are shown that one.
    await records.update('stream', stream.id, (s) => ({ ...s, broadcast_id: newId<BroadcastId>() }));
    await tell(broadcast.id);
    await vi.waitFor(async () => expect(await holdersOf(content)).toEqual([clipId]), {
      timeout: 10_000,
      interval: 100,
    });
    expect(await keys(mediaPrefix(content))).toHaveLength(before);

    expect((await call('DELETE', `/video/v1/assets/${clipId}`)).status).toBe(204);
    expect(await keys(mediaPrefix(content))).toEqual([]);
    expect(await keys(indexPrefix(content))).toEqual([]);
    expect(await holdersOf(content)).toBeNull();
    expect(await records.get('broadcast', broadcast.id)).toBeNull();
  });

  test('a removal that broke off after the last holder left is finished by the reconciler', async () => {
    const { broadcast } = await recorded({ segments: 2, broadcast: { asset_id: null } });
    await storeMedia(storage, broadcast, 2);
    await records.update('content', broadcast.content_id, (c) => ({ ...c, status: 'deleting', holders: [] }));
    await tell(broadcast.id);
    await vi.waitFor(async () => expect(await keys(mediaPrefix(broadcast.content_id))).toEqual([]), {
      timeout: 10_000,
      interval: 100,
    });
  });

  test('of a clip and the deletion of its source at once, either the clip has its objects or it is refused', async () => {
    const outcomes: string[] = [];
    for (let round = 0; round < 12; round += 1) {
      const asset = assetOf({ id: newId<AssetId>() });
      const upload = { ...asset, content_id: asset.id as never, playback_ids: [] };
      await records.create('asset', upload);
      for (const info of [video360, audio0]) {
        const body = Buffer.from(JSON.stringify(renditionIndexOf(info)));
        const options = { bytes: body.length, contentType: 'application/json' };
        await storage.put(renditionIndexKey(upload.content_id, info.name, WRITER), body, options);
      }
      const [made, deleted] = await Promise.all([
        clip({ asset_id: asset.id }, 0, 5, 0),
        call('DELETE', `/video/v1/assets/${asset.id}`, undefined, 1),
      ]);
      expect(deleted.status).toBe(204);
      const left = await keys(indexPrefix(upload.content_id));
      if (made.status === 201) {
        expect(left).toHaveLength(2);
        expect(await holdersOf(upload.content_id)).toEqual([made.body.data['id']]);
      } else {
        expect([404, 409, 503]).toContain(made.status);
        await vi.waitFor(async () => expect(await keys(indexPrefix(upload.content_id))).toEqual([]), SOON);
      }
      outcomes.push(String(made.status));
    }
    expect(outcomes.length).toBe(12);
  });
});

describe('after the end', () => {
  test('parts and timeline go a minute later, segments stay; the record says so', async () => {
    const { broadcast } = await recorded({ segments: 4, broadcast: { ended_at: Date.now() - 61_000 } });
    const { content_id: content } = broadcast;
    await storeMedia(storage, broadcast, 4);
    const timeline = createTimelineWriter(redis);
    await timeline.seed(content, 1, entriesOf(1, 0, 3));
    await tell(broadcast.id);
    await vi.waitFor(
      async () => expect((await records.get('broadcast', broadcast.id))?.value.parts_removed_at).toBeDefined(),
      { timeout: 10_000, interval: 100 },
    );
    const left = await keys(mediaPrefix(content));
    expect(left.filter((key) => /\/p\d/.test(key))).toEqual([]);
    expect(left.filter((key) => /\/s\d/.test(key))).toHaveLength(8);
    expect(await redis.client.xRange(timelineKey(content), '-', '+')).toEqual([]);
  });

  test('a broadcast whose ingest died is moved to its end; a worker is asked to close it', async () => {
    const ingest = { node: newId(), session: newId(), since: 1, key: 'primary' } as never;
    const broadcast = sampleBroadcast({ reconnect_window_s: 0, term: 1, ingest, epochs: [epochOf(1, 0)] });
    await records.create('content', sampleContent({ id: broadcast.content_id, holders: [broadcast.id] }));
    await records.create('broadcast', broadcast);
    const status = async () => (await records.get('broadcast', broadcast.id))?.value.status;
    await vi.waitFor(async () => expect(await status()).toBe('ending'), { timeout: 30_000, interval: 250 });
    await vi.waitFor(async () => expect(await queue.state('live', liveJobId(broadcast.id, 2))).toBe('waiting'), {
      timeout: 15_000,
      interval: 250,
    });
    expect(await redis.client.hGet(liveBroadcastsKey, broadcast.id)).toBeNull();
    // What that worker does: the last block, then the end.
    const body = Buffer.from(JSON.stringify(blockOf(0, 2)));
    expect(body.length).toBeGreaterThan(0);
    await records.update('broadcast', broadcast.id, (b) => ({ ...b, status: 'ended', ended_at: Date.now(), term: 2 }));
    expect(await status()).toBe('ended');
  }, 60_000);
});

test('complete on one process ends it for all; the recording follows the worker', async () => {
  const ingest = { node: newId(), session: newId(), since: 1, key: 'primary' } as never;
  const live = { status: 'live', ended_at: null, ingest } as const;
  const { broadcast, stream } = await recorded({ segments: 3, broadcast: live });
  const path = `/video/v1/live-streams/${stream.id}`;
  expect((await call('PUT', `${path}/complete`)).body.data).toMatchObject({ phase: 'ending' });
  expect((await call('GET', path, undefined, 1)).body.data).toMatchObject({ phase: 'ending' });
  await records.update('broadcast', broadcast.id, (b) => ({ ...b, status: 'ended', ended_at: Date.now() }));
  expect(await recordingOf(broadcast)).toMatchObject({ status: 'ready', duration_s: 6 });
  expect((await call('GET', path, undefined, 1)).body.data).toMatchObject({ status: 'idle', phase: 'idle' });
});

test('a clip of a running broadcast from its timeline is there within 2 s', async () => {
  const live = { status: 'live', ended_at: null } as const;
  const { broadcast, stream } = await recorded({ segments: 40, inBlocks: 30, broadcast: live });
  await createTimelineWriter(redis).seed(broadcast.content_id, 1, entriesOf(1, 28, 39));
  const from = performance.now();
  const made = await clip({ live_stream_id: stream.id }, -30, 0, 1);
  const playback = (made.body.data['playback_ids'] as { id: string }[])[0]?.id;
  expect(await records.playback(playback as never)).toMatchObject({ kind: 'asset' });
  expect(performance.now() - from).toBeLessThan(2_000);
  expect((await records.get('asset', String(made.body.data['id'])))?.value.range).toEqual({ from_msn: 25, to_msn: 39 });
});
