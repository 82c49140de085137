// Everything between a viewer's connection and the origins, without registry and listeners' addresses: what tests build too.
import type { Server } from 'node:http';
import type { HttpClient } from '../platform/runtime/http-client.ts';
import type { Logger } from '../platform/runtime/log.ts';
import type { Metrics } from '../platform/runtime/metrics.ts';
import { delay } from '../platform/runtime/waits.ts';
import type { Selector } from './balancer.ts';
import { createEngine } from './engine.ts';
import { createFailureLog } from './failure-log.ts';
import { Fills } from './fill.ts';
import { healthAnswer } from './health.ts';
import { MemoryStore } from './memory-store.ts';
import { createEdgeMetrics } from './metrics.ts';
import { NegativeStore } from './negative-store.ts';
import { createNodeListener } from './node-listener.ts';
import { OriginPool, type OriginSource } from './origins.ts';
import { Pages } from './pages.ts';
import { ServedPositions } from './served-positions.ts';
import { createUpstream } from './upstream.ts';
import { Viewers } from './viewers.ts';

const MAX_NEGATIVES = 10_000;
const FAILURE_LOG_MS = 5_000;

export type ViewerSideParts = {
  http: HttpClient;
  log: Logger;
  metrics: Metrics;
  selector: Selector;
  internalSecret: string;
  memoryBytes: number;
  pagesFolder: string;
  origins: OriginSource;
  /** Public base addresses of all edges, this one first. */
  edges: () => string[];
  isDraining: () => boolean;
  /** Monotonic milliseconds. */
  now: () => number;
};

export type ViewerSide = {
  /** node:http server, not listening yet. */
  server: Server;
  origins: OriginPool;
  fills: Fills;
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
  const store = new MemoryStore(parts.memoryBytes);
  const negatives = new NegativeStore(MAX_NEGATIVES);
  const viewers = new Viewers();
  const pool = new OriginPool({ source: parts.origins, selector: parts.selector, http: parts.http, log, now });
  const connections = new Set<unknown>();
  const metrics = createEdgeMetrics(parts.metrics, {
    cacheBytes: () => store.bytes,
    cacheObjects: () => store.count,
    viewers: () => viewers.total(now()),
    originsUp: () => pool.counts().up,
    connections: () => connections.size,
  });
  const failures = createFailureLog(log, FAILURE_LOG_MS, now);
  const upstream = createUpstream({
    pool,
    http: parts.http,
    metrics,
    failures,
    internalSecret: parts.internalSecret,
    now,
    wait: delay,
  });
  const fills = new Fills({
    upstream,
    store,
    negatives,
    positions: new ServedPositions(),
    metrics,
    now,
    onMaster: (route, text) => viewers.learn(route.playback, text),
  });
  const pages = new Pages(parts.pagesFolder, parts.edges);
  const readiness = () => [
    ...(parts.isDraining() ? ['this edge is draining'] : []),
    ...(pool.counts().up === 0 ? ['no origin answers'] : []),
  ];
  const engine = createEngine({
    store,
    negatives,
    fills,
    viewers,
    local: (request, path) => healthAnswer(request, path, readiness) ?? pages.answer(request, path),
    metrics,
    log,
    failures,
    now,
  });
  const server = createNodeListener(engine, parts.isDraining, (thrown) =>
    log.error('answer not written', { err: thrown }),
  );
  server.on('connection', (socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
  });
  return {
    server,
    origins: pool,
    fills,
    pages,
    readiness,
    viewerCounts: () => viewers.counts(now()),
    connections: () => connections.size,
    cacheBytes: () => store.bytes,
  };
}
