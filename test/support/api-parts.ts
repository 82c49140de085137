// The api's express app over parts held in memory: for route tests in milliseconds. Real store and Redis are in test/integration.
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { Express } from 'express';
import { createAssets } from '../../api/assets.ts';
import { createClips } from '../../api/clips.ts';
import { createContents } from '../../api/contents.ts';
import { createSpaceCheck } from '../../api/disk-space.ts';
import { createEdgeControl } from '../../api/edges.ts';
import { createEndpoints } from '../../api/endpoints.ts';
import { createJobControl } from '../../api/job-control.ts';
import { createLiveStreams } from '../../api/live-streams.ts';
import { createApiMetrics } from '../../api/metrics.ts';
import { createOverview, type JobRow } from '../../api/overview.ts';
import { createPresence } from '../../api/presence.ts';
import { createRecordings } from '../../api/recordings.ts';
import { createApiApp, statusOf } from '../../api/routes.ts';
import { createSegmentTables } from '../../api/segment-table.ts';
import { createUploadAddress } from '../../api/upload-address.ts';
import { createUploadLocks } from '../../api/upload-locks.ts';
import { createUploads } from '../../api/uploads.ts';
import { createVodJobs } from '../../api/vod-jobs.ts';
import type { Records } from '../../platform/adapters/records.ts';
import { ObjectConflict, ObjectMissing, type ObjectStorage } from '../../platform/adapters/storage.ts';
import { entryId } from '../../platform/adapters/timeline-store.ts';
import type { PlatformEvent } from '../../platform/contract/events.ts';
import type { PlaybackId } from '../../platform/contract/ids.ts';
import type { JobState } from '../../platform/contract/jobs.ts';
import type { NodeInfo } from '../../platform/contract/nodes.ts';
import type { ObjectKey } from '../../platform/contract/object-keys.ts';
import type { BroadcastRecord } from '../../platform/contract/records.ts';
import { timelineKey } from '../../platform/contract/redis-keys.ts';
import type { EdgeOrder } from '../../platform/contract/steering.ts';
import { comparePositions, type TimelineEntry } from '../../platform/contract/timeline.ts';
import type { Logger } from '../../platform/runtime/log.ts';
import { createMetrics } from '../../platform/runtime/metrics.ts';

export const TEST_TOKEN = 'admin:0123456789abcdef';
export const AUTHORIZATION = `Basic ${Buffer.from(TEST_TOKEN).toString('base64')}`;

/** Objects in a map; conditions as the drivers keep them. */
export function memoryStorage(): ObjectStorage & { objects: Map<string, Buffer> } {
  const objects = new Map<string, Buffer>();
  const etagOf = (body: Buffer) => createHash('md5').update(body).digest('hex');
  const found = (key: string) => {
    const body = objects.get(key);
    if (!body) throw new ObjectMissing(key);
    return body;
  };
  const headOf = (body: Buffer) => ({
    bytes: body.byteLength,
    etag: etagOf(body),
    contentType: 'application/octet-stream',
    modifiedAt: 0,
  });
  return {
    objects,
    description: 'memory',
    async put(key, body, { condition }) {
      const bytes = Buffer.isBuffer(body) ? body : Buffer.concat(await body.toArray());
      const present = objects.get(key);
      if (condition && 'ifNoneMatch' in condition && present) throw new ObjectConflict(key);
      if (condition && 'ifMatch' in condition && (!present || etagOf(present) !== condition.ifMatch))
        throw new ObjectConflict(key);
      objects.set(key, bytes);
      return etagOf(bytes);
    },
    get: async (key) => ({ head: headOf(found(key)), body: Readable.from([found(key)]) }),
    read: async (key) => ({ etag: etagOf(found(key)), body: found(key) }),
    head: async (key) => headOf(found(key)),
    async *list(prefix) {
      for (const key of [...objects.keys()].filter((name) => name.startsWith(prefix)).sort())
        yield { key: key as ObjectKey, bytes: found(key).byteLength };
    },
    async delete(keys) {
      for (const key of keys) objects.delete(key);
    },
    prove: async () => undefined,
    freeBytes: async () => null,
    close: async () => undefined,
  };
}

type Held = { value: { id: string; created_at: number; updated_at: number }; version: number };

