// The stand-in origin, one process: fixed objects, live streams that follow the wall clock, a catalogue. Counts what is asked of it, so that coalescing can be read off.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { parseArgs } from 'node:util';
import { headers as names, parseViewerPath, type ViewerRoute } from '../../platform/contract/routes.ts';
import { listen } from '../../platform/runtime/http-server.ts';
import { delay } from '../../platform/runtime/waits.ts';
import {
  classicPlaylist,
  finishedPlaylist,
  isRung,
  lowLatency,
  lowLatencyPlaylist,
  masterPlaylist,
  newestPart,
  newestSegment,
  onDemand,
  partAtMs,
  partIndex,
  placeOf,
  segmentAtMs,
} from './live-texts.ts';
import { bytesOf, contents, EPOCH, etagOf, isTitle, lengthOfWriter } from './objects.ts';

/** Where requests are counted: not a viewer address, so no edge passes it on. */
export const COUNTS_PATH = '/bench/counts';
/** Since the last reading. */
export type Counts = {
  /** By path with query. */
  requests: [string, number][];
  /** Of bodies. */
  bytes: number;
  /** Longest time by which an answer that was held back left too late: viewers cannot have it sooner. Unit: ms. */
  lateMs: number;
};

const INIT_BYTES = 1_000;
/** The fixed playlist of the cells. */
export const FIXED_PLAYLIST = finishedPlaylist(1_048_576, 20, 1_200);
/** Nobody is held longer: three target durations. Unit: ms. */
const LONGEST_HOLD_MS = 3 * lowLatency.partMs * lowLatency.partsPerSegment;
const TYPES = { playlist: 'application/vnd.apple.mpegurl', media: 'video/mp4' } as const;
const CACHE = {
  live: 'public, max-age=1',
  exact: 'public, max-age=12',
  finished: 'public, max-age=30',
  media: 'public, max-age=31536000, immutable',
} as const;

type Answer = { body: Buffer; type: string; cache: string; etag: string; position?: string };
/** Held: the answer to be had then. */
type Found = Answer | { status: 400 | 404 } | { atMs: number };

/**
 * Serves until the process is ended.
 * @param args `--port n --zero ms`: where to listen, and the wall clock at which the live streams began
 */
export async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options: { port: { type: 'string' }, zero: { type: 'string' } } });
  const zeroMs = Number(values.zero);
  const counts = new Map<string, number>();
  const state = { bytes: 0, lateMs: 0 };
  const server = createServer({ keepAliveTimeout: 120_000 }, (req, res) => {
    serve(req, res, { zeroMs, counts, state }).catch(() => res.destroy());
  });
  server.requestTimeout = 0;
  await listen(server, Number(values.port), '127.0.0.1', '--port');
  await new Promise((resolve) => process.once('SIGTERM', resolve));
}

type World = { zeroMs: number; counts: Map<string, number>; state: { bytes: number; lateMs: number } };

async function serve(req: IncomingMessage, res: ServerResponse, world: World): Promise<void> {
  const target = req.url ?? '';
  if (target === '/healthz') return void res.end('ok\n');
  if (target === COUNTS_PATH) return sendCounts(res, world);
  const url = new URL(target, 'http://origin');
  const route = parseViewerPath(url.pathname);
  world.counts.set(target, (world.counts.get(target) ?? 0) + 1);
  let found = route === null ? ({ status: 404 } as const) : find(route, url, Date.now() - world.zeroMs);
  if ('atMs' in found) {
    await delay(found.atMs - (Date.now() - world.zeroMs));
    if (res.destroyed || route === null) return;
    const nowMs = Date.now() - world.zeroMs;
    world.state.lateMs = Math.max(world.state.lateMs, nowMs - found.atMs);
    // Timers may come a moment early.
    found = find(route, url, Math.max(found.atMs, nowMs));
  }
  if ('body' in found) send(req, res, found, world);
  else res.writeHead('status' in found ? found.status : 503, { 'content-length': '0' }).end();
}

function sendCounts(res: ServerResponse, { counts, state }: World): void {
  const said: Counts = { requests: [...counts], bytes: state.bytes, lateMs: state.lateMs };
  counts.clear();
  state.bytes = 0;
  state.lateMs = 0;
  res.setHeader('content-type', 'application/json');
  res.end(JSON.stringify(said));
}

