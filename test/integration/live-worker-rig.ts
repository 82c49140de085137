// A broadcast with everything a live worker needs around it (real Redis, fs store, a ring), and the checks of what it published.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import { createLeases } from '../../platform/adapters/leases.ts';
import { createRecords } from '../../platform/adapters/records.ts';
import { createRedis } from '../../platform/adapters/redis.ts';
import { createFsStorage } from '../../platform/adapters/storage-fs.ts';
import { createTimelineFollower, createTimelineWriter } from '../../platform/adapters/timeline-store.ts';
import {
  type BroadcastId,
  contentOf,
  type NodeId,
  newId,
  type RenditionName,
  type StreamId,
} from '../../platform/contract/ids.ts';
import type { LatencyMode } from '../../platform/contract/latency.ts';
import { indexPrefix, initKey, type ObjectKey, partKey, segmentKey } from '../../platform/contract/object-keys.ts';
import type { BroadcastRecord, EpochInfo } from '../../platform/contract/records.ts';
import { timelineKey } from '../../platform/contract/redis-keys.ts';
import { IndexBlock, TimelineEntry } from '../../platform/contract/timeline.ts';
import { createLogger, silentLogger } from '../../platform/runtime/log.ts';
import { createMetrics } from '../../platform/runtime/metrics.ts';
import { delay } from '../../platform/runtime/waits.ts';
import { storeOnly } from '../../transcoder/live-media-store.ts';
import { createLiveWorker, type LiveWorker } from '../../transcoder/live-worker.ts';
import { TestRing } from './live-worker-ring.ts';

const run = promisify(execFile);
/** HEADWATER_TEST_LOG=1 shows what the workers say. */
const log = process.env['HEADWATER_TEST_LOG'] === '1' ? createLogger('debug', {}) : silentLogger;
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** A worker on its own connection, as a process of its own would have it. */
export type RigWorker = {
  worker: LiveWorker;
  node: NodeId;
  job(term: number): Promise<void>;
  /** Second worker of a broadcast with hot redundancy. */
  hotJob(): Promise<void>;
  abort: AbortController;
  close(): Promise<void>;
};

export class LiveRig {
  readonly broadcast = newId<BroadcastId>();
  readonly content = contentOf(this.broadcast);
  readonly ring = new TestRing();
  readonly folder: string;
  readonly redisUrl: string;
  readonly redis;
  readonly storage;
  readonly records;
  readonly timeline;
  readonly #node = newId<NodeId>();
  /** Where workers find the ring; another one than `ring` may be put here before a worker is made. */
  ringUrl = '';

  constructor(folder: string, redisUrl: string) {
    this.folder = folder;
    this.redisUrl = redisUrl;
    this.redis = createRedis(redisUrl, silentLogger);
    this.storage = createFsStorage(join(folder, 'store'));
    this.records = createRecords(this.storage, this.redis, silentLogger);
    this.timeline = createTimelineWriter(this.redis);
  }

