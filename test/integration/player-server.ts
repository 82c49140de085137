// The HTTP side of the player's tests: the built pages, what an edge says of an id, and a live with blocking reload, all from one port.
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';
import { pageHeaders } from '../../edge-cache/page-security.ts';
import type { PlaybackInfo } from '../../platform/contract/playback.ts';
import { tempDir } from '../support/temp.ts';
import { mediaPlaylist, RigLive, TARGET_S } from './player-live.ts';
import { stamped, type Track } from './player-media.ts';

export const PLAYBACK = 'PlayerTestPlayerTest01';
const CONTENT = 'PlayerContentContent01';
const CONFIG = fileURLToPath(new URL('../../player/vite.config.ts', import.meta.url));
const HOLD_MS = 3 * TARGET_S * 1_000;

export type PlayerServer = {
  url: string;
  watch: string;
  live: RigLive;
  /** What `/{playback_id}.json` says beyond what follows from the live. */
  info: Partial<PlaybackInfo>;
  /** Further answers by path: pictures, storyboards. */
  files: Map<string, { type: string; body: Buffer | string }>;
  /** Every request so far. */
  asked: { at: number; path: string; status: number }[];
  close(): Promise<void>;
};

/** Builds the viewers' pages into a folder of its own. @returns the folder */
export async function buildPages(): Promise<string> {
  const outDir = await tempDir('player-pages');
  await build({ configFile: CONFIG, logLevel: 'error', build: { outDir, emptyOutDir: true, minify: false } });
  return outDir;
}

type Answer = { status: number; type: string; body: string | Buffer; headers?: Record<string, string> };
const text = (body: string, type = 'application/vnd.apple.mpegurl'): Answer => ({ status: 200, type, body });
const refusal = (status: number, headers: Record<string, string> = {}): Answer => ({
  status,
  type: 'text/plain',
  body: '',
  headers,
});

