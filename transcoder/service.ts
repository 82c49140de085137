// The transcoder put together: both workers, the queue that feeds them, and the order in which that starts and closes.
import { join } from 'node:path';
import { createEventBus } from '../platform/adapters/event-bus.ts';
import { createLeases } from '../platform/adapters/leases.ts';
import { openStorage } from '../platform/adapters/open-storage.ts';
import { createQueue } from '../platform/adapters/queue.ts';
import { indexWatch } from '../platform/adapters/record-watch.ts';
import { createRecords } from '../platform/adapters/records.ts';
import { createRedis, type RedisClient, type RedisConnection } from '../platform/adapters/redis.ts';
import { createHeartbeat, createRegistry } from '../platform/adapters/registry.ts';
import { ObjectMissing, type ObjectStorage } from '../platform/adapters/storage.ts';
import { createTimelineFollower, createTimelineWriter } from '../platform/adapters/timeline-store.ts';
import type { AssetId, StreamId } from '../platform/contract/ids.ts';
import type { JobName } from '../platform/contract/jobs.ts';
import type { LiveEncode, NodeInfo } from '../platform/contract/nodes.ts';
import { recordKey, slateKey } from '../platform/contract/object-keys.ts';
import { progressKey } from '../platform/contract/redis-keys.ts';
import { messageOf } from '../platform/runtime/errors.ts';
import {
  type Component,
  type NamedComponent,
  type Service,
  type ServiceContext,
  sequence,
} from '../platform/runtime/lifecycle.ts';
import type { Logger } from '../platform/runtime/log.ts';
import { createPrivateServer, type Readiness } from '../platform/runtime/private-server.ts';
import { asService, listenerPart, newRoleState, nodeInfoOf, type RoleState } from '../platform/runtime/role-frame.ts';
import { within } from '../platform/runtime/waits.ts';
import type { TranscoderConfig } from './config.ts';
import { COPIES_PER_JOB, LiveCapacity } from './live-capacity.ts';
import { createStudio } from './live-picture-studio.ts';
import { createLivePictures } from './live-pictures.ts';
import { LiveLag, waitForLive } from './live-priority.ts';
import { LiveSpool } from './live-spool.ts';
import { createLiveWorker, type LiveWorker } from './live-worker.ts';
import { createTranscoderMetrics, pictureCounter, type TranscoderMetrics } from './metrics.ts';
import { spoolRoute, workerRoutes } from './routes.ts';
import { openSandbox, type Sandbox } from './sandbox.ts';
import { createScratch } from './scratch.ts';
import type { ProgressSink } from './vod-progress.ts';
import { createVodWorker } from './vod-worker.ts';

const CHECK_MS = 2_000;
const PROGRESS_TTL_MS = 3_600_000;
/** Broadcasts of one process, however small. */
const MOST_LIVE_JOBS = 400;

/** What changes while the role runs. */
type State = RoleState & { sandbox: Sandbox | null };

/** Builds a transcoder; nothing is opened before start(). */
export function createTranscoder(config: TranscoderConfig, context: ServiceContext): Service {
  const { log } = context;
  const state: State = { ...newRoleState(), sandbox: null };
  const parts = createParts(config, context, state);
  const workers = createWorkers(config, context, parts, state);
  const { vod, live, capacity, metrics } = workers;
  const names = (['live', 'vod'] as const).filter((name) => config.concurrency[name] > 0);
  const queue = createQueue(config.redisUrl, names, log);
  queue.process('vod', config.concurrency.vod, async (payload, job) => {
    await waitForLive(workers.lag, job);
    await vod.handle(payload, job);
  });
  // Bull hands out whatever comes, small broadcasts and large: the gate decides.
  queue.process('live', Math.min(MOST_LIVE_JOBS, config.concurrency.live * COPIES_PER_JOB), async (payload, job) => {
    await capacity.run(payload, () => measureLive(metrics, live.handle(payload, job)));
  });
  const whole = sequence(
    [
      { name: 'storage', component: { start: async () => undefined, close: () => parts.storage.close() } },
      { name: 'scratch', component: parts.scratch },
      { name: 'spool', component: parts.spool },
      { name: 'sandbox', component: sandboxOpener(config, parts, state, log) },
      { name: 'picture studio', component: parts.studio },
      { name: 'redis', component: parts.redis },
      { name: 'index', component: indexWatch(parts.records, { isAwaited: false }) },
      { name: 'event bus', component: parts.events },
      { name: 'registry', component: parts.registry },
      { name: 'timelines', component: parts.follower },
      privateListener(config, context, parts, state, workers),
      { name: 'vod worker', component: { start: () => vod.start(), close: () => vod.close() } },
      { name: 'live worker', component: { start: () => live.start(), close: () => live.close() } },
      { name: 'queue', component: queue },
      { name: 'hand-over', component: handOver(vod, live) },
      {
        name: 'heartbeat',
        component: createHeartbeat(parts.redis, () => describe(config, context, state, workers), log),
      },
    ],
    log,
  );
  return asService(whole, state);
}

