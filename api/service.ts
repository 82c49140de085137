// Builds the api role: adapters, nouns, express app, reconciler; start and close order.
import { createServer, type Server } from 'node:http';
import type { RequestHandler } from 'express';
import { orderEdge } from '../platform/adapters/edge-roster.ts';
import { createEventBus } from '../platform/adapters/event-bus.ts';
import { createLeases } from '../platform/adapters/leases.ts';
import { openStorage } from '../platform/adapters/open-storage.ts';
import { createQueue } from '../platform/adapters/queue.ts';
import { indexWatch } from '../platform/adapters/record-watch.ts';
import { createRecords } from '../platform/adapters/records.ts';
import { createRedis, type RedisConnection } from '../platform/adapters/redis.ts';
import { createHeartbeat, createRegistry } from '../platform/adapters/registry.ts';
import { createTimelineWriter } from '../platform/adapters/timeline-store.ts';
import type { AssetId, ContentId } from '../platform/contract/ids.ts';
import { ROLES } from '../platform/contract/nodes.ts';
import { progressKey } from '../platform/contract/redis-keys.ts';
import { messageOf } from '../platform/runtime/errors.ts';
import { type NamedComponent, type Service, type ServiceContext, sequence } from '../platform/runtime/lifecycle.ts';
import type { Logger } from '../platform/runtime/log.ts';
import { createPrivateServer } from '../platform/runtime/private-server.ts';
import {
  asService,
  type Listener,
  listenerPart,
  mainListener,
  newRoleState,
  nodeInfoOf,
  type RoleState,
} from '../platform/runtime/role-frame.ts';
import { type Assets, createAssets } from './assets.ts';
import { createClips } from './clips.ts';
import type { ApiConfig } from './config.ts';
import { createContents } from './contents.ts';
import { createSpaceCheck, freeBytesAt } from './disk-space.ts';
import { createEdgeControl } from './edges.ts';
import { createEndpoints } from './endpoints.ts';
import { createJobControl } from './job-control.ts';
import { createLiveStreams } from './live-streams.ts';
import { createApiMetrics, createQueueGauges } from './metrics.ts';
import { createOverview } from './overview.ts';
import { createPresence } from './presence.ts';
import { createReconciler } from './reconciler.ts';
import { reconcilerDeps } from './reconciler-deps.ts';
import { createRecordings } from './recordings.ts';
import { createRepairLoop } from './repair-loop.ts';
import { createApiApp, statusOf } from './routes.ts';
import { createSegmentTables } from './segment-table.ts';
import { createUploadAddress } from './upload-address.ts';
import { createUploadLocks, type UploadLocks } from './upload-locks.ts';
import { createUploads } from './uploads.ts';
import { createVodJobs } from './vod-jobs.ts';

/** A sender that is silent for this long is gone; what it sent is kept. Unit: ms. */
const SOCKET_IDLE_MS = 120_000;
const CLOSE_GRACE_MS = 2_000;
/** Time to store the tails of uploads whose connections were cut. Unit: ms. */
const TAIL_MS = 3_000;

/** The adapters of this role, none of them connected yet. */
function createAdapters(config: ApiConfig, log: Logger) {
  const redis = createRedis(config.redisUrl, log);
  const storage = openStorage(config.storage, log);
  return {
    redis,
    storage,
    records: createRecords(storage, redis, log),
    leases: createLeases(redis, log),
    queue: createQueue(config.redisUrl, ['vod', 'live'], log),
    registry: createRegistry(redis, [...ROLES], log),
    events: createEventBus(redis, log),
  };
}
type Adapters = ReturnType<typeof createAdapters>;

