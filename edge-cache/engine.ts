// The viewer side: one request in, one answer out, as a list of named steps. Knows no HTTP library, so that every listener shares it.
import { randomText } from '../platform/contract/ids.ts';
import { headers as names, PUBLIC_GRANT, type ViewerRoute } from '../platform/contract/routes.ts';
import { AppError } from '../platform/runtime/errors.ts';
import type { Logger } from '../platform/runtime/log.ts';
import { spanOf } from './conditions.ts';
import { EdgeBusy, StreamUnavailable } from './errors.ts';
import type { FailureLog } from './failure-log.ts';
import type { Filled, Filling, Fills, Wanted } from './fill.ts';
import { passedHeaders, wantedOf } from './fill.ts';
import type { CachedObject, MemoryStore } from './memory-store.ts';
import type { EdgeAnswer, EdgeRequest, Result } from './messages.ts';
import type { EdgeMetrics } from './metrics.ts';
import type { NegativeStore } from './negative-store.ts';
import { failureReply, leftReply, missingReply, objectReply, preflightReply, textReply } from './replies.ts';
import { parseTarget } from './request-target.ts';
import type { Viewers } from './viewers.ts';
import { LEFT, type WaitingRoom } from './waiting-room.ts';

export type EngineParts = {
  store: MemoryStore;
  negatives: NegativeStore;
  fills: Pick<Fills, 'join' | 'pass'>;
  viewers: Viewers;
  waiting: WaitingRoom;
  /** Pages and health: paths that are no viewer address. null: not known either. */
  local: (request: EdgeRequest, path: string) => EdgeAnswer | null;
  metrics: EdgeMetrics;
  log: Logger;
  failures: FailureLog;
  now: () => number;
};

export interface Engine {
  /** What memory answers at once: a fresh object or 404, a page, a refusal. null: ask handle(), with the same object. Never throws. */
  answerNow(request: EdgeRequest): EdgeAnswer | null;
  /** Never rejects: what goes wrong is an answer. */
  handle(request: EdgeRequest): Promise<EdgeAnswer>;
}

/** What the steps hand on. Filled from top to bottom. */
type Exchange = {
  request: EdgeRequest;
  requestId: string;
  kind: string;
  wanted: Wanted | null;
  held: CachedObject | null;
  filling: Filling | null;
  /** Joined a second fill after the first one had failed. */
  isAgain: boolean;
};
/** A step answers, or hands on. */
type Step = {
  name: string;
  run: (parts: EngineParts, x: Exchange) => EdgeAnswer | null | Promise<EdgeAnswer | null>;
};

const steps: Step[] = [
  { name: 'refuse', run: refuse },
  { name: 'parse and key', run: parseAndKey },
  { name: 'look up', run: lookUp },
  { name: 'coalesce', run: coalesce },
  { name: 'reply', run: reply },
];

/** Who joined a request this short before it failed has not waited for its answer yet. Unit: ms. */
const LATE_MS = 2_000;
const REQUEST_ID = /^[A-Za-z0-9_-]{8,64}$/;

/** Ids of requests that bring none: made from one random text, because drawing each anew is a sixth of a cached answer's cost. */
function requestIds(): () => string {
  const own = randomText(10);
  let count = 0;
  return () => {
    count = (count + 1) % 36 ** 6;
    return own + count.toString(36).padStart(6, '0');
  };
}

