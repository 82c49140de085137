// An edge engine over an origin that is a function, with a clock that the test moves.
import { createEngine, type Engine, type EngineParts } from '../../edge-cache/engine.ts';
import { createFailureLog } from '../../edge-cache/failure-log.ts';
import { type FillParts, Fills } from '../../edge-cache/fill.ts';
import { LiveEdges } from '../../edge-cache/live-edges.ts';
import { MemoryStore } from '../../edge-cache/memory-store.ts';
import type { EdgeAnswer, EdgeRequest, Headers } from '../../edge-cache/messages.ts';
import { createEdgeMetrics, type EdgeMetrics } from '../../edge-cache/metrics.ts';
import { NegativeStore } from '../../edge-cache/negative-store.ts';
import { Prefetches } from '../../edge-cache/prefetch.ts';
import type { OriginAnswer, OriginRequest, Upstream } from '../../edge-cache/upstream.ts';
import { Viewers } from '../../edge-cache/viewers.ts';
import { WaitingRoom } from '../../edge-cache/waiting-room.ts';
import { silentLogger } from '../../platform/runtime/log.ts';
import { createMetrics, type Metrics } from '../../platform/runtime/metrics.ts';

export const PLAYBACK_ID = 'PlaybackPlaybackPlay01';
export const CONTENT_ID = 'ContentContentContent1';

/** Metrics that nobody scrapes. */
export const unseenMetrics = (metrics: Metrics = createMetrics(false)): EdgeMetrics =>
  createEdgeMetrics(metrics, {
    cacheBytes: () => 0,
    cacheObjects: () => 0,
    viewers: () => 0,
    originsUp: () => 0,
    connections: () => 0,
    waiting: () => 0,
    blocked: () => 0,
    fills: () => 0,
    reservedBytes: () => 0,
  });

export const requestOf = (target: string, headers: Headers = {}, method = 'GET'): EdgeRequest => ({
  method,
  target,
  headers,
  hosts: 1,
  hasBody: false,
  client: '192.0.2.1',
  onLeft: null,
});

/** A whole answer of an origin. */
export const whole = (status: number, headers: Headers, text = ''): OriginAnswer => ({
  status,
  headers,
  origin: 'http://origin',
  body: Buffer.from(text),
});

/** A body that comes in the given pieces; an Error among them breaks it. */
export const streamed = (headers: Headers, length: number, pieces: (Buffer | Error)[]): OriginAnswer => ({
  status: 200,
  headers,
  origin: 'http://origin',
  body: {
    length,
    discard: () => undefined,
    stream: (async function* () {
      for (const piece of pieces) {
        if (piece instanceof Error) throw piece;
        yield piece;
      }
    })(),
  },
});

export type EdgeWorld = {
  engine: Engine;
  /** What the engine is made of. */
  parts: EngineParts;
  viewers: Viewers;
  store: MemoryStore;
  fills: Fills;
  waiting: WaitingRoom;
  /** Outcomes of prefetches, in order. */
  prefetched: string[];
  /** What reached the origin. */
  asked: OriginRequest[];
  broken: string[];
  /** Moves the clock. Unit: ms. */
  pass(ms: number): void;
  get(target: string, headers?: Headers, method?: string): Promise<EdgeAnswer>;
  /** The same, and the viewer's way out. */
  visit(target: string): { answer: Promise<EdgeAnswer>; leave(): void };
};

/** @param answer the origin: throws what a real upstream throws when no origin helps */
export function edgeWorld(
  answer: (request: OriginRequest) => OriginAnswer | Promise<OriginAnswer>,
  places = 20_000,
  disk: FillParts['disk'] = null,
): EdgeWorld {
  let nowMs = 1_000_000;
  const now = () => nowMs;
  const asked: OriginRequest[] = [];
  const broken: string[] = [];
  const upstream: Upstream = {
    async fetch(request) {
      asked.push(request);
      return answer(request);
    },
    broke: (_kind, origin) => void broken.push(origin),
  };
  const store = new MemoryStore(10_000_000);
  const negatives = new NegativeStore(100);
  const viewers = new Viewers();
  const prefetched: string[] = [];
  const metrics: EdgeMetrics = {
    ...unseenMetrics(),
    prefetches: { add: (labels = {}) => void prefetched.push(labels['outcome'] ?? '') },
  };
  const waiting = new WaitingRoom(places);
  const fills: Fills = new Fills({
    upstream,
    store,
    disk,
    negatives,
    live: new LiveEdges(),
    metrics,
    now,
    onText(wanted, body) {
      if (wanted.route.kind === 'master' || wanted.route.kind === 'mpd')
        viewers.learn(wanted.route.playback, body.toString());
      else prefetches.saw(wanted, body);
    },
  });
  const prefetches = new Prefetches({ fills, store, metrics });
  const parts: EngineParts = {
    store,
    negatives,
    fills,
    viewers,
    waiting,
    local: () => null,
    metrics,
    log: silentLogger,
    failures: createFailureLog(silentLogger, 1_000, now),
    now,
  };
  const engine = createEngine(parts);
  return {
    engine,
    parts,
    viewers,
    store,
    fills,
    waiting,
    prefetched,
    asked,
    broken,
    pass: (ms) => {
      nowMs += ms;
    },
    get: (target, headers, method) => engine.handle(requestOf(target, headers, method)),
    visit(target) {
      const request = requestOf(target);
      return { answer: engine.handle(request), leave: () => request.onLeft?.() };
    },
  };
}

/** Body of an answer; rejects when it is cut. */
export async function bodyOf(answer: EdgeAnswer): Promise<Buffer> {
  if (answer.body === null) return Buffer.alloc(0);
  if (Buffer.isBuffer(answer.body)) return answer.body;
  const chunks: Buffer[] = [];
  for await (const chunk of answer.body) chunks.push(chunk);
  return Buffer.concat(chunks);
}