/** Records in a map, with versions as ETags. */
export function memoryRecords(): Records {
  const held = new Map<string, Held>();
  const keyOf = (kind: string, id: string) => `${kind}/${id}`;
  const records = {
    async get(kind: string, id: string) {
      const record = held.get(keyOf(kind, id));
      return record ? { value: structuredClone(record.value), etag: `v${record.version}` } : null;
    },
    async create(kind: string, value: Held['value']) {
      if (held.has(keyOf(kind, value.id))) throw new ObjectConflict(value.id);
      held.set(keyOf(kind, value.id), { value: structuredClone(value), version: 1 });
      return 'v1';
    },
    async update(kind: string, id: string, change: (value: Held['value']) => Held['value'] | null) {
      const record = held.get(keyOf(kind, id));
      if (!record) return null;
      const next = change(structuredClone(record.value));
      if (next) {
        record.value = { ...structuredClone(next), updated_at: Date.now() };
        record.version += 1;
      }
      return { value: structuredClone(record.value), etag: `v${record.version}` };
    },
    async replace(kind: string, value: Held['value'], etag: string) {
      const record = held.get(keyOf(kind, value.id));
      if (!record || `v${record.version}` !== etag) throw new ObjectConflict(value.id);
      record.value = structuredClone(value);
      record.version += 1;
      return `v${record.version}`;
    },
    async remove(kind: string, id: string) {
      held.delete(keyOf(kind, id));
    },
    async list(kind: string, { limit, cursor }: { limit: number; cursor: string | null }) {
      const all = [...held.entries()].filter(([key]) => key.startsWith(`${kind}/`)).map(([, item]) => item.value);
      const from = cursor === null ? 0 : Number(cursor);
      const values = all.reverse().slice(from, from + limit);
      return { values, nextCursor: from + limit < all.length ? String(from + limit) : null };
    },
    async playback(id: PlaybackId) {
      for (const kind of ['asset', 'stream'] as const) {
        for (const { value } of [...held.entries()].filter(([key]) => key.startsWith(`${kind}/`)).map(([, it]) => it)) {
          const entries: unknown = Reflect.get(value, 'playback_ids');
          const found = Array.isArray(entries) ? entries.find((entry) => entry.id === id) : undefined;
          if (found !== undefined) return { kind, id: value.id, policy: found.policy };
        }
      }
      return null;
    },
  };
  return records as unknown as Records;
}

/** A queue in memory: jobs by id, states set by the test. */
export function memoryQueue() {
  const jobs = new Map<string, JobRow>();
  return {
    jobs,
    async enqueue(name: 'vod', id: string, payload: unknown) {
      if (jobs.has(id)) return 'present' as const;
      const times = { created_at: Date.now(), finished_at: null };
      jobs.set(id, { id, name, state: 'waiting', attempts: 0, failed_reason: null, payload, ...times });
      return 'added' as const;
    },
    state: async (_name: string, id: string): Promise<JobState | null> => jobs.get(id)?.state ?? null,
    async remove(_name: string, id: string) {
      jobs.delete(id);
    },
    list: async (name: string) => [...jobs.values()].filter((job) => job.name === name),
  };
}

/** Timelines in a map, read as the api reads Redis. */
export function memoryTimelines() {
  const held = new Map<string, TimelineEntry[]>();
  return {
    held,
    async xRange(key: string, start: string) {
      const entries = [...(held.get(key) ?? [])].sort(comparePositions);
      const [epoch = 0, place = 0] = start === '-' ? [0, 0] : start.split('-').map(Number);
      return entries
        .map((entry) => ({ id: entryId(entry), fields: { e: JSON.stringify(entry) } }))
        .filter(({ id }) => {
          const [e = 0, p = 0] = id.split('-').map(Number);
          return e > epoch || (e === epoch && p >= place);
        });
    },
  };
}

/** A logger that keeps every line as text. */
export function recordingLogger(lines: string[]): Logger {
  const at = (level: string) => (event: string, fields?: object) => {
    const shown = fields && 'err' in fields ? { ...fields, err: String(fields.err) } : fields;
    lines.push(`${level} ${event} ${JSON.stringify(shown ?? {})}`);
  };
  const log: Logger = {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: () => log,
  };
  return log;
}