const jobsOf = ({ metrics, live }: Workers): Record<JobName, number> => ({
  vod: metrics.active('vod'),
  live: live.active(),
});

/** What the registry says of this node. */
function describe(config: TranscoderConfig, context: ServiceContext, state: State, workers: Workers): NodeInfo {
  const { capacity, live, lag } = workers;
  const jobs = jobsOf(workers);
  const load = {
    jobs: jobs.vod + jobs.live,
    live_jobs: jobs.live,
    vod_jobs: jobs.vod,
    live_cost: capacity.cost,
    live_capacity: capacity.capacity,
  };
  const encodes: Record<string, LiveEncode> = {};
  const now = live.encodes();
  lag.note(now);
  for (const [id, encode] of Object.entries(now)) encodes[id] = { ...encode, cost: capacity.share(id) };
  return { ...nodeInfoOf(context, state, load), encodes, pool: config.pool };
}

function createParts(config: TranscoderConfig, { log, node, metrics }: ServiceContext, state: State) {
  const storage = openStorage(config.storage, log);
  const redis = createRedis(config.redisUrl, log);
  const scratch = createScratch(config.dataDir, config.diskReserveBytes, node, log);
  // A worker without live carries on what an earlier process of this machine could not store.
  const spool = { dataDir: config.dataDir, node, limitBytes: config.spoolBytes };
  return {
    storage,
    redis,
    records: createRecords(storage, redis, log),
    scratch,
    spool: new LiveSpool(spool, storage, { metrics, log }),
    studio: createStudio(scratch, () => needSandbox(state.sandbox)),
    events: createEventBus(redis, log),
    leases: createLeases(redis, log),
    registry: createRegistry(redis, ['ingest', 'transcoder'], log),
    follower: createTimelineFollower(redis, log),
  };
}
type Parts = ReturnType<typeof createParts>;

function createWorkers(config: TranscoderConfig, context: ServiceContext, parts: Parts, state: State) {
  const { log, node } = context;
  const { storage, redis, records, leases, registry, events, scratch } = parts;
  const metrics = createTranscoderMetrics(context.metrics);
  const lag = new LiveLag();
  const live = createLive(config, context, parts, lag);
  const { live: jobs } = config.concurrency;
  const refused = metrics.liveRefused;
  const capacity = new LiveCapacity(node, jobs, { registry, records, log, refused });
  const vod = createVodWorker(
    { preset: config.vodPreset, jobs: config.concurrency.vod },
    {
      store: storage,
      records,
      leases,
      events,
      progressOf: (asset) => progressSink(redis.client, asset, log),
      sandbox: () => needSandbox(state.sandbox),
      scratch,
      metrics,
    },
  );
  return { vod, live, lag, capacity, metrics };
}
type Workers = ReturnType<typeof createWorkers>;

