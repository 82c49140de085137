// Builds an ingest node: RTMP door, key set, broadcasts, ring listener, and what every role has.
import { createServer, type Server } from 'node:http';
import { createEventBus, type EventBus } from '../platform/adapters/event-bus.ts';
import { createLeases } from '../platform/adapters/leases.ts';
import { openStorage } from '../platform/adapters/open-storage.ts';
import { createQueue, type JobQueue } from '../platform/adapters/queue.ts';
import { indexWatch } from '../platform/adapters/record-watch.ts';
import { createRecords, type Records } from '../platform/adapters/records.ts';
import { createRedis, type RedisConnection } from '../platform/adapters/redis.ts';
import { createHeartbeat, createRegistry, type Registry } from '../platform/adapters/registry.ts';
import type { NodeInfo } from '../platform/contract/nodes.ts';
import { indexMarkerKey, liveBroadcastsKey } from '../platform/contract/redis-keys.ts';
import { closeServer, listen } from '../platform/runtime/http-server.ts';
import {
  type Component,
  type NamedComponent,
  type Service,
  type ServiceContext,
  sequence,
} from '../platform/runtime/lifecycle.ts';
import type { Logger } from '../platform/runtime/log.ts';
import { createPrivateServer } from '../platform/runtime/private-server.ts';
import {
  asService,
  type Listener,
  listenerPart,
  newRoleState,
  nodeInfoOf,
  type RoleState,
} from '../platform/runtime/role-frame.ts';
import { type Broadcasts, createBroadcasts } from './broadcasts.ts';
import type { IngestConfig } from './config.ts';
import { createIngestMetrics, type IngestMetrics, registerIngestGauges } from './metrics.ts';
import { createOtherNodes } from './other-nodes.ts';
import { createRingApp } from './routes.ts';
import { createRtmpDoor, type RtmpDoor, type RtmpDoorOptions } from './rtmp-door.ts';
import { RTMP_APP } from './rtmp-protocol.ts';
import { createStreamKeys, type StreamKeys } from './stream-keys.ts';
import type { TermSource } from './term-watch.ts';

/** Least age that the ring covers. Unit: ms. */
const RING_MS = 30_000;

type Parts = {
  redis: RedisConnection;
  queue: JobQueue;
  records: Records;
  bus: EventBus;
  registry: Registry;
  keys: StreamKeys;
  broadcasts: Broadcasts;
  rtmp: RtmpDoor;
  readers: { open: number };
  closing: AbortController;
};

/** One ingest node; effects begin at start(). */
export function createIngest(config: IngestConfig, context: ServiceContext): Service {
  const { log, metrics } = context;
  const ingestMetrics = createIngestMetrics(metrics);
  const redis = createRedis(config.redisUrl, log);
  const storage = openStorage(config.storage, log);
  const records = createRecords(storage, redis, log);
  const queue = createQueue(config.redisUrl, ['live'], log);
  const bus = createEventBus(redis, log);
  const keys = createStreamKeys(redis.client, log);
  const registry = createRegistry(redis, ['ingest', 'transcoder'], log);
  const broadcasts = broadcastSet(config, context, { redis, queue, records, bus, keys, registry }, ingestMetrics);
  const rtmp = createRtmpDoor(doorOptions(config), broadcasts, log);
  redis.onReconnect(() => void keys.reload());
  const parts: Parts = {
    redis,
    queue,
    records,
    bus,
    registry,
    keys,
    broadcasts,
    rtmp,
    readers: { open: 0 },
    closing: new AbortController(),
  };
  const readiness = (): string[] => [
    ...(redis.isReady() ? [] : ['redis does not answer']),
    ...(keys.isLoaded() ? [] : ['stream keys are not read yet']),
  ];
  const state = newRoleState();
  registerGauges(context, parts);
  const named: NamedComponent[] = [
    { name: 'redis', component: redis },
    { name: 'storage', component: { start: async () => undefined, close: () => storage.close() } },
    { name: 'queue', component: queue },
    { name: 'events', component: bus },
    { name: 'index', component: indexWatch(records, { isAwaited: true }) },
    { name: 'stream keys', component: keys },
    { name: 'registry', component: registry },
    listenerPart('ring', ringListener(config, parts, readiness, ingestMetrics, log), config.privateHost, (url) => {
      state.url = url;
    }),
    listenerPart(
      'private',
      createPrivateServer(config.metricsPort, config.privateBind, metrics, readiness),
      config.privateHost,
      (url) => {
        state.privateUrl = url;
      },
    ),
    { name: 'broadcasts', component: broadcasts },
    { name: 'rtmp', component: rtmp },
    { name: 'address', component: addressPart(config, rtmp, state) },
    { name: 'heartbeat', component: createHeartbeat(redis, () => describe(context, state, parts), log) },
  ];
  return asService(sequence(named, log), state);
}

