// Everything between a viewer's connection and the origins, without registry and listeners' addresses: what tests build too.
import type { HttpClient } from '../platform/runtime/http-client.ts';
import type { Logger } from '../platform/runtime/log.ts';
import type { Metrics } from '../platform/runtime/metrics.ts';
import { delay } from '../platform/runtime/waits.ts';
import type { AdmissionLimits } from './admission.ts';
import type { Selector } from './balancer.ts';
import type { DiskConfig } from './config.ts';
import { createDiskFolder } from './disk-folder.ts';
import { DiskStore } from './disk-store.ts';
import { createEngine, type Engine, type EngineParts } from './engine.ts';
import { createFailureLog, type FailureLog } from './failure-log.ts';
import { type FillParts, Fills } from './fill.ts';
import { createH2Sessions, type H2Sessions } from './h2-listener.ts';
import { healthAnswer } from './health.ts';
import { createHttp1Server, type Http1Server } from './http1-listener.ts';
import { LiveEdges } from './live-edges.ts';
import { MemoryStore } from './memory-store.ts';
import { createEdgeMetrics, createOriginMetrics } from './metrics.ts';
import { NegativeStore } from './negative-store.ts';
import { OriginPool, type OriginSource, type OriginTuning } from './origins.ts';
import { Pages } from './pages.ts';
import { Prefetches } from './prefetch.ts';
import { type SteeredEdge, Steering } from './steering.ts';
import { createUpstream } from './upstream.ts';
import { Viewers } from './viewers.ts';
import { WaitingRoom } from './waiting-room.ts';

const MAX_NEGATIVES = 10_000;
/** Most viewers that wait for an origin at a time; the next ones are asked to come again. */
const MAX_WAITING = 20_000;
const FAILURE_LOG_MS = 5_000;

export type ViewerSideParts = {
  http: HttpClient;
  /** Connections for requests that origins hold back. */
  held: HttpClient;
  log: Logger;
  metrics: Metrics;
  selector: Selector;
  tuning?: OriginTuning;
  internalSecret: string;
  memoryBytes: number;
  /** null: no cache on disk. */
  disk: DiskConfig | null;
  limits: AdmissionLimits;
  pagesFolder: string;
  origins: OriginSource;
  /** Public base addresses of all edges, this one first. */
  edges: () => string[];
  /** The same with what steering goes by. */
  steered: () => SteeredEdge[];
  isDraining: () => boolean;
  /** Monotonic milliseconds. */
  now: () => number;
};

export type ViewerSide = {
  /** HTTP/1.1, not listening yet. */
  server: Http1Server;
  h2: H2Sessions;
  origins: OriginPool;
  fills: Fills;
  store: MemoryStore;
  /** To be started and closed with the edge; null: none. */
  disk: DiskStore | null;
  pages: Pages;
  /** Empty: ready. */
  readiness(): string[];
  /** Viewers by playback id. */
  viewerCounts(): Record<string, number>;
  connections(): number;
  cacheBytes(): number;
};

/** Builds the viewer side; opens nothing. */
export function createViewerSide(parts: ViewerSideParts): ViewerSide {
  const { now, log } = parts;
  const { selector, http, origins: source, tuning } = parts;
  const metrics = createOriginMetrics(parts.metrics, () => pool.states());
  const pool: OriginPool = new OriginPool({
    ...{ source, selector, http, log, metrics, now },
    ...(tuning === undefined ? {} : { tuning }),
  });
  const pages = new Pages(parts.pagesFolder, parts.edges, () => parts.steered().map((edge) => edge.address));
  const readiness = () => [
    ...(parts.isDraining() ? ['this edge is draining'] : []),
    ...(pool.counts().up === 0 ? ['no origin answers'] : []),
  ];
  const connectionCount = (): number => server.count() + h2.count;
  const plane = createPlane(parts, pool, connectionCount, (request, path) => {
    return healthAnswer(request, path, readiness) ?? steering.answer(request, path) ?? pages.answer(request, path);
  });
  const steering = new Steering(parts.steered, plane.metrics.steered);
  const report = (thrown: unknown): void => log.error('answer not written', { err: thrown });
  const h2: H2Sessions = createH2Sessions(plane.engine, parts.isDraining, plane.metrics, report);
  const { limits, isDraining } = parts;
  const server = createHttp1Server({ ...plane, isDraining, report, limits });
  return {
    server,
    h2,
    origins: pool,
    fills: plane.fills,
    store: plane.store,
    disk: plane.disk,
    pages,
    readiness,
    viewerCounts: () => plane.viewers.counts(now()),
    connections: connectionCount,
    cacheBytes: () => plane.store.bytes,
  };
}

/** What a request goes through between listener and origin. */
function createPlane(
  parts: ViewerSideParts,
  pool: OriginPool,
  connections: () => number,
  local: EngineParts['local'],
): Pick<EngineParts, 'store' | 'viewers' | 'metrics'> & { fills: Fills; disk: DiskStore | null; engine: Engine } {
  const { now, log } = parts;
  const store = new MemoryStore(parts.memoryBytes);
  const negatives = new NegativeStore(MAX_NEGATIVES);
  const viewers = new Viewers();
  const waiting = new WaitingRoom(MAX_WAITING);
  const metrics = createEdgeMetrics(parts.metrics, {
    cacheBytes: () => store.bytes,
    cacheObjects: () => store.count,
    viewers: () => viewers.total(now()),
    originsUp: () => pool.counts().up,
    connections,
    waiting: () => waiting.waiting,
    blocked: () => waiting.blocked,
    fills: () => fills.count,
    reservedBytes: () => store.reserved,
  });
  const failures = createFailureLog(log, FAILURE_LOG_MS, now);
  const disk = createDisk(parts, store, failures);
  const { http, held, internalSecret } = parts;
  const upstream = createUpstream({ pool, http, held, metrics, failures, internalSecret, now, wait: delay });
  const onText: FillParts['onText'] = (wanted, body) => {
    const { route } = wanted;
    if (route.kind === 'master' || route.kind === 'mpd') viewers.learn(route.playback, body.toString('utf8'));
    else prefetches.saw(wanted, body);
  };
  const fills: Fills = new Fills({ upstream, store, disk, negatives, live: new LiveEdges(), metrics, now, onText });
  const prefetches = new Prefetches({ fills, store, metrics });
  const engine = createEngine({ store, negatives, fills, viewers, waiting, local, metrics, log, failures, now });
  return { engine, store, viewers, metrics, fills, disk };
}

function createDisk({ disk, now, log, metrics }: ViewerSideParts, room: MemoryStore, failures: FailureLog) {
  if (disk === null) return null;
  const files = createDiskFolder(disk.folder);
  const clocks = { now, wallMs: () => Date.now() };
  return new DiskStore({ files, limitBytes: disk.limitBytes, room, clocks, metrics, log, failures });
}