function createLive(config: TranscoderConfig, context: ServiceContext, parts: Parts, lag: LiveLag): LiveWorker {
  const { log, node, metrics } = context;
  const { storage, redis, records, leases, registry, events, spool, studio, follower } = parts;
  const pictures = pictureCounter(metrics);
  const isBusy = () => lag.isBehind;
  return createLiveWorker(
    { ...config, node },
    {
      storage,
      records,
      leases,
      timeline: createTimelineWriter(redis),
      follower,
      media: spool,
      pictures: (content, contentLog, epochOf) =>
        createLivePictures({ media: spool, storage, studio, isBusy, pictures }, { content, log: contentLog, epochOf }),
      announce: (id) => events.publish({ type: 'broadcast', id }),
      slatePicture: (stream, width, height) => slatePicture(parts, stream, width, height),
      redis: redis.client,
      registry,
      log,
      metrics,
    },
  );
}

/** The stream's own slate; null when it has none. */
async function slatePicture({ storage, studio }: Parts, stream: StreamId, width: number, height: number) {
  try {
    return await studio.still((await storage.read(slateKey(stream))).body, width, height);
  } catch (thrown) {
    if (thrown instanceof ObjectMissing) return null;
    throw thrown;
  }
}

/** The trial run needs the scratch folder, so it stands after it. */
const sandboxOpener = (config: TranscoderConfig, parts: Parts, state: State, log: Logger): Component => ({
  async start() {
    state.sandbox = await openSandbox(config.sandbox, join(parts.scratch.path, 'trial'), log);
  },
  close: async () => undefined,
});

function privateListener(
  config: TranscoderConfig,
  context: ServiceContext,
  parts: Parts,
  state: State,
  workers: Workers,
): NamedComponent {
  const readiness = createReadiness(parts.redis, parts.storage, () => state.isDraining);
  const server = createPrivateServer(config.privatePort, config.bindHost, context.metrics, readiness);
  const { capacity } = workers;
  workerRoutes(server.app, config.internalSecret, () => ({
    sandbox: state.sandbox?.driver ?? 'none',
    jobs: jobsOf(workers),
    concurrency: config.concurrency,
    live: { cost: capacity.cost, capacity: capacity.capacity },
  }));
  spoolRoute(server.app, config.internalSecret, (key) => parts.spool.find(key));
  return listenerPart('private listener', server, config.advertisedHost, (url) => {
    state.url = url;
    state.privateUrl = url;
  });
}

function needSandbox(sandbox: Sandbox | null): Sandbox {
  if (sandbox === null) throw new Error('the sandbox is opened at start');
  return sandbox;
}

/** Drained before the queue, which waits for the jobs that this ends. */
const handOver = (vod: Component, live: LiveWorker): Component => ({
  start: async () => undefined,
  async drain() {
    await Promise.all([vod.drain?.(), live.drain()]);
  },
  close: async () => undefined,
});

async function measureLive(metrics: TranscoderMetrics, run: Promise<void>): Promise<void> {
  const startedAt = performance.now();
  metrics.activeJobs('live', 1);
  let outcome = 'failed';
  try {
    await run;
    outcome = 'ended';
  } finally {
    metrics.activeJobs('live', -1);
    metrics.jobEnded('live', outcome, (performance.now() - startedAt) / 1_000);
  }
}

/** Progress is a comfort: Redis being away must not hold a transcode up. */
function progressSink(client: RedisClient, asset: AssetId, log: Logger): ProgressSink {
  const key = progressKey(asset);
  return async ({ state, percent, rendition }) => {
    try {
      await client.hSet(key, { state, percent: String(percent), rendition, updated_at: String(Date.now()) });
      await client.pExpire(key, PROGRESS_TTL_MS);
    } catch (thrown) {
      log.debug('progress not written', { asset, err: thrown });
    }
  };
}

/** A key that no record has: the store answers that it is missing. */
const probeKey = recordKey('asset', 'readiness');

function createReadiness(redis: RedisConnection, storage: ObjectStorage, isDraining: () => boolean): Readiness {
  const check = async (name: string, work: Promise<unknown>): Promise<string[]> => {
    try {
      await within(work, CHECK_MS, name);
      return [];
    } catch (thrown) {
      return thrown instanceof ObjectMissing ? [] : [`${name}: ${messageOf(thrown)}`];
    }
  };
  return async () => {
    const faults = await Promise.all([check('redis', redis.client.ping()), check('storage', storage.head(probeKey))]);
    return [...(isDraining() ? ['draining'] : []), ...faults.flat()];
  };
}