const doorOptions = (config: IngestConfig): RtmpDoorOptions => ({
  port: config.rtmpPort,
  bind: config.bind,
  tls: config.rtmps,
  silenceMs: config.silenceMs,
  maxPublishers: config.maxPublishers,
});

function addressPart(config: IngestConfig, rtmp: RtmpDoor, state: RoleState): Component {
  return {
    async start() {
      state.publicUrl = config.rtmpPublicUrl ?? `rtmp://localhost:${rtmp.port()}/${RTMP_APP}`;
    },
    close: async () => undefined,
  };
}

function describe(context: ServiceContext, state: RoleState, { broadcasts, rtmp, readers }: Parts): NodeInfo {
  const load = { publishers: broadcasts.publishers(), connections: rtmp.connections(), readers: readers.open };
  const info = { ...nodeInfoOf(context, state, load), bitrates: broadcasts.bitrates(), signals: broadcasts.signals() };
  const tlsPort = rtmp.tlsPort();
  return tlsPort === null ? info : { ...info, tls_url: secureUrl(state.publicUrl ?? '', tlsPort) };
}

/** The RTMPS address beside the RTMP one: the same host, the other port. */
function secureUrl(publicUrl: string, port: number): string {
  const host = /^rtmps?:\/\/(\[[^\]]+\]|[^:/]+)/.exec(publicUrl)?.[1] ?? 'localhost';
  return `rtmps://${host}:${port}/${RTMP_APP}`;
}

function broadcastSet(
  config: IngestConfig,
  { node, log }: ServiceContext,
  { redis, queue, records, bus, keys, registry }: Omit<Parts, 'broadcasts' | 'rtmp' | 'readers' | 'closing'>,
  metrics: IngestMetrics,
): Broadcasts {
  return createBroadcasts({
    node,
    records,
    terms: termSource(redis, queue, records, log),
    nodes: createOtherNodes(registry, node),
    index: { add: (broadcast, stream) => redis.client.hSet(liveBroadcastsKey, { [broadcast]: stream }) },
    announce: async (broadcast, stream) => {
      await bus.publish({ type: 'broadcast', id: broadcast });
      await bus.publish({ type: 'stream', id: stream });
    },
    keys,
    onEvent: (listener) => bus.on(listener),
    maxPublishers: config.maxPublishers,
    metrics,
    log,
    ringLimits: { ms: RING_MS, bytes: config.ringBytes },
    maxBitrateBps: config.maxBitrateBps,
  });
}

function ringListener(
  config: IngestConfig,
  parts: Parts,
  readiness: () => string[],
  metrics: IngestMetrics,
  log: Logger,
): Listener {
  const app = createRingApp({
    ring: (id) => parts.broadcasts.ring(id),
    internalSecret: config.internalSecret,
    readiness,
    onReader: (change) => {
      if (change === 'lagged') metrics.lagged.add();
      else parts.readers.open += change === 'came' ? 1 : -1;
    },
    closing: parts.closing.signal,
    log,
  });
  const server: Server = createServer(app);
  // Bodies are endless by design; only the head of a request has a limit.
  server.requestTimeout = 0;
  return {
    start: () => listen(server, config.ringPort, config.privateBind, 'HEADWATER_PORT'),
    async close() {
      parts.closing.abort();
      await closeServer(server, 1_000);
    },
  };
}

function termSource(redis: RedisConnection, queue: JobQueue, records: Records, log: Logger): TermSource {
  const leases = createLeases(redis, log);
  return {
    holder: (lease) => leases.holder(lease),
    jobState: (jobId) => queue.state('live', jobId),
    enqueue: (jobId, payload) => queue.enqueue('live', jobId, payload),
    isIndexed: () => redis.client.exists(indexMarkerKey),
    async term(id): ReturnType<TermSource['term']> {
      const record = (await records.get('broadcast', id))?.value;
      return record === undefined || record.status === 'ended' ? null : record.term;
    },
  };
}

function registerGauges(context: ServiceContext, parts: Parts): void {
  const { broadcasts, rtmp, readers } = parts;
  registerIngestGauges(context.metrics, {
    publishers: () => broadcasts.publishers(),
    connections: () => rtmp.connections(),
    broadcasts: () => broadcasts.count(),
    readers: () => readers.open,
    ringBytes: () => broadcasts.ringBytes(),
    bitrateBps: () => Object.values(broadcasts.bitrates()).reduce((sum, rate) => sum + rate, 0),
    starving: () => Object.values(broadcasts.signals()).filter(({ health }) => health === 'starving').length,
  });
}
