// A small origin over real HTTP for edge tests: deterministic media, ranges, ETags, and faults on demand.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

export const PLAYBACK = 'PlaybackPlaybackPlay01';
export const CONTENT = 'ContentContentContent1';
const SEGMENT_BYTES = 300_000;

/** Bytes of the media object at `path`: the same from every origin. */
export function bytesOf(path: string, length = SEGMENT_BYTES): Buffer {
  const seed = createHash('sha256').update(path).digest();
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i += 1) bytes[i] = (seed[i % 32] ?? 0) ^ (i & 0xff) ^ ((i >> 8) & 0xff);
  return bytes;
}

/** Answers a request before the ordinary handler; true: answered. */
export type Handler = (req: IncomingMessage, res: ServerResponse) => boolean;

export type TestOrigin = {
  readonly url: string;
  readonly segmentBytes: number;
  /** Paths with query asked for, health checks left out. */
  readonly asked: string[];
  /** Range headers seen, in order. */
  readonly ranges: string[];
  /** Headers of the last request. */
  lastHeaders(): IncomingMessage['headers'];
  /** Position that live playlists carry; null: an on-demand playlist. */
  setPosition(position: string | null): void;
  /** Text of ETags from now on. */
  setEtag(salt: string): void;
  /** Answers before the ordinary handler; true: answered. null takes it away. */
  intercept(handler: Handler | null): void;
  /** The next media body ends after this many bytes with a reset. */
  cutNextAfter(bytes: number): void;
  /** The next request waits. */
  hold(): { reached: Promise<void>; release(): void };
  setHealthy(isHealthy: boolean): void;
  /** Closes the port and every connection at once, as kill -9 does. */
  kill(): Promise<void>;
  /** Listens again on the same port. */
  restart(): Promise<void>;
  stop(): Promise<void>;
};

type State = {
  asked: string[];
  ranges: string[];
  last: IncomingMessage['headers'];
  position: string | null;
  salt: string;
  handler: Handler | null;
  cutAfter: number | null;
  held: { reach: () => void; released: Promise<void> } | null;
  isHealthy: boolean;
};

/** Starts an origin on a free port. */
export async function startTestOrigin(): Promise<TestOrigin> {
  const state: State = {
    asked: [],
    ranges: [],
    last: {},
    position: '1.10.0',
    salt: 'same',
    handler: null,
    cutAfter: null,
    held: null,
    isHealthy: true,
  };
  const sockets = new Set<Socket>();
  const server = createServer((req, res) => {
    answer(state, req, res).catch(() => res.destroy());
  });
  server.keepAliveTimeout = 75_000;
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  const listen = async (port: number) => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  const port = await listen(0);
  const kill = async () => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.resetAndDestroy();
    await closed;
  };
  return {
    url: `http://127.0.0.1:${port}`,
    segmentBytes: SEGMENT_BYTES,
    asked: state.asked,
    ranges: state.ranges,
    lastHeaders: () => state.last,
    setPosition: (position) => {
      state.position = position;
    },
    setEtag: (salt) => {
      state.salt = salt;
    },
    intercept: (handler) => {
      state.handler = handler;
    },
    cutNextAfter: (bytes) => {
      state.cutAfter = bytes;
    },
    hold: () => holdNext(state),
    setHealthy: (isHealthy) => {
      state.isHealthy = isHealthy;
    },
    kill,
    restart: async () => void (await listen(port)),
    stop: kill,
  };
}

function holdNext(state: State): { reached: Promise<void>; release(): void } {
  let release: () => void = () => undefined;
  let reach: () => void = () => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const reached = new Promise<void>((resolve) => {
    reach = resolve;
  });
  state.held = { reach, released };
  return { reached, release };
}

async function answer(state: State, req: IncomingMessage, res: ServerResponse): Promise<void> {
  const url = req.url ?? '';
  if (url === '/healthz') {
    res.writeHead(state.isHealthy ? 200 : 503).end('ok\n');
    return;
  }
  state.asked.push(url);
  state.last = req.headers;
  if (req.headers.range !== undefined) state.ranges.push(req.headers.range);
  const { held } = state;
  if (held !== null) {
    state.held = null;
    held.reach();
    await held.released;
  }
  if (state.handler?.(req, res) === true) return;
  const path = url.split('?')[0] ?? '';
  if (path === `/${PLAYBACK}.m3u8`) text(req, res, `#EXTM3U\nv/-/${CONTENT}/v240/index.m3u8\n`, 5, null);
  else if (path.endsWith('/index.m3u8'))
    text(req, res, `#EXTM3U\n#POSITION ${state.position}\n`, state.position === null ? 30 : 1, state.position);
  else if (path.endsWith('.m4s') || path.endsWith('.mp4')) media(state, path, req, res);
  else if (path === '/catalog.json') text(req, res, '{"live":[],"videos":[]}', 2, null);
  else missing(res);
}

function missing(res: ServerResponse): void {
  res
    .writeHead(404, {
      'cache-control': 'public, max-age=1',
      'content-type': 'application/problem+json',
      'headwater-state': 'waiting',
    })
    .end('{"status":404}');
}

function text(req: IncomingMessage, res: ServerResponse, body: string, maxAgeS: number, position: string | null): void {
  const etag = `"${createHash('sha256').update(body).digest('hex').slice(0, 16)}"`;
  const headers = {
    'cache-control': `public, max-age=${maxAgeS}`,
    'content-type': 'application/vnd.apple.mpegurl',
    'set-cookie': 'never=passed',
    etag,
    ...(position === null ? {} : { 'headwater-position': position }),
  };
  if (req.headers['if-none-match'] === etag) res.writeHead(304, headers).end();
  else res.writeHead(200, { ...headers, 'content-length': Buffer.byteLength(body) }).end(body);
}

function media(state: State, path: string, req: IncomingMessage, res: ServerResponse): void {
  const whole = bytesOf(path);
  const etag = `"${createHash('sha256').update(`${path}${state.salt}`).digest('hex').slice(0, 16)}"`;
  const range = /^bytes=(\d+)-(\d+)$/.exec(req.headers.range ?? '');
  const from = range === null ? 0 : Number(range[1]);
  const to = range === null ? whole.length - 1 : Number(range[2]);
  const body = whole.subarray(from, to + 1);
  const headers = {
    'cache-control': 'public, max-age=31536000, immutable',
    'content-type': 'video/mp4',
    etag,
    'content-length': body.length,
    ...(range === null ? {} : { 'content-range': `bytes ${from}-${to}/${whole.length}` }),
  };
  res.writeHead(range === null ? 200 : 206, headers);
  const cut = state.cutAfter;
  state.cutAfter = null;
  if (cut === null) res.end(body);
  else res.write(body.subarray(0, cut), () => setImmediate(() => res.socket?.resetAndDestroy()));
}
