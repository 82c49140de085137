// The origin put together: what it is made of, and the order in which that starts and closes.
import { createServer, type Server } from 'node:http';
import { createEdgeRoster, type EdgeRoster } from '../platform/adapters/edge-roster.ts';
import { createEventBus, type EventBus } from '../platform/adapters/event-bus.ts';
import { openStorage } from '../platform/adapters/open-storage.ts';
import { indexWatch } from '../platform/adapters/record-watch.ts';
import { createRecords, type Records } from '../platform/adapters/records.ts';
import { createRedis, type RedisConnection } from '../platform/adapters/redis.ts';
import { createHeartbeat, createRegistry, type Registry } from '../platform/adapters/registry.ts';
import type { ObjectStorage } from '../platform/adapters/storage.ts';
import { createTimelineFollower, type TimelineFollower } from '../platform/adapters/timeline-store.ts';
import { liveBroadcastsKey } from '../platform/contract/redis-keys.ts';
import { createHttpClient, type HttpClient } from '../platform/runtime/http-client.ts';
import {
  type Component,
  type NamedComponent,
  type Service,
  type ServiceContext,
  sequence,
} from '../platform/runtime/lifecycle.ts';
import { createPrivateServer, type PrivateServer, type Readiness } from '../platform/runtime/private-server.ts';
import {
  asService,
  listenerPart,
  mainListener,
  newRoleState,
  nodeInfoOf,
  type RoleState,
} from '../platform/runtime/role-frame.ts';
import { createCatalog } from './catalog.ts';
import type { OriginConfig } from './config.ts';
import { countedStorage } from './counted-storage.ts';
import { createDash } from './dash.ts';
import { createImages } from './images.ts';
import { createBlockSource } from './index-blocks.ts';
import { LiveInits } from './live-inits.ts';
import { createLiveMedia } from './live-media.ts';
import { createLivePlaylists } from './live-playlists.ts';
import { LiveWindows } from './live-window.ts';
import { createOriginMetrics, exposeFollowed } from './metrics.ts';
import { createObjects } from './objects.ts';
import { createPlaybackDirectory, type PlaybackDirectory } from './playback.ts';
import { createPlaylists } from './playlists.ts';
import { createReadiness } from './readiness.ts';
import { createRecordings } from './recordings.ts';
import { createOriginApp } from './routes.ts';
import { createVodPlaylists } from './vod-playlists.ts';
import { createWorkerObjects } from './worker-objects.ts';

/** Longer than any edge keeps an idle connection, so that none is cut just as a request is sent on it. */
const KEEP_ALIVE_MS = 75_000;
/** Requests under way have this long after the drain begins. */
const DRAIN_MS = 5_000;

/** Fetches of objects that are not in the store yet, from one transcoder at a time. */
const WORKER_CONNECTIONS = 32;
const WORKER_CONNECT_MS = 500;

/** What outlives single requests. */
type Parts = {
  storage: ObjectStorage;
  redis: RedisConnection;
  records: Records;
  follower: TimelineFollower;
  events: EventBus;
  registry: Registry;
  edges: EdgeRoster;
  http: HttpClient;
};

