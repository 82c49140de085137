// An edge engine over an origin that is a function, with a clock that the test moves.
import { createEngine, type Engine } from '../../edge-cache/engine.ts';
import { createFailureLog } from '../../edge-cache/failure-log.ts';
import { Fills } from '../../edge-cache/fill.ts';
import { MemoryStore } from '../../edge-cache/memory-store.ts';
import type { EdgeAnswer, EdgeRequest, Headers } from '../../edge-cache/messages.ts';
import { createEdgeMetrics, type EdgeMetrics } from '../../edge-cache/metrics.ts';
import { NegativeStore } from '../../edge-cache/negative-store.ts';
import { ServedPositions } from '../../edge-cache/served-positions.ts';
import type { OriginAnswer, OriginRequest, Upstream } from '../../edge-cache/upstream.ts';
import { Viewers } from '../../edge-cache/viewers.ts';
import { silentLogger } from '../../platform/runtime/log.ts';
import { createMetrics } from '../../platform/runtime/metrics.ts';

export const PLAYBACK_ID = 'PlaybackPlaybackPlay01';
export const CONTENT_ID = 'ContentContentContent1';

/** Metrics that nobody scrapes. */
export const unseenMetrics = (): EdgeMetrics =>
  createEdgeMetrics(createMetrics(false), {
    cacheBytes: () => 0,
    cacheObjects: () => 0,
    viewers: () => 0,
    originsUp: () => 0,
    connections: () => 0,
  });

export const requestOf = (target: string, headers: Headers = {}, method = 'GET'): EdgeRequest => ({
  method,
  target,
  headers,
  hosts: 1,
  hasBody: false,
  client: '192.0.2.1',
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
  viewers: Viewers;
  store: MemoryStore;
  fills: Fills;
  /** What reached the origin. */
  asked: OriginRequest[];
  broken: string[];
  /** Moves the clock. Unit: ms. */
  pass(ms: number): void;
  get(target: string, headers?: Headers, method?: string): Promise<EdgeAnswer>;
};

/** @param answer the origin: throws what a real upstream throws when no origin helps */
export function edgeWorld(answer: (request: OriginRequest) => OriginAnswer | Promise<OriginAnswer>): EdgeWorld {
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
  const metrics = unseenMetrics();
  const fills = new Fills({
    upstream,
    store,
    negatives,
    positions: new ServedPositions(),
    metrics,
    now,
    onMaster: (route, text) => viewers.learn(route.playback, text),
  });
  const engine = createEngine({
    store,
    negatives,
    fills,
    viewers,
    local: () => null,
    metrics,
    log: silentLogger,
    failures: createFailureLog(silentLogger, 1_000, now),
    now,
  });
  return {
    engine,
    viewers,
    store,
    fills,
    asked,
    broken,
    pass: (ms) => {
      nowMs += ms;
    },
    get: (target, headers, method) => engine.handle(requestOf(target, headers, method)),
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