/** Leases in a map: one holder per name. */
export function memoryLeases() {
  const held = new Map<string, string>();
  return {
    held,
    async acquire(name: string) {
      if (held.has(name)) return null;
      held.set(name, 'token');
      return {
        name,
        lost: new AbortController().signal,
        async release() {
          held.delete(name);
        },
      };
    },
    holder: async (name: string) => held.get(name) ?? null,
  };
}

export type ApiTestParts = ReturnType<typeof createApiParts>;

/** The whole app; `freeBytes` is what the disk check sees, null: unknown. */
export function createApiParts(options: { freeBytes?: number; uploadMaxBytes?: number; pageFolder?: string } = {}) {
  const events: PlatformEvent[] = [];
  const logLines: string[] = [];
  const nodes: NodeInfo[] = [];
  const log = recordingLogger(logLines);
  const storage = memoryStorage();
  const records = memoryRecords();
  const queue = memoryQueue();
  const leases = memoryLeases();
  const publish = async (event: PlatformEvent) => void events.push(event);
  const vodJobs = createVodJobs(queue);
  const locks = createUploadLocks({ acquire: leases.acquire, askRelease: async () => undefined, log });
  const requireSpace = createSpaceCheck(1_000, [async () => options.freeBytes ?? null]);
  const config = {
    publicUrl: 'http://api.test',
    uploadMaxBytes: options.uploadMaxBytes ?? 1e9,
    uploadExpiryMs: 60_000,
  };
  const registry = { nodes: (role: string) => nodes.filter((node) => node.role === role) };
  const presence = createPresence(registry, []);
  const timelines = memoryTimelines();
  const contents = createContents({
    records,
    storage,
    removeTimeline: async (content) => void timelines.held.delete(timelineKey(content)),
    log,
  });
  const tables = createSegmentTables({ storage, redis: timelines, log });
  const recordings = createRecordings({ records, contents, tables, storage, publish, log });
  const progress = { read: async () => null, remove: async () => undefined };
  const uploads = createUploads(config, {
    records,
    storage,
    locks,
    vodJobs,
    publish,
    requireSpace,
    log,
    removeAsset: (id) => assets.remove(id),
  });
  const assets = createAssets({
    records,
    storage,
    contents,
    recordings,
    vodJobs,
    holder: leases.holder,
    progress,
    publish,
    log,
    abandonUpload: (id) => uploads.abandon(id),
  });
  const record = (broadcast: BroadcastRecord) => recordings.record(broadcast);
  const streams = createLiveStreams({ records, storage, presence, publish, record, reconnectWindowS: 60, log });
  const clips = createClips({ records, contents, tables, publish, log });
  const overview = createOverview({
    assets,
    streams,
    jobs: (name) => queue.list(name),
    nodes: registry,
    presence,
    rtmpUrl: 'rtmp://ingest.test/live',
    storageDescription: storage.description,
    now: () => performance.now() * 1e6,
  });
  const jobs = createJobControl({ assets, records, streams });
  const edgeOrders = new Map<string, EdgeOrder>();
  const edges = createEdgeControl({
    nodes: registry,
    order: async (address, order) => void edgeOrders.set(address, order),
  });
  const shared = {
    rtmpUrl: 'rtmp://ingest.test/live',
    liveWindowS: 14_400,
    publicUrl: config.publicUrl,
    tokenId: 'admin',
  };
  const endpoints = createEndpoints({ uploads, assets, clips, streams, jobs, edges, overview, ...shared });
  const metrics = createMetrics(false);
  const app: Express = createApiApp({
    endpoints,
    uploadAddress: createUploadAddress({
      ...config,
      uploads,
      storage,
      locks,
      requireSpace,
      onStored: () => undefined,
      statusOf,
      log,
    }),
    adminToken: TEST_TOKEN,
    publicUrl: config.publicUrl,
    readiness: () => [],
    metrics: createApiMetrics(metrics),
    log,
    ...(options.pageFolder === undefined ? {} : { pageFolder: options.pageFolder }),
  });
  return {
    app,
    endpoints,
    storage,
    records,
    queue,
    leases,
    events,
    logLines,
    nodes,
    /** What was ordered, by public address. */
    edgeOrders,
    uploads,
    assets,
    clips,
    contents,
    recordings,
    timelines,
    streams,
    metrics,
  };
}
