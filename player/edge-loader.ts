// Loader for hls.js: each of its requests goes through requestFromEdges, so a dying edge costs one request a moment and the source no reload.
// hls.js itself is named in playback.ts only: the types here are the part of its loader contract that is used.
import type { SteeringManifest } from '../platform/contract/steering.ts';
import { type EdgeAnswer, NoEdgeAnswered, requestFromEdges } from './edge-request.ts';
import { type EdgeRing, withPathway, withViewer } from './edges.ts';
import type { HeldLimits } from './hls-settings.ts';

/** hls.js's name for steering manifests. */
const STEERING = 'steering-manifest';

type RequestContext = { url: string; type?: string; responseType: string; rangeStart?: number; rangeEnd?: number };
type LoadStats = {
  aborted: boolean;
  loaded: number;
  retry: number;
  total: number;
  chunkCount: number;
  bwEstimate: number;
  loading: { start: number; first: number; end: number };
  parsing: { start: number; end: number };
  buffering: { start: number; first: number; end: number };
};
type Answer = { url: string; data: string | ArrayBuffer | object; code: number };
type Callbacks<T> = {
  onSuccess(response: Answer, stats: LoadStats, context: T, network: null): void;
  onError(error: { code: number; text: string }, context: T, network: null, stats: LoadStats): void;
  onTimeout(stats: LoadStats, context: T, network: null): void;
  onAbort?: (stats: LoadStats, context: T, network: null) => void;
};

/** First byte: from an edge that has a substitute; from the last one. Unit: ms. */
const FIRST_BYTE_MS = 1_500;
const LAST_FIRST_BYTE_MS = 8_000;
const SILENCE_MS = 4_000;
/** Rounds over all edges, about 3 s without any answer; after that hls.js decides and the recovery restarts it. */
const ROUNDS = 4;

const freshStats = (): LoadStats => ({
  aborted: false,
  loaded: 0,
  retry: 0,
  total: 0,
  chunkCount: 0,
  bwEstimate: 0,
  loading: { start: 0, first: 0, end: 0 },
  parsing: { start: 0, end: 0 },
  buffering: { start: 0, first: 0, end: 0 },
});

/**
 * The loader class that hls.js constructs per request.
 * @param viewer the page's number on media playlists
 * @param heldLimits of a playlist that may be held back (blocking reload)
 */
export function edgeLoader(ring: EdgeRing, viewer: string, heldLimits: () => HeldLimits) {
  return class<T extends RequestContext> extends EdgeLoader<T> {
    constructor() {
      super(ring, viewer, heldLimits);
    }
  };
}

class EdgeLoader<T extends RequestContext> {
  context: T | null = null;
  stats: LoadStats = freshStats();
  #abort: AbortController | null = new AbortController();
  #callbacks: Callbacks<T> | null = null;
  #headers: Headers | null = null;
  readonly #ring: EdgeRing;
  readonly #viewer: string;
  readonly #heldLimits: () => HeldLimits;

  constructor(ring: EdgeRing, viewer: string, heldLimits: () => HeldLimits) {
    this.#ring = ring;
    this.#viewer = viewer;
    this.#heldLimits = heldLimits;
  }

  load(context: T, _config: unknown, callbacks: Callbacks<T>): void {
    this.context = context;
    this.#callbacks = callbacks;
    this.stats.loading.start = performance.now();
    void this.#run(context, callbacks, this.#abort?.signal ?? AbortSignal.abort());
  }

  abort(): void {
    const wasUnderway = this.#stop();
    if (wasUnderway && this.context) this.#callbacks?.onAbort?.(this.stats, this.context, null);
  }

  destroy(): void {
    this.#stop();
    this.#callbacks = null;
    this.context = null;
  }

  getCacheAge(): number | null {
    const age = this.#headers?.get('age');
    return age === null || age === undefined ? null : Number.parseFloat(age);
  }

  getResponseHeader(name: string): string | null {
    return this.#headers?.get(name) ?? null;
  }

