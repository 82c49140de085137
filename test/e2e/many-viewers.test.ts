// Must show E: 300 viewers of one live start together on cold edges; what reaches the origins is counted between edge and origin.
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { Agent, createServer, request } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Publisher, publish } from '../support/media.ts';
import { hasMinio } from '../support/minio.ts';
import { type Platform, startPlatform } from '../support/platform.ts';
import { createStream, fetchMaster, parseMedia, sha256, waitUntilLive } from '../support/story.ts';

const isAble = await hasMinio();

const VIEWERS = 300;
const SEGMENTS = 20;
const RUN_LIMIT_MS = 120_000;

type Counted = { path: string };
type Counter = { url: string; seen: Counted[]; target: string; close(): Promise<void> };

/** A transparent proxy before one origin that notes every request. */
async function startCounter(): Promise<Counter> {
  const agent = new Agent({ keepAlive: true, maxSockets: 256 });
  const counter: Counter = { url: '', seen: [], target: '', close: async () => undefined };
  const server = createServer((req, res) => {
    if (counter.target === '') {
      res.writeHead(503).end();
      return;
    }
    const upstream = new URL(counter.target);
    counter.seen.push({ path: req.url ?? '' });
    const forward = request(
      { agent, host: upstream.hostname, port: upstream.port, method: req.method, path: req.url, headers: req.headers },
      (answer) => {
        res.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(res);
      },
    );
    forward.on('error', () => res.destroy());
    req.pipe(forward);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  counter.url = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`;
  counter.close = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    agent.destroy();
  };
  return counter;
}

let counters: Counter[];
let platform: Platform;
let publisher: Publisher;
let playback: string;

beforeAll(async () => {
  counters = [await startCounter(), await startCounter()];
  platform = await startPlatform({
    storage: 'minio',
    env: {
      HEADWATER_ORIGINS: counters.map((counter) => counter.url).join(','),
      HEADWATER_TRANSCODER_LIVE_MAX_RUNGS: '2',
    },
  });
  const origins = platform.state().processes.filter((item) => item.role === 'origin');
  counters.forEach((counter, index) => {
    counter.target = origins[index]?.url ?? '';
  });
  const stream = await createStream(platform);
  playback = stream.playback;
  publisher = publish(stream.address, 'numbered', { size: '640:360' });
  await waitUntilLive(platform.edges[0] ?? '', playback);
}, 180_000);

afterAll(async () => {
  await publisher?.stop();
  await platform?.stop();
  for (const counter of counters ?? []) await counter.close();
});

type Viewer = { errors: string[]; hashes: Map<string, string>; segments: number };

async function view(edge: string, rendition: number): Promise<Viewer> {
  const viewer: Viewer = { errors: [], hashes: new Map(), segments: 0 };
  const limit = performance.now() + RUN_LIMIT_MS;
  const playlist = (await fetchMaster(edge, playback)).variants[rendition % 2]?.uri ?? '';
  let next: number | null = null;
  while (viewer.segments < SEGMENTS && performance.now() < limit) {
    const answer = await fetch(playlist, { signal: AbortSignal.timeout(15_000) });
    const text = await answer.text();
    if (answer.status !== 200) {
      viewer.errors.push(`playlist ${answer.status}`);
      return viewer;
    }
    for (const segment of parseMedia(text, playlist).segments.slice(next === null ? -3 : 0)) {
      if ((next !== null && segment.msn < next) || viewer.segments >= SEGMENTS) continue;
      if (next !== null && segment.msn !== next) viewer.errors.push(`jump from ${next} to ${segment.msn}`);
      next = segment.msn + 1;
      await fetchSegment(viewer, segment.uri);
    }
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
  if (viewer.segments < SEGMENTS) viewer.errors.push(`only ${viewer.segments} segments`);
  return viewer;
}

async function fetchSegment(viewer: Viewer, uri: string): Promise<void> {
  const answer = await fetch(uri, { signal: AbortSignal.timeout(15_000) });
  const bytes = Buffer.from(await answer.arrayBuffer());
  if (answer.status !== 200) viewer.errors.push(`${answer.status} ${uri}`);
  if (Number(answer.headers.get('content-length')) !== bytes.length) viewer.errors.push(`length of ${uri}`);
  viewer.hashes.set(new URL(uri).pathname, sha256(bytes));
  viewer.segments += 1;
}

describe.runIf(isAble)('300 viewers who start together on cold edges', () => {
  it('all get every byte, and the origins see one request per object and edge', async () => {
    for (const edge of ['edge-1', 'edge-2']) {
      const { pid } = platform.process(edge);
      await platform.kill(edge);
      await platform.restored(edge, pid, 10_000);
    }
    for (const counter of counters) counter.seen.length = 0;
    const startedAt = performance.now();
    const viewers = await Promise.all(
      Array.from({ length: VIEWERS }, (_, index) => view(platform.edges[index % 2] ?? '', Math.floor(index / 2))),
    );
    const seconds = (performance.now() - startedAt) / 1_000;

    expect(viewers.flatMap((viewer) => viewer.errors)).toEqual([]);
    const reference = new Map<string, string>();
    for (const viewer of viewers) {
      for (const [path, hash] of viewer.hashes) {
        expect(hash).toBe(reference.get(path) ?? hash);
        reference.set(path, hash);
      }
    }
    await expectTruth(reference);
    const seen = counters.flatMap((counter) => counter.seen);
    const media = new Map<string, number>();
    const playlists = new Map<string, number>();
    for (const { path } of seen) {
      const [bare = ''] = path.split('?');
      if (bare.endsWith('.m4s') || bare.endsWith('.mp4')) media.set(bare, (media.get(bare) ?? 0) + 1);
      else if (bare.endsWith('.m3u8')) playlists.set(bare, (playlists.get(bare) ?? 0) + 1);
    }
    expect(media.size).toBeGreaterThan(SEGMENTS);
    // Two edges: at most one request per object from each.
    expect([...media.entries()].filter(([, count]) => count > 2)).toEqual([]);
    for (const count of playlists.values()) expect(count).toBeLessThanOrEqual(2 * (seconds + 1));
  }, 240_000);
});

/** What the viewers got is what an origin holds. */
async function expectTruth(reference: Map<string, string>): Promise<void> {
  const secrets = JSON.parse(await readFile(join(platform.dataDir, 'secrets.json'), 'utf8')) as {
    internal_secret: string;
  };
  for (const [path, hash] of [...reference].slice(0, 40)) {
    const answer = await fetch(`${counters[0]?.target}${path}`, {
      headers: { 'headwater-internal': secrets.internal_secret },
    });
    expect(answer.status).toBe(200);
    expect(sha256(Buffer.from(await answer.arrayBuffer()))).toBe(hash);
  }
}