export function createEngine(parts: EngineParts): Engine {
  const nextId = requestIds();
  const begin = (request: EdgeRequest): Exchange => {
    const given = request.headers[names.requestId];
    const requestId = given !== undefined && REQUEST_ID.test(given) ? given : nextId();
    return { request, requestId, kind: 'invalid', wanted: null, held: null, filling: null, isAgain: false };
  };
  const finish = (x: Exchange, answer: EdgeAnswer, startedMs: number): EdgeAnswer => {
    answer.headers[names.requestId] ??= x.requestId;
    parts.metrics.requests.add({ kind: answer.kind, result: answer.result, status: String(answer.status) });
    parts.metrics.requestSeconds.observe((parts.now() - startedMs) / 1_000, { result: answer.result });
    return answer;
  };
  return {
    answerNow(request) {
      const startedMs = parts.now();
      const x = begin(request);
      const answer = refuse(parts, x) ?? parseAndKey(parts, x) ?? lookUp(parts, x);
      return answer === null ? null : finish(x, answer, startedMs);
    },
    async handle(request) {
      const startedMs = parts.now();
      const x = begin(request);
      return finish(x, await runSteps(parts, x), startedMs);
    },
  };
}

async function runSteps(parts: EngineParts, x: Exchange): Promise<EdgeAnswer> {
  for (const step of steps) {
    try {
      const answer = await step.run(parts, x);
      if (answer === null) continue;
      parts.log.debug('request answered', {
        request: x.requestId,
        step: step.name,
        kind: answer.kind,
        result: answer.result,
        status: answer.status,
      });
      return answer;
    } catch (thrown) {
      const fields = { request: x.requestId, step: step.name, kind: x.kind, err: thrown };
      if (thrown instanceof AppError) parts.failures.warn('request failed', fields);
      else parts.log.error('request failed', fields);
      return failureReply(x.request, x.kind, x.requestId, thrown);
    }
  }
  return failureReply(x.request, x.kind, x.requestId, null);
}

/** What no listener of ours should have let through, and what is answered without looking at the address. */
function refuse(_parts: EngineParts, { request }: Exchange): EdgeAnswer | null {
  const no = (status: number, text: string, headers = {}): EdgeAnswer => ({
    ...textReply(request, 'invalid', 'refused', status, text, headers),
    isLast: true,
  });
  if (request.hosts > 1) return no(400, 'one Host header, please');
  // A body nobody reads would be taken for the next request.
  if (request.hasBody) return no(400, 'requests here have no body');
  if (request.method === 'OPTIONS') return preflightReply();
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return no(405, 'only GET, HEAD and OPTIONS', { allow: 'GET, HEAD, OPTIONS' });
  return null;
}

function parseAndKey(parts: EngineParts, x: Exchange): EdgeAnswer | null {
  const { request } = x;
  const target = parseTarget(request.target);
  if ('refused' in target)
    return {
      ...textReply(request, 'invalid', 'refused', target.refused, 'not an address of this server'),
      isLast: true,
    };
  const { route, directives, viewer, path } = target;
  if (route === null) return parts.local(request, path) ?? notFound(request);
  // Tokens come with signed playback: until then no grant but the public one is ever right.
  if ('grant' in route && route.grant !== PUBLIC_GRANT) return notFound(request);
  x.kind = route.kind;
  x.wanted = wantedOf(route, directives, x.requestId);
  countViewer(parts, request, route, viewer);
  return null;
}

/** Players of HLS come back to media playlists, players of DASH to the manifest. */
function countViewer({ viewers, now }: EngineParts, request: EdgeRequest, route: ViewerRoute, viewer: string | null) {
  if (request.method !== 'GET' || (route.kind !== 'media-playlist' && route.kind !== 'mpd')) return;
  const who = viewer ?? `${request.client} ${request.headers['user-agent'] ?? ''}`;
  if (route.kind === 'mpd') viewers.sawPlayback(route.playback, who, now());
  else viewers.saw(route.content, who, now());
}

const notFound = (request: EdgeRequest): EdgeAnswer =>
  textReply(request, 'invalid', 'refused', 404, 'nothing here', { 'cache-control': 'public, max-age=1' });