/** Serves one live under PLAYBACK. */
export async function startPlayerServer(pages: string, tracks: Track[], live: RigLive): Promise<PlayerServer> {
  const asked: PlayerServer['asked'] = [];
  const info: Partial<PlaybackInfo> = {};
  const files: PlayerServer['files'] = new Map();
  const server = createServer((req, res) => {
    const path = req.url ?? '/';
    void route(path, req)
      .catch((): Answer => refusal(500))
      .then((answer) => {
        asked.push({ at: Date.now(), path, status: answer.status });
        send(res, answer);
      });
  });
  const route = async (path: string, req: IncomingMessage): Promise<Answer> => {
    const url = new URL(path, 'http://rig');
    const page = pageOf(url.pathname);
    if (page !== null) return await pageAnswer(pages, page);
    if (url.pathname === '/edges.json')
      return text(JSON.stringify({ edges: [`http://${req.headers.host}`] }), 'application/json');
    if (url.pathname === `/${PLAYBACK}.json`)
      return text(JSON.stringify({ ...infoOf(live), ...info }), 'application/json');
    const file = files.get(url.pathname);
    if (file !== undefined) return { status: 200, ...file };
    if (url.pathname === `/${PLAYBACK}.m3u8`) return text(master(tracks));
    return await media(url, live, tracks);
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    watch: `${url}/watch/${PLAYBACK}`,
    live,
    info,
    files,
    asked,
    async close() {
      live.stop();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function send(res: ServerResponse, answer: Answer): void {
  res.writeHead(answer.status, {
    'content-type': answer.type,
    'content-length': Buffer.byteLength(answer.body),
    'access-control-allow-origin': '*',
    ...answer.headers,
  });
  res.end(answer.body);
}

function pageOf(path: string): string | null {
  if (path.startsWith('/watch/')) return 'watch.html';
  if (path.startsWith('/embed/')) return 'embed.html';
  return /^\/assets\/[\w.-]+$/.test(path) ? path.slice(1) : null;
}

const TYPES: Record<string, string> = {
  html: 'text/html',
  js: 'text/javascript',
  css: 'text/css',
  svg: 'image/svg+xml',
};

async function pageAnswer(pages: string, name: string): Promise<Answer> {
  const body = await readFile(join(pages, name)).catch(() => null);
  if (body === null) return refusal(404);
  const type = TYPES[name.slice(name.lastIndexOf('.') + 1)] ?? 'application/octet-stream';
  return { status: 200, type, body, headers: pageHeaders([], false) as Record<string, string> };
}

function infoOf(live: RigLive): PlaybackInfo {
  return {
    playback_id: PLAYBACK,
    kind: 'live',
    state: live.isEnded ? 'ended' : 'live',
    title: 'Morning at the river',
    description: 'A test stream.',
    duration_s: null,
    poster: null,
    latency_mode: 'low',
    is_growing: false,
    dvr_window_s: 14_400,
    is_away: live.mode !== 'live' && !live.isEnded,
    storyboard: null,
    started_at: Math.round(live.startedAtMs),
  };
}

function master(tracks: readonly Track[]): string {
  const lines = ['#EXTM3U', '#EXT-X-VERSION:6', '#EXT-X-INDEPENDENT-SEGMENTS'];
  const base = `v/-/${CONTENT}`;
  lines.push(
    `#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="Audio",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="${base}/a0/index.m3u8"`,
  );
  for (const track of tracks) {
    if (track.name === 'a0') continue;
    const size = track.name === 'v180' ? '320x180' : '160x90';
    lines.push(
      `#EXT-X-STREAM-INF:BANDWIDTH=${track.bandwidth + 64_000},RESOLUTION=${size},FRAME-RATE=25.000,CODECS="${track.codecs},mp4a.40.2",AUDIO="audio"`,
      `${base}/${track.name}/index.m3u8`,
    );
  }
  return `${lines.join('\n')}\n`;
}

async function media(url: URL, live: RigLive, tracks: Track[]): Promise<Answer> {
  const match = /^\/v\/-\/\w+\/(\w+)\/(.+)$/.exec(url.pathname);
  const track = tracks.find((item) => item.name === match?.[1]);
  const tail = match?.[2] ?? '';
  if (track === undefined) return refusal(404);
  if (tail === 'index.m3u8') return await playlist(url, live, track, tracks);
  if (tail.endsWith('init.mp4')) return { status: 200, type: 'video/mp4', body: track.init };
  const part = /^(\d+)\/([sp])(\d+)(?:\.(\d+))?\.aaaa\.m4s$/.exec(tail);
  const segment = live.segments.find((item) => item.msn === Number(part?.[3]));
  if (part === null || segment === undefined || segment.isGap) return refusal(404);
  const numbers = part[2] === 'p' ? [Number(part[4])] : Array.from({ length: segment.count }, (_, index) => index);
  if (numbers.some((number) => number >= segment.count)) return refusal(404);
  const bytes = numbers.map((number) => {
    const running = segment.first + number;
    return stamped(
      track.parts[running % track.parts.length] ?? Buffer.alloc(0),
      RigLive.ticks(track, segment.epoch, running),
    );
  });
  return { status: 200, type: 'video/mp4', body: Buffer.concat(bytes) };
}

async function playlist(url: URL, live: RigLive, track: Track, tracks: Track[]): Promise<Answer> {
  const wanted = url.searchParams.get('_HLS_msn');
  const msn = Number(wanted);
  const part = url.searchParams.get('_HLS_part');
  const isThere = (): boolean => {
    const { head } = live;
    const last = live.segments.at(-1);
    if (wanted === null || live.isOver || head.msn > msn) return true;
    if (part === null) return head.msn === msn && last?.isClosed === true;
    return head.msn === msn && (head.part >= Number(part) || (last?.isClosed === true && last.isGap && !last.hasParts));
  };
  const end = Date.now() + HOLD_MS;
  while (!isThere()) {
    const left = end - Date.now();
    if (left <= 0) return refusal(503, { 'headwater-scope': 'stream' });
    let timer: ReturnType<typeof setTimeout> | undefined;
    const timeout = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, left);
    });
    await Promise.race([live.changed(), timeout]);
    clearTimeout(timer);
  }
  return text(mediaPlaylist(live, track, tracks, url.searchParams.has('_HLS_skip')));
}
