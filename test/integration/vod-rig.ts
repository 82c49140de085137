// A real transcoder on a real Redis and fs store, and what is needed to give it uploads and to look at what came out.
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createEventBus, type EventBus } from '../../platform/adapters/event-bus.ts';
import { openStorage } from '../../platform/adapters/open-storage.ts';
import { createQueue, type JobQueue } from '../../platform/adapters/queue.ts';
import { createRecords, type Records } from '../../platform/adapters/records.ts';
import { createRedis, type RedisConnection } from '../../platform/adapters/redis.ts';
import type { ObjectStorage } from '../../platform/adapters/storage.ts';
import {
  type AssetId,
  contentOf,
  type NodeId,
  newId,
  type PlaybackId,
  type UploadId,
} from '../../platform/contract/ids.ts';
import { vodJobId } from '../../platform/contract/jobs.ts';
import { initKey, renditionIndexKey, segmentKey, uploadChunkKey } from '../../platform/contract/object-keys.ts';
import type { AssetRecord, StoredRendition, UploadRecord } from '../../platform/contract/records.ts';
import { parseSettings } from '../../platform/contract/settings.ts';
import { RenditionIndex } from '../../platform/contract/timeline.ts';
import type { Service } from '../../platform/runtime/lifecycle.ts';
import { createLogger, silentLogger } from '../../platform/runtime/log.ts';
import { createMetrics } from '../../platform/runtime/metrics.ts';
import { pickTranscoderConfig } from '../../transcoder/config.ts';
import { createTranscoder } from '../../transcoder/service.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { tempDir } from '../support/temp.ts';

const run = promisify(execFile);

/** Made with ffmpeg, quietly and at low priority. @returns path of the made file */
export async function makeClip(folder: string, name: string, args: string[]): Promise<string> {
  const path = join(folder, name);
  await run('nice', ['ffmpeg', '-v', 'error', '-nostdin', '-y', ...args, path], { timeout: 60_000 });
  return path;
}

export type VodRig = {
  redis: TestRedis;
  client: RedisConnection;
  dir: string;
  storage: ObjectStorage;
  records: Records;
  events: EventBus;
  queue: JobQueue;
  /** A transcoder in this process; started. */
  startWorker(settings?: Record<string, string>): Promise<Service>;
  /** Stores a file as a complete upload and enqueues its job. */
  upload(path: string, chunkBytes?: number): Promise<AssetId>;
  enqueue(id: AssetId, round?: number): Promise<void>;
  asset(id: AssetId): Promise<AssetRecord>;
  /** Waits until the asset is ready or errored. */
  settled(id: AssetId, limitMs?: number): Promise<AssetRecord>;
  waitFor(what: string, limitMs: number, probe: () => Promise<boolean>): Promise<void>;
  /** Writes a rendition's init part and segments as one file. */
  join(asset: AssetRecord, rendition: StoredRendition): Promise<string>;
  index(asset: AssetRecord, rendition: StoredRendition): Promise<RenditionIndex>;
  stop(): Promise<void>;
};