/** Progress as workers report it in Redis; without Redis there is no word. */
const progressIn = (redis: RedisConnection, log: Logger) => ({
  async read(asset: AssetId) {
    try {
      const found = await redis.client.hGetAll(progressKey(asset));
      const state = found['state'];
      const percent = Number(found['percent'] ?? 0);
      if (state === undefined || !Number.isFinite(percent)) return null;
      return { state, percent: Math.max(0, Math.min(100, percent)) };
    } catch (thrown) {
      log.debug('progress unread', { asset, reason: messageOf(thrown) });
      return null;
    }
  },
  async remove(asset: AssetId) {
    await redis.client.del(progressKey(asset));
  },
});

/** Contents and who holds them: what recordings, clips and deletions share. */
function createKeptMedia({ records, storage, redis, events }: Adapters, log: Logger) {
  const timeline = createTimelineWriter(redis);
  const removeTimeline = (content: ContentId) => timeline.remove(content);
  const contents = createContents({ records, storage, removeTimeline, log });
  const tables = createSegmentTables({ storage, redis: redis.client, log });
  const publish = events.publish.bind(events);
  const recordings = createRecordings({ records, contents, tables, storage, publish, log });
  return { contents, tables, recordings, removeTimeline };
}

/** The nouns of the API over the adapters. Uploads and assets end each other; the later one is reached through a late binding. */
function createNouns(config: ApiConfig, adapters: Adapters, log: Logger) {
  const { records, storage, queue, leases, events } = adapters;
  const publish = events.publish.bind(events);
  const vodJobs = createVodJobs(queue);
  const locks = createUploadLocks({
    acquire: (name, ttlMs) => leases.acquire(name, ttlMs),
    askRelease: (id) => publish({ type: 'release-upload', id }),
    log,
  });
  const requireSpace = createSpaceCheck(config.diskReserveBytes, [
    () => storage.freeBytes(),
    () => freeBytesAt(config.dataDir),
  ]);
  const presence = createPresence(adapters.registry, config.edgePublicUrls);
  const kept = createKeptMedia(adapters, log);
  const { contents, recordings, tables } = kept;
  const late: { assets: Assets | null } = { assets: null };
  const uploads = createUploads(config, {
    records,
    storage,
    locks,
    vodJobs,
    publish,
    requireSpace,
    removeAsset: async (id) => await late.assets?.remove(id),
    log,
  });
  const assets = createAssets({
    records,
    storage,
    contents,
    recordings,
    vodJobs,
    holder: (name) => leases.holder(name),
    progress: progressIn(adapters.redis, log),
    abandonUpload: (id) => uploads.abandon(id),
    publish,
    log,
  });
  late.assets = assets;
  const streams = createLiveStreams({
    records,
    storage,
    presence,
    publish,
    record: (broadcast) => recordings.record(broadcast),
    reconnectWindowS: config.reconnectWindowS,
    log,
  });
  const clips = createClips({ records, contents, tables, publish, log });
  return { ...kept, uploads, assets, clips, streams, locks, requireSpace, presence, vodJobs, publish };
}
type Nouns = ReturnType<typeof createNouns>;

function createMainServer(
  config: ApiConfig,
  context: ServiceContext,
  adapters: Adapters,
  nouns: Nouns,
  readiness: () => string[],
) {
  const metrics = createApiMetrics(context.metrics);
  createQueueGauges(context.metrics, adapters.queue, context.log);
  const endpoints = createEndpoints({
    ...nouns,
    jobs: createJobControl({ assets: nouns.assets, records: adapters.records, streams: nouns.streams }),
    edges: createEdgeControl({
      nodes: adapters.registry,
      order: (address, order) => orderEdge(adapters.redis, address, order),
    }),
    overview: createOverview({
      assets: nouns.assets,
      streams: nouns.streams,
      jobs: (name, limit) => adapters.queue.list(name, limit),
      nodes: adapters.registry,
      presence: nouns.presence,
      rtmpUrl: config.rtmpUrl,
      storageDescription: adapters.storage.description,
      now: Date.now,
    }),
    rtmpUrl: config.rtmpUrl,
    liveWindowS: config.liveWindowS,
    publicUrl: config.publicUrl,
    tokenId: config.adminToken.split(':')[0] ?? '',
  });
  const uploadAddress: RequestHandler = createUploadAddress({
    uploads: nouns.uploads,
    storage: adapters.storage,
    locks: nouns.locks,
    requireSpace: nouns.requireSpace,
    publicUrl: config.publicUrl,
    uploadMaxBytes: config.uploadMaxBytes,
    onStored: (bytes) => metrics.receivedBytes.add({}, bytes),
    statusOf,
    log: context.log,
  });
  const app = createApiApp({
    endpoints,
    uploadAddress,
    adminToken: config.adminToken,
    publicUrl: config.publicUrl,
    readiness,
    metrics,
    log: context.log,
  });
  const server = createServer({ requestTimeout: 0, headersTimeout: 30_000, keepAliveTimeout: 10_000 }, app);
  server.timeout = SOCKET_IDLE_MS;
  return { server, metrics };
}