  /** Ends the request; true when one was under way. */
  #stop(): boolean {
    const wasUnderway = this.#abort !== null && this.stats.loading.start > 0 && this.stats.loading.end === 0;
    this.#abort?.abort();
    this.#abort = null;
    if (wasUnderway) this.stats.aborted = true;
    return wasUnderway;
  }

  async #run(context: T, callbacks: Callbacks<T>, signal: AbortSignal): Promise<void> {
    try {
      const isSteering = context.type === STEERING;
      const url = isSteering ? withPathway(context.url, this.#ring.pathway) : withViewer(context.url, this.#viewer);
      // One round is enough: hls.js asks again after the time to live.
      const options = { ...this.#options(context, signal), ...(isSteering ? { isSteering, rounds: 1 } : {}) };
      const answer = await requestFromEdges(url, this.#ring, options);
      if (!signal.aborted) this.#deliver(answer, context, callbacks);
    } catch (error) {
      if (signal.aborted) return;
      this.#abort = null;
      if (error instanceof NoEdgeAnswered && error.isTimeout) callbacks.onTimeout(this.stats, context, null);
      else {
        const code = error instanceof NoEdgeAnswered ? error.status : 0;
        callbacks.onError({ code, text: String(error) }, context, null, this.stats);
      }
    }
  }

  #options(context: T, signal: AbortSignal) {
    const held = context.url.includes('_HLS_msn=') ? this.#heldLimits() : null;
    const headers: Record<string, string> = {};
    if (context.rangeEnd) headers['range'] = `bytes=${context.rangeStart ?? 0}-${context.rangeEnd - 1}`;
    return {
      signal,
      headers,
      firstByteMs: held?.firstByteMs ?? FIRST_BYTE_MS,
      lastFirstByteMs: held?.firstByteMs ?? LAST_FIRST_BYTE_MS,
      ...(held === null ? {} : { hedgeMs: held.hedgeMs }),
      silenceMs: SILENCE_MS,
      rounds: ROUNDS,
      onAttempt: (startedAt: number) => {
        this.stats.loading.start = startedAt;
      },
      onProgress: (loaded: number, total: number, firstByteAt: number) => {
        this.stats.loading.first = firstByteAt;
        this.stats.loaded = loaded;
        this.stats.total = total;
      },
    };
  }

  #deliver(answer: EdgeAnswer, context: T, callbacks: Callbacks<T>): void {
    const { stats } = this;
    this.#abort = null;
    this.#headers = answer.headers;
    if (answer.status >= 400) {
      callbacks.onError({ code: answer.status, text: `status ${answer.status}` }, context, null, stats);
      return;
    }
    stats.loading.start = answer.startedAt;
    stats.loading.first = answer.firstByteAt;
    stats.loading.end = Math.max(answer.endedAt, answer.firstByteAt);
    stats.loaded = answer.bytes.byteLength;
    stats.total = stats.loaded;
    stats.bwEstimate = (stats.total * 8_000) / Math.max(1, stats.loading.end - stats.loading.first);
    // The address asked for, not the one that answered: relative addresses stay on one name and are moved per request.
    const response = { url: context.url, data: decode(answer.bytes, context.responseType), code: answer.status };
    if (context.type === STEERING) this.#ring.steer(priorityIn(response.data), answer.base);
    callbacks.onSuccess(response, stats, context, null);
  }
}

function decode(bytes: ArrayBuffer, responseType: string): string | ArrayBuffer | object {
  if (responseType === 'arraybuffer') return bytes;
  const text = new TextDecoder().decode(bytes);
  return responseType === 'json' ? (JSON.parse(text) as object) : text;
}

/** What a steering manifest asks for; nothing where it is none. */
function priorityIn(data: string | ArrayBuffer | object): readonly string[] {
  const priority = (data as Partial<SteeringManifest>)['PATHWAY-PRIORITY'];
  return Array.isArray(priority) ? priority.map(String) : [];
}