function find(route: ViewerRoute, url: URL, ageMs: number): Found {
  if (route.kind === 'master') return text(masterPlaylist(contents.classic, ['v144']), CACHE.live);
  if (!('content' in route)) return { status: 404 };
  if (route.kind === 'media-playlist') return findPlaylist(route.content, route.rendition, url, ageMs);
  if (route.kind === 'init') return media(url.pathname, INIT_BYTES);
  const length = lengthOfWriter(route.writer);
  if (length === null) return { status: 404 };
  const atMs = availableAtMs(route);
  if (atMs <= ageMs) return media(url.pathname, length);
  return atMs - ageMs > LONGEST_HOLD_MS ? { status: 404 } : { atMs };
}

function availableAtMs(route: Extract<ViewerRoute, { kind: 'segment' | 'part' }>): number {
  if (route.content === contents.classic) return segmentAtMs(route.msn);
  if (route.content !== contents.lowLatency) return 0;
  return partAtMs(partIndex(route.msn, route.kind === 'part' ? route.part : lowLatency.partsPerSegment - 1));
}

function findPlaylist(content: string, rendition: string, url: URL, ageMs: number): Found {
  if (content === contents.fixed) return text(FIXED_PLAYLIST, CACHE.finished);
  if (isTitle(content)) return text(finishedPlaylist(onDemand.segmentBytes, onDemand.segments), CACHE.finished);
  if (content === contents.classic && isRung(rendition)) {
    const newest = newestSegment(ageMs);
    return { ...text(classicPlaylist(rendition, newest), CACHE.live), position: `${EPOCH}.${newest}.0` };
  }
  return content === contents.lowLatency ? findLowLatency(url.searchParams, ageMs) : { status: 404 };
}

function findLowLatency(query: URLSearchParams, ageMs: number): Found {
  const msn = query.get('_HLS_msn');
  if (msn === null) return lowLatencyText(newestPart(ageMs), CACHE.live);
  const asked = partIndex(Number(msn), Number(query.get('_HLS_part') ?? lowLatency.partsPerSegment - 1));
  const atMs = partAtMs(asked);
  if (atMs <= ageMs) return lowLatencyText(asked, CACHE.exact);
  return atMs - ageMs > LONGEST_HOLD_MS ? { status: 400 } : { atMs };
}

function lowLatencyText(index: number, cache: string): Answer {
  const { msn, part } = placeOf(index);
  return { ...text(lowLatencyPlaylist(index), cache), position: `${EPOCH}.${msn}.${part}` };
}

const text = (body: string, cache: string): Answer => ({
  body: Buffer.from(body),
  type: TYPES.playlist,
  cache,
  etag: etagOf(body),
});

const media = (path: string, length: number): Answer => ({
  body: bytesOf(path, length),
  type: TYPES.media,
  cache: CACHE.media,
  etag: etagOf(path),
});

function send(req: IncomingMessage, res: ServerResponse, answer: Answer, { state }: World): void {
  const head = {
    'content-type': answer.type,
    'cache-control': answer.cache,
    etag: answer.etag,
    'last-modified': 'Thu, 01 Jan 2026 00:00:00 GMT',
    'accept-ranges': 'bytes',
    [names.policy]: 'public',
    ...(answer.position === undefined ? {} : { [names.position]: answer.position }),
  };
  if (req.headers['if-none-match'] === answer.etag) return void res.writeHead(304, head).end();
  const range = /^bytes=(\d+)-(\d*)$/.exec(req.headers.range ?? '');
  const from = Number(range?.[1] ?? 0);
  const to = Math.min(answer.body.length, range?.[2] ? Number(range[2]) + 1 : answer.body.length);
  const body = answer.body.subarray(from, to);
  if (range !== null) Object.assign(head, { 'content-range': `bytes ${from}-${to - 1}/${answer.body.length}` });
  state.bytes += body.length;
  res.writeHead(range === null ? 200 : 206, { ...head, 'content-length': String(body.length) });
  res.end(req.method === 'HEAD' ? undefined : body);
}