/** Reconciler and recorder over the parts of this role. */
function createRepairs(
  adapters: Adapters,
  nouns: Nouns,
  repaired: (kind: string) => void,
  log: Logger,
): NamedComponent {
  const jobs = (limit: number) => adapters.queue.list('vod', limit);
  const reconciler = createReconciler(reconcilerDeps({ ...adapters, ...nouns, jobs, repaired, log }));
  return createRepairLoop({ ...adapters, ...nouns, reconciler, log });
}

type Listeners = { server: Server; privateServer: ReturnType<typeof createPrivateServer>; locks: UploadLocks };

function listenerParts(
  config: ApiConfig,
  state: RoleState,
  { server, privateServer, locks }: Listeners,
): NamedComponent[] {
  const place = { port: config.port, host: config.bind, variable: 'HEADWATER_API_PORT' };
  const main = mainListener(server, place, CLOSE_GRACE_MS);
  const listener: Listener = {
    start: main.start,
    async drain() {
      await main.drain?.();
      await locks.idle(TAIL_MS);
    },
    async close() {
      await main.close();
      await locks.idle(TAIL_MS);
    },
  };
  return [
    listenerPart('private listener', privateServer, config.privateHost, (url) => {
      state.privateUrl = url;
    }),
    listenerPart('listener', listener, config.privateHost, (url) => {
      state.url = url;
    }),
  ];
}

/** The api role; free of effects until start(). */
export function createApi(config: ApiConfig, context: ServiceContext): Service {
  const { log } = context;
  const adapters = createAdapters(config, log);
  const nouns = createNouns(config, adapters, log);
  const state = { ...newRoleState(config.publicUrl), isStarted: false };
  const readiness = () => [
    ...(state.isStarted ? [] : ['starting']),
    ...(state.isDraining ? ['draining'] : []),
    ...(adapters.redis.isReady() ? [] : ['redis does not answer']),
  ];
  const { server, metrics } = createMainServer(config, context, adapters, nouns, readiness);
  const privateServer = createPrivateServer(config.privatePort, config.privateBind, context.metrics, readiness);
  const parts = sequence(
    [
      { name: 'redis', component: adapters.redis },
      { name: 'storage', component: { start: () => adapters.storage.prove(), close: () => adapters.storage.close() } },
      { name: 'index', component: indexWatch(adapters.records, { isAwaited: true }) },
      { name: 'events', component: adapters.events },
      { name: 'registry', component: adapters.registry },
      { name: 'queue', component: adapters.queue },
      createRepairs(adapters, nouns, (kind) => metrics.repairs.add({ kind }), log),
      ...listenerParts(config, state, { server, privateServer, locks: nouns.locks }),
      { name: 'heartbeat', component: createHeartbeat(adapters.redis, () => nodeInfoOf(context, state, {}), log) },
    ],
    log,
  );
  const service = asService(parts, state);
  return {
    ...service,
    async start() {
      await service.start();
      state.isStarted = true;
      log.info('api listening', { url: state.url, storage: adapters.storage.description });
    },
  };
}