export async function startVodRig(): Promise<VodRig> {
  const redis = await startRedis();
  const dir = await tempDir('vod');
  const settingsOf = (extra: Record<string, string>) => {
    const env = {
      HEADWATER_DATA_DIR: dir,
      HEADWATER_INTERNAL_SECRET: 's'.repeat(32),
      HEADWATER_TRANSCODER_POOLS: 'vod',
      HEADWATER_TRANSCODER_VOD_PRESET: 'ultrafast',
      HEADWATER_DISK_RESERVE_BYTES: '0',
      REDIS_URL: redis.url,
      ...extra,
    };
    const parsed = parseSettings(env);
    if ('faults' in parsed) throw new Error(JSON.stringify(parsed.faults));
    return parsed.settings;
  };
  const storage = openStorage(settingsOf({}), silentLogger);
  const client = createRedis(redis.url, silentLogger);
  const records = createRecords(storage, client, silentLogger);
  const events = createEventBus(client, silentLogger);
  const queue = createQueue(redis.url, ['vod'], silentLogger);
  await client.start();
  await queue.start();
  const services = new Set<Service>();
  const log = process.env['VOD_TEST_LOG'] === undefined ? silentLogger : createLogger('debug', {});
  const waitFor = async (what: string, limitMs: number, probe: () => Promise<boolean>) => {
    const end = performance.now() + limitMs;
    while (!(await probe())) {
      if (performance.now() > end) throw new Error(`${what}: not within ${limitMs} ms`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const asset = async (id: AssetId): Promise<AssetRecord> => {
    const found = await records.get('asset', id);
    if (found === null) throw new Error('the asset is gone');
    return found.value;
  };
  const enqueue = async (id: AssetId, round = 0) => {
    await queue.enqueue('vod', vodJobId(id, round), { version: 1, asset_id: id, request_id: 'request0' });
  };
  const index = async (owner: AssetRecord, r: StoredRendition) => {
    const { body } = await storage.read(renditionIndexKey(owner.content_id, r.name, r.writer));
    return RenditionIndex.parse(JSON.parse(body.toString()));
  };
  return {
    redis,
    client,
    dir,
    storage,
    records,
    events,
    queue,
    waitFor,
    asset,
    enqueue,
    index,
    async startWorker(settings = {}) {
      const context = { role: 'transcoder' as const, node: newId<NodeId>(), log, metrics: createMetrics(false) };
      const service = createTranscoder(pickTranscoderConfig(settingsOf(settings)), context);
      services.add(service);
      await service.start();
      return service;
    },
    async upload(path, chunkBytes = 200_000) {
      const id = newId<AssetId>();
      const uploadId = newId<UploadId>();
      const bytes = await readFile(path);
      for (let at = 0; at < bytes.length; at += chunkBytes) {
        const chunk = bytes.subarray(at, at + chunkBytes);
        const options = { bytes: chunk.length, contentType: 'application/octet-stream' };
        await storage.put(uploadChunkKey(uploadId, at), chunk, options);
      }
      await records.create('upload', uploadRecord(uploadId, id, bytes.length));
      await records.create('asset', assetRecord(id, uploadId));
      await enqueue(id);
      return id;
    },
    async settled(id, limitMs = 90_000) {
      await waitFor(`asset ${id} settled`, limitMs, async () => (await asset(id)).status !== 'preparing');
      return asset(id);
    },
    async join(owner, r) {
      const ref = { content: owner.content_id, rendition: r.name, epoch: r.epoch };
      const parts = [(await storage.read(initKey(ref))).body];
      for (const { msn } of (await index(owner, r)).segments) {
        parts.push((await storage.read(segmentKey({ ...ref, msn, writer: r.writer }))).body);
      }
      const path = join(dir, `${owner.id}-${r.name}.mp4`);
      await writeFile(path, Buffer.concat(parts));
      return path;
    },
    async stop() {
      for (const service of services) {
        await service.drain?.();
        await service.close();
      }
      await queue.close();
      await client.close();
      await storage.close();
      await redis.stop();
    },
  };
}

const uploadRecord = (id: UploadId, asset: AssetId, length: number): UploadRecord => ({
  version: 1,
  id,
  status: 'asset_created',
  created_at: Date.now(),
  updated_at: Date.now(),
  expires_at: Date.now() + 60_000,
  asset_id: asset,
  secret_hash: '',
  cors_origin: '*',
  length,
  filename: 'a clip.mp4',
  new_asset_settings: { playback_policies: ['public'], title: '', description: '' },
});

const assetRecord = (id: AssetId, upload: UploadId): AssetRecord => ({
  version: 1,
  id,
  status: 'preparing',
  created_at: Date.now(),
  updated_at: Date.now(),
  title: '',
  description: '',
  playback_ids: [{ id: newId<PlaybackId>(), policy: 'public' }],
  content_id: contentOf(id),
  source: { type: 'upload', upload_id: upload, complete: true },
  term: 0,
  cancel_requested: false,
  errors: null,
  input: null,
  planned: [],
  renditions: [],
  images_writer: null,
  range: null,
  duration_s: null,
  size_bytes: null,
});

export type Probe = {
  streams: { codec_name: string; profile: string; width?: number; height?: number; pix_fmt?: string }[];
  /** Presentation times of the packets in order, s; and where the last ends. */
  times: number[];
  keys: number[];
  endS: number;
};

/** What ffprobe says of a joined rendition. */
export async function probeJoined(path: string): Promise<Probe> {
  const entries = 'stream=codec_name,profile,width,height,pix_fmt:packet=dts_time,duration_time,flags';
  const { stdout } = await run('ffprobe', ['-v', 'error', '-show_entries', entries, '-of', 'json', path], {
    maxBuffer: 1 << 26,
  });
  const parsed = JSON.parse(stdout) as {
    streams: Probe['streams'];
    packets: { dts_time: string; duration_time: string; flags: string }[];
  };
  const times = parsed.packets.map((packet) => Number(packet.dts_time));
  const last = parsed.packets.at(-1);
  return {
    streams: parsed.streams,
    times,
    keys: parsed.packets.filter((packet) => packet.flags.startsWith('K')).map((packet) => Number(packet.dts_time)),
    endS: Number(last?.dts_time) + Number(last?.duration_time),
  };
}
