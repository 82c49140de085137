// Starts real origins inside a test process, own ports, a shared Redis and store; and writes what they show, as workers write it.
import { createOrigin } from '../../origin/service.ts';
import { openStorage } from '../../platform/adapters/open-storage.ts';
import { createRecords, type Records } from '../../platform/adapters/records.ts';
import { createRedis, type RedisConnection } from '../../platform/adapters/redis.ts';
import type { ObjectStorage, StorageSettings } from '../../platform/adapters/storage.ts';
import { createTimelineWriter, type TimelineWriter } from '../../platform/adapters/timeline-store.ts';
import {
  type BroadcastId,
  type ContentId,
  contentOf,
  type NodeId,
  newId,
  type PlaybackId,
  type StreamId,
} from '../../platform/contract/ids.ts';
import { indexBlockKey, type ObjectKey } from '../../platform/contract/object-keys.ts';
import type { BroadcastRecord, StreamRecord } from '../../platform/contract/records.ts';
import { headers, mediaPlaylistPath } from '../../platform/contract/routes.ts';
import type { TimelineEntry } from '../../platform/contract/timeline.ts';
import { silentLogger } from '../../platform/runtime/log.ts';
import { createMetrics } from '../../platform/runtime/metrics.ts';
import { fsSettings } from '../support/fs-settings.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { tempDir } from '../support/temp.ts';
import { blockOf, broadcastOf, streamOf, V360 } from '../support/timelines.ts';

export const TEST_SECRET = 'a secret of at least 32 characters';

export type RunningOrigin = {
  url: string;
  privateUrl: string;
  /** As an edge asks: with the internal secret. */
  get(path: string, more?: Record<string, string>): Promise<Response>;
  close(): Promise<void>;
};

/** @param storage settings of the store shared by all origins of the test */
export async function startOrigin(redisUrl: string, storage: StorageSettings): Promise<RunningOrigin> {
  const config = {
    port: 0,
    bindHost: '127.0.0.1',
    advertisedHost: '127.0.0.1',
    privatePort: 0,
    internalSecret: TEST_SECRET,
    redisUrl,
    liveWindowS: 120,
    storage,
  };
  const context = { role: 'origin', node: newId<NodeId>(), log: silentLogger, metrics: createMetrics(false) } as const;
  const service = createOrigin(config, context);
  await service.start();
  const { url, private_url: privateUrl } = service.addresses();
  return {
    url,
    privateUrl,
    get: (path, more = {}) => fetch(`${url}${path}`, { headers: { [headers.internal]: TEST_SECRET, ...more } }),
    async close() {
      await service.drain?.();
      await service.close();
    },
  };
}

/** A broadcast with its stream. */
export type Live = { id: BroadcastId; content: ContentId; streamId: StreamId; playback: PlaybackId };

export type OriginWorld = {
  redis: TestRedis;
  settings: StorageSettings;
  storage: ObjectStorage;
  connection: RedisConnection;
  records: Records;
  writer: TimelineWriter;
  origins: readonly RunningOrigin[];
  originAt(index: number): RunningOrigin;
  /** A running broadcast, whose stream has one public playback id. */
  makeBroadcast(changes?: Partial<BroadcastRecord>): Promise<Live>;
  /** Stores a small object. */
  put(key: ObjectKey, text: string): Promise<void>;
  /** Stores the index block over entries of one epoch. */
  storeBlock(content: ContentId, entries: readonly TimelineEntry[]): Promise<void>;
  /** Names entries in Redis, as a worker does. */
  append(content: ContentId, entries: readonly TimelineEntry[]): Promise<void>;
  close(): Promise<void>;
};

/** A Redis, an fs store, two origins over them. @param folder part of the store's name */
export async function startOriginWorld(folder: string): Promise<OriginWorld> {
  const redis = await startRedis();
  const settings = fsSettings(await tempDir(folder));
  const storage = openStorage(settings, silentLogger);
  const connection = createRedis(redis.url, silentLogger);
  await connection.start();
  const records = createRecords(storage, connection, silentLogger);
  await records.ensureIndex();
  const writer = createTimelineWriter(connection);
  const origins: RunningOrigin[] = [];
  for (let index = 0; index < 2; index += 1) origins.push(await startOrigin(redis.url, settings));
  const put = async (key: ObjectKey, text: string): Promise<void> => {
    const body = Buffer.from(text);
    await storage.put(key, body, { bytes: body.byteLength, contentType: 'application/octet-stream' });
  };
  return {
    redis,
    settings,
    storage,
    connection,
    records,
    writer,
    origins,
    originAt(index) {
      const origin = origins[index];
      if (origin === undefined) throw new Error('no such origin');
      return origin;
    },
    async makeBroadcast(changes = {}) {
      const id = newId<BroadcastId>();
      const live: Live = { id, content: contentOf(id), streamId: newId<StreamId>(), playback: newId<PlaybackId>() };
      const own = { id, content_id: live.content, stream_id: live.streamId };
      await records.create('broadcast', broadcastOf({ ...own, ...changes }));
      const playbackIds: StreamRecord['playback_ids'] = [{ id: live.playback, policy: 'public' }];
      await records.create('stream', streamOf({ id: live.streamId, broadcast_id: id, playback_ids: playbackIds }));
      return live;
    },
    put,
    async storeBlock(content, entries) {
      const block = blockOf(entries);
      await put(indexBlockKey(content, block.epoch, block.first_msn), JSON.stringify(block));
    },
    async append(content, entries) {
      await writer.seed(content, 1, []);
      for (const entry of entries) await writer.append(content, entry);
    },
    async close() {
      for (const origin of origins) await origin.close();
      await connection.close();
      await storage.close();
      await redis.stop();
    },
  };
}

/** A stream on the air with the given entries in Redis; `media`: its playlist, `at`: as of a place. */
export async function goLive(world: OriginWorld, entries: TimelineEntry[], changes: Partial<BroadcastRecord> = {}) {
  const live = await world.makeBroadcast(changes);
  await world.append(live.content, entries);
  const media = mediaPlaylistPath(live.content, V360);
  return { ...live, media, at: (msn: number, part: number) => `${media}?_HLS_msn=${msn}&_HLS_part=${part}` };
}
