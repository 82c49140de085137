// The origin put together: what it is made of, and the order in which that starts and closes.
import { createServer, type Server } from 'node:http';
import { createEventBus, type EventBus } from '../platform/adapters/event-bus.ts';
import { openStorage } from '../platform/adapters/open-storage.ts';
import { indexWatch } from '../platform/adapters/record-watch.ts';
import { createRecords, type Records } from '../platform/adapters/records.ts';
import { createRedis, type RedisConnection } from '../platform/adapters/redis.ts';
import { createHeartbeat } from '../platform/adapters/registry.ts';
import type { ObjectStorage } from '../platform/adapters/storage.ts';
import { createTimelineFollower, type TimelineFollower } from '../platform/adapters/timeline-store.ts';
import { liveBroadcastsKey } from '../platform/contract/redis-keys.ts';
import { windowSegments } from '../platform/hls/live-playlist.ts';
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
import { createBlockSource } from './index-blocks.ts';
import { LiveWindows } from './live-window.ts';
import { createOriginMetrics, exposeFollowed } from './metrics.ts';
import { createObjects } from './objects.ts';
import { createPlaybackDirectory, type PlaybackDirectory } from './playback.ts';
import { createPlaylists } from './playlists.ts';
import { createReadiness } from './readiness.ts';
import { createOriginApp } from './routes.ts';
import { createVodPlaylists } from './vod-playlists.ts';

/** Longer than any edge keeps an idle connection, so that none is cut just as a request is sent on it. */
const KEEP_ALIVE_MS = 75_000;
/** Requests under way have this long after the drain begins. */
const DRAIN_MS = 5_000;

/** What outlives single requests. */
type Parts = {
  storage: ObjectStorage;
  redis: RedisConnection;
  records: Records;
  follower: TimelineFollower;
  events: EventBus;
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
      { name: 'timeline follower', component: parts.follower },
      { name: 'live windows', component: windows },
      ...eventParts(parts.events, directory),
      ...listeners(server, privateServer, config, state),
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
  const blocks = createBlockSource(reads);
  const windows = new LiveWindows({
    source: parts.follower,
    blocks,
    log,
    segments: windowSegments(config.liveWindowS),
  });
  exposeFollowed(context.metrics, windows);
  const directory = createPlaybackDirectory(parts.records);
  const app = createOriginApp({
    internalSecret: config.internalSecret,
    log,
    metrics,
    readiness,
    directory,
    playlists: createPlaylists({ directory, windows, vod: createVodPlaylists(reads) }),
    objects: createObjects(reads),
    catalog: createCatalog({
      directory,
      liveBroadcasts: () => parts.redis.client.hGetAll(liveBroadcastsKey),
      listAssets: (options) => parts.records.list('asset', options),
    }),
  });
  return { app, windows, directory };
}

function eventParts(events: EventBus, directory: PlaybackDirectory): NamedComponent[] {
  let stop = (): void => undefined;
  const heeding: Component = {
    async start() {
      stop = events.on((event) => directory.heed(event));
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
