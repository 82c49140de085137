// A broadcast with everything a live worker needs around it (real Redis, fs store, a ring), and the checks of what it published.
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import { createRecords } from '../../platform/adapters/records.ts';
import { createRedis } from '../../platform/adapters/redis.ts';
import type { StorageSettings } from '../../platform/adapters/storage.ts';
import { createTimelineWriter } from '../../platform/adapters/timeline-store.ts';
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
import { comparePositions, IndexBlock, TimelineEntry } from '../../platform/contract/timeline.ts';
import { createLogger, silentLogger } from '../../platform/runtime/log.ts';
import type { Metrics } from '../../platform/runtime/metrics.ts';
import { delay, repeat } from '../../platform/runtime/waits.ts';
import type { LiveWorker } from '../../transcoder/live-worker.ts';
import { startWorker, storeOf, type WorkerChanges, type WorkerPlace } from './live-worker-parts.ts';
import { TestRing } from './live-worker-ring.ts';

const run = promisify(execFile);
/** HEADWATER_TEST_LOG=1 shows what the workers say. */
const isLoud = process.env['HEADWATER_TEST_LOG'] === '1';
const log = isLoud ? createLogger('debug', {}) : silentLogger;
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** A worker on its own connection, as a process of its own would have it. */
export type RigWorker = {
  worker: LiveWorker;
  node: NodeId;
  metrics: Metrics;
  job(term: number): Promise<void>;
  /** Second worker of a broadcast with hot redundancy. */
  hotJob(): Promise<void>;
  abort: AbortController;
  close(): Promise<void>;
};

export type WorkerProcess = {
  pid: number;
  /** The job is over. */
  ended: Promise<void>;
  signal(name: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void;
  stop(): Promise<void>;
};

export type NameWatch = {
  /** Longest time between two parts named, the second one after `since` (performance.now()). Unit: ms. */
  longest(since?: number): number;
  /** When the newest part was named (performance.now()). */
  lastAt(): number;
  stop(): Promise<void>;
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

  readonly #store: StorageSettings | undefined;

  /** @param store another one than a folder of its own */
  constructor(folder: string, redisUrl: string, store?: StorageSettings) {
    this.#store = store;
    this.folder = folder;
    this.redisUrl = redisUrl;
    this.redis = createRedis(redisUrl, silentLogger);
    this.storage = storeOf(this.#place());
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

  #place(): WorkerPlace {
    const { redisUrl, folder, ringUrl } = this;
    const place = { redisUrl, folder, ringUrl, secret: this.ring.secret, ingest: this.#node };
    return this.#store === undefined ? place : { ...place, store: this.#store };
  }

  async worker(changes?: WorkerChanges): Promise<RigWorker> {
    const { node, worker, metrics, close } = await startWorker(this.#place(), changes);
    const abort = new AbortController();
    const handle = (term: number, place: 'leader' | 'hot') =>
      worker.handle({ version: 1, broadcast_id: this.broadcast, term, place }, { signal: abort.signal, log });
    return {
      worker,
      metrics,
      abort,
      node,
      job: (term) => handle(term, 'leader'),
      hotJob: () => handle(0, 'hot'),
      close,
    };
  }

  /**
   * A worker in a process of its own; resolves when it has begun the job.
   * @param script built from live-worker-process.ts
   */
  async process(script: string, term: number, place: 'leader' | 'hot' = 'leader'): Promise<WorkerProcess> {
    const job = { version: 1, broadcast_id: this.broadcast, term, place };
    const argument = JSON.stringify({ place: this.#place(), job, isLoud });
    const child = spawn(process.execPath, [script, argument], { stdio: ['ignore', 'pipe', 'inherit'] });
    const lines = createInterface({ input: child.stdout });
    const started = once(lines, 'line');
    const ended = new Promise<void>((resolve) => lines.on('line', (line) => line === 'ended' && resolve()));
    const closed = once(child, 'close');
    if (isLoud) lines.on('line', (line) => process.stderr.write(`${line}\n`));
    await started;
    return {
      ended,
      signal: (name) => void child.kill(name),
      async stop() {
        child.kill('SIGKILL');
        await closed;
      },
      pid: child.pid ?? 0,
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

  /** Looks on from now: when each part was named, by the clock of this process, over a Redis that comes and goes. */
  watchNames(): NameWatch {
    const named: { entry: TimelineEntry; at: number }[] = [];
    const watching = repeat(
      10,
      async () => {
        const entries = await this.entries();
        const last = named.at(-1)?.entry;
        const isNew = (entry: TimelineEntry) => last === undefined || comparePositions(entry, last) > 0;
        for (const entry of entries.filter(isNew)) named.push({ entry, at: performance.now() });
      },
      () => undefined,
    );
    const gaps = (since: number) => named.slice(1).map(({ at }, i) => (at < since ? 0 : at - (named[i]?.at ?? at)));
    return {
      longest: (since = 0) => Math.round(Math.max(0, ...gaps(since))),
      lastAt: () => named.at(-1)?.at ?? 0,
      stop: () => watching.close(),
    };
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