  async start(mode: LatencyMode, changes: Partial<BroadcastRecord> = {}): Promise<void> {
    this.ringUrl = await this.ring.start();
    await this.redis.start();
    const now = Date.now();
    const record: BroadcastRecord = {
      version: 1,
      id: this.broadcast,
      stream_id: newId<StreamId>(),
      content_id: this.content,
      status: 'live',
      created_at: now,
      updated_at: now,
      ended_at: null,
      latency_mode: mode,
      transcode: 'ladder',
      redundancy: 'standby',
      use_slate: false,
      dvr_window_s: null,
      asset_id: null,
      fault: null,
      ...changes,
      reconnect_window_s: 60,
      term: 0,
      worker: null,
      ingest: { node: this.#node, session: newId(), since: now, key: 'primary' },
      disconnected_at: null,
      epochs: [],
    };
    await this.records.create('broadcast', record);
  }

  async close(): Promise<void> {
    await this.ring.close();
    await this.redis.close();
    await this.storage.close();
  }

  async worker(): Promise<RigWorker> {
    const redis = createRedis(this.redisUrl, silentLogger);
    await redis.start();
    const follower = createTimelineFollower(redis, silentLogger);
    await follower.start();
    const node = { id: this.#node, role: 'ingest', url: this.ringUrl, public_url: null, private_url: '' } as const;
    const info = { ...node, state: 'healthy', started_at: 0, pid: 0, version: '', load: {} } as const;
    const config = {
      node: newId<NodeId>(),
      internalSecret: this.ring.secret,
      livePreset: 'ultrafast',
      liveMaxRungs: 2,
    };
    const worker = createLiveWorker(config, {
      storage: this.storage,
      media: storeOnly(this.storage),
      follower,
      pictures: () => ({ segmentClosed: () => undefined, finish: async () => undefined }),
      announce: async () => undefined,
      records: createRecords(this.storage, redis, silentLogger),
      leases: createLeases(redis, silentLogger),
      timeline: createTimelineWriter(redis),
      redis: redis.client,
      registry: { nodes: () => [info] },
      log: silentLogger,
      metrics: createMetrics(false),
    });
    await worker.start();
    const abort = new AbortController();
    const handle = (term: number, place: 'leader' | 'hot') =>
      worker.handle({ version: 1, broadcast_id: this.broadcast, term, place }, { signal: abort.signal, log });
    return {
      worker,
      abort,
      node: config.node,
      job: (term) => handle(term, 'leader'),
      hotJob: () => handle(0, 'hot'),
      async close() {
        await worker.close();
        await follower.close();
        await redis.close();
      },
    };
  }

  async record(): Promise<BroadcastRecord> {
    const stored = await this.records.get('broadcast', this.broadcast);
    if (stored === null) throw new Error('no broadcast record');
    return stored.value;
  }

  async entries(): Promise<TimelineEntry[]> {
    const raw = await this.redis.client.xRange(timelineKey(this.content), '-', '+');
    return raw.map(({ fields }) => TimelineEntry.parse(JSON.parse(fields['e'] ?? '')));
  }

  /** Stored index blocks: epoch, first and last segment, segments. */
  async blocks(): Promise<number[][]> {
    const blocks: number[][] = [];
    for await (const { key } of this.storage.list(indexPrefix(this.content))) {
      const { body } = await this.storage.read(key);
      const block = IndexBlock.parse(JSON.parse(body.toString('utf8')));
      blocks.push([block.epoch, block.first_msn, block.last_msn, block.segments.length]);
    }
    return blocks;
  }

  /** Resolves when the timeline fulfils the condition. */
  async until(condition: (entries: TimelineEntry[]) => boolean): Promise<TimelineEntry[]> {
    for (;;) {
      const entries = await this.entries();
      if (condition(entries)) return entries;
      await delay(50);
    }
  }

  async #checked(key: ObjectKey, bytes: number, hash: string): Promise<Buffer> {
    const { body } = await this.storage.read(key);
    expect({ key, bytes: body.length, hash: sha256(body) }).toEqual({ key, bytes, hash });
    return body;
  }

  /**
   * Every object that the timeline names is there with its hash; places follow one another; segments of all renditions are aligned.
   * @returns each epoch's renditions as files of init and segments
   */
  async published(): Promise<{ epoch: EpochInfo; files: Map<RenditionName, string>; entries: TimelineEntry[] }[]> {
    const { epochs } = await this.record();
    const all = await this.entries();
    expectContinuous(all);
    const result = [];
    for (const epoch of epochs) {
      const entries = all.filter((entry) => entry.epoch === epoch.epoch);
      const files = new Map<RenditionName, string>();
      for (const { name } of epoch.renditions) {
        const pieces = [
          (await this.storage.read(initKey({ content: this.content, rendition: name, epoch: epoch.epoch }))).body,
        ];
        for (const entry of entries) {
          if (entry.gap) continue;
          const part = entry.renditions[name];
          if (part === undefined) throw new Error(`${name} is missing at ${entry.msn}.${entry.part}`);
          const ref = { content: this.content, rendition: name, epoch: entry.epoch, msn: entry.msn };
          if (part.bytes > 0)
            await this.#checked(partKey({ ...ref, part: entry.part, writer: part.writer }), part.bytes, part.sha256);
          const { segment } = part;
          expect(segment !== undefined).toBe(entry.last);
          if (segment)
            pieces.push(
              await this.#checked(segmentKey({ ...ref, writer: segment.writer }), segment.bytes, segment.sha256),
            );
        }
        const file = join(this.folder, `${epoch.epoch}-${name}.mp4`);
        await writeFile(file, Buffer.concat(pieces));
        files.set(name, file);
      }
      result.push({ epoch, files, entries });
    }
    return result;
  }
}

/** Places follow one another without a gap or a repeat, and each rendition's clock does too. */
export function expectContinuous(entries: readonly TimelineEntry[]): void {
  entries.forEach((entry, i) => {
    const before = entries[i - 1];
    if (before === undefined) return;
    const expected = before.last ? [before.msn + 1, 0] : [before.msn, before.part + 1];
    expect([entry.msn, entry.part], `after ${before.epoch}.${before.msn}.${before.part}`).toEqual(expected);
    if (before.epoch !== entry.epoch) return;
    if (before.gap || entry.gap) return;
    for (const [name, part] of Object.entries(entry.renditions)) {
      const past = before.renditions[name as RenditionName];
      expect(part.tfdt, `${name} at ${entry.msn}.${entry.part}`).toBe((past?.tfdt ?? 0) + (past?.duration ?? 0));
    }
  });
}

/** Packets' times (s) and the decoded frame count; ffprobe must have nothing to complain about. */
export async function decode(
  file: string,
): Promise<{ frames: number; start: number; end: number; largestStep: number }> {
  const { stdout, stderr } = await run('ffprobe', [
    ...['-v', 'warning', '-count_frames', '-show_entries', 'packet=pts_time,duration_time:stream=nb_read_frames'],
    ...['-of', 'json', file],
  ]);
  expect(stderr).toBe('');
  const parsed = JSON.parse(stdout) as {
    packets: { pts_time: string; duration_time?: string }[];
    streams: { nb_read_frames: string }[];
  };
  const times = parsed.packets.map((packet) => Number(packet.pts_time));
  const steps = times.slice(1).map((time, i) => time - (times[i] ?? 0));
  const end = (times.at(-1) ?? 0) + Number(parsed.packets.at(-1)?.duration_time ?? 0);
  return {
    frames: Number(parsed.streams[0]?.nb_read_frames),
    start: times[0] ?? 0,
    end,
    largestStep: Math.max(...steps),
  };
}