/** Builds an origin; nothing is opened before start(). */
export function createOrigin(config: OriginConfig, context: ServiceContext): Service {
  const { log } = context;
  const state = { ...newRoleState(), requests: 0 };
  const storage = openStorage(config.storage, log);
  const redis = createRedis(config.redisUrl, log);
  const parts: Parts = {
    storage,
    redis,
    records: createRecords(storage, redis, log),
    follower: createTimelineFollower(redis, log),
    events: createEventBus(redis, log),
    registry: createRegistry(redis, ['transcoder'], log),
    edges: createEdgeRoster(redis, log),
    http: createHttpClient(WORKER_CONNECTIONS, WORKER_CONNECT_MS),
  };
  const readiness = createReadiness({ redis: redis.client, storage, isDraining: () => state.isDraining });
  const { app, windows, directory } = answering(parts, config, context, readiness);
  const server = createServer(app);
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  server.on('request', (_req, res) => {
    state.requests += 1;
    res.once('close', () => {
      state.requests -= 1;
    });
  });
  const privateServer = createPrivateServer(config.privatePort, config.bindHost, context.metrics, readiness);
  const describe = () => nodeInfoOf(context, state, { requests: state.requests, broadcasts: windows.count() });
  const whole = sequence(
    [
      { name: 'storage', component: { start: async () => undefined, close: () => storage.close() } },
      { name: 'redis', component: redis },
      { name: 'index', component: indexWatch(parts.records, { isAwaited: false }) },
      { name: 'registry', component: parts.registry },
      { name: 'edges', component: parts.edges },
      { name: 'requests to transcoders', component: { start: async () => undefined, close: () => parts.http.close() } },
      { name: 'timeline follower', component: parts.follower },
      ...eventParts(parts.events, directory, windows),
      ...listeners(server, privateServer, config, state),
      // Drained before the listener, which awaits its open requests: many of them wait for a window.
      { name: 'live windows', component: windows },
      { name: 'heartbeat', component: createHeartbeat(redis, describe, log) },
    ],
    log,
  );
  return asService(whole, state);
}

/** The answering half: from the parts to the express app. */
function answering(parts: Parts, config: OriginConfig, context: ServiceContext, readiness: Readiness) {
  const { log } = context;
  const metrics = createOriginMetrics(context.metrics);
  const reads = countedStorage(parts.storage, () => metrics.storageErrors.add());
  const directory = createPlaybackDirectory(parts.records);
  const blocks = createBlockSource(reads);
  const windows = new LiveWindows({
    source: parts.follower,
    blocks,
    record: (id) => directory.broadcast(id),
    log,
    windowS: config.liveWindowS,
  });
  exposeFollowed(context.metrics, windows);
  const workers = createWorkerObjects({
    nodes: () => parts.registry.nodes('transcoder'),
    http: parts.http,
    internalSecret: config.internalSecret,
    counted: metrics.workerObjects,
  });
  const vod = createVodPlaylists(reads);
  const recordings = createRecordings({ blocks, directory, windows });
  const live = createLivePlaylists({ directory, windows, buildSeconds: metrics.playlistSeconds });
  const app = createOriginApp({
    internalSecret: config.internalSecret,
    log,
    metrics,
    readiness,
    directory,
    playlists: createPlaylists({
      windows,
      live,
      vod,
      recordings,
      windowS: config.liveWindowS,
      edges: () => parts.edges.addresses(),
    }),
    dash: createDash({ directory, windows, recordings, vod }),
    images: createImages({ storage: reads, windows, recordings }),
    liveMedia: createLiveMedia({ windows, workers, inits: new LiveInits(reads) }),
    objects: createObjects(reads, workers),
    catalog: createCatalog({
      directory,
      windowS: config.liveWindowS,
      liveBroadcasts: () => parts.redis.client.hGetAll(liveBroadcastsKey),
      listAssets: (options) => parts.records.list('asset', options),
    }),
  });
  return { app, windows, directory };
}

function eventParts(events: EventBus, directory: PlaybackDirectory, windows: LiveWindows): NamedComponent[] {
  let stop = (): void => undefined;
  const heeding: Component = {
    async start() {
      stop = events.on((event) => {
        directory.heed(event);
        windows.heed(event);
      });
    },
    async close() {
      stop();
    },
  };
  return [
    { name: 'event bus', component: events },
    { name: 'events', component: heeding },
  ];
}

/** Private port first: its address goes into the registry with the main one. */
function listeners(
  server: Server,
  privateServer: PrivateServer,
  config: OriginConfig,
  state: RoleState,
): NamedComponent[] {
  const place = { port: config.port, host: config.bindHost, variable: 'HEADWATER_ORIGIN_PORTS' };
  return [
    listenerPart('private listener', privateServer, config.advertisedHost, (url) => {
      state.privateUrl = url;
    }),
    listenerPart('main listener', mainListener(server, place, DRAIN_MS), config.advertisedHost, (url) => {
      state.url = url;
    }),
  ];
}