function lookUp(parts: EngineParts, x: Exchange): EdgeAnswer | null {
  if (x.wanted === null) return null;
  const nowMs = parts.now();
  const object = parts.store.get(x.wanted.key);
  if (object !== null && object.freshUntilMs > nowMs) return cachedReply(x, 'hit', object, nowMs);
  const missing = parts.negatives.get(x.wanted.key, nowMs);
  if (missing !== null) return missingReply(x.request, x.kind, 'negative', missing);
  x.held = object;
  x.wanted = { ...x.wanted, held: object };
  return null;
}

function coalesce(parts: EngineParts, x: Exchange): null {
  if (x.wanted === null) return null;
  // No new request for somebody who could not wait for it.
  if (parts.waiting.isFull) throw new EdgeBusy('waiting viewers');
  x.filling = parts.fills.join(x.wanted);
  if (!x.filling.isFirst) parts.metrics.coalesced.add();
  return null;
}

async function reply(parts: EngineParts, x: Exchange): Promise<EdgeAnswer | null> {
  if (x.filling === null || x.wanted === null) return null;
  let filled: Filled | typeof LEFT;
  const fromMs = parts.now();
  try {
    filled = await parts.waiting.wait(x.filling.filled, x.request, x.filling.isBlocked);
  } catch (thrown) {
    const isLate = !x.isAgain && !x.filling.isFirst && parts.now() - fromMs < LATE_MS;
    if (!isLate || !(thrown instanceof StreamUnavailable)) return staleReply(parts, x, thrown);
    // Others had waited for long before this viewer came: this one has hardly begun.
    x.isAgain = true;
    x.filling = parts.fills.join(x.wanted);
    return reply(parts, x);
  }
  if (filled === LEFT) return leftReply(x.kind);
  const how: Result = x.filling.isFirst ? 'miss' : 'coalesced';
  if (filled.type === 'missing') return missingReply(x.request, x.kind, how, filled.missing);
  if (filled.type === 'revalidated') return cachedReply(x, 'revalidated', filled.object, parts.now());
  if (filled.type === 'large') return passOn(parts, x, x.wanted);
  return objectReply(x.request, x.kind, how, { ...filled, ageS: ageOf(filled.arrivedMs, parts.now()) });
}

/** No origin helped: what is held is shown while the policy allows it. */
function staleReply(parts: EngineParts, x: Exchange, thrown: unknown): EdgeAnswer {
  const nowMs = parts.now();
  if (x.held === null || x.held.staleUntilMs <= nowMs) throw thrown;
  parts.failures.warn('stale object shown', { kind: x.kind, err: thrown });
  return cachedReply(x, 'stale', x.held, nowMs);
}

const cachedReply = (x: Exchange, result: Result, object: CachedObject, nowMs: number): EdgeAnswer =>
  objectReply(x.request, x.kind, result, { ...object, ageS: ageOf(object.arrivedMs, nowMs) });

const ageOf = (arrivedMs: number, nowMs: number): number => Math.max(0, Math.floor((nowMs - arrivedMs) / 1_000));

/** An object too large to keep goes through, each viewer with a request of its own. */
async function passOn(parts: EngineParts, x: Exchange, wanted: Wanted): Promise<EdgeAnswer> {
  const span = spanOf(x.request.headers, Number.MAX_SAFE_INTEGER, null);
  const range = typeof span === 'object' && span.to < Number.MAX_SAFE_INTEGER - 1 ? span : null;
  const answer = await parts.fills.pass(wanted, range);
  if (Buffer.isBuffer(answer.body)) {
    const missing = { status: answer.status, headers: passedHeaders(answer.headers), body: answer.body };
    return missingReply(x.request, x.kind, 'bypass', missing);
  }
  const contentRange = answer.headers['content-range'];
  const headers = {
    ...passedHeaders(answer.headers),
    'content-length': String(answer.body.length),
    'x-cache': 'BYPASS',
    ...(contentRange === undefined ? {} : { 'content-range': contentRange }),
  };
  return { kind: x.kind, result: 'bypass', status: answer.status, headers, body: answer.body.stream };
}
