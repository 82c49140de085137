// The edge bench itself: its gate refuses servers that are wrong, its viewers notice what is wrong, and the whole command gives figures.
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, createServer as createRawServer } from 'node:net';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { gate, gateClient } from '../../bench/edge/gate.ts';
import { headwater } from '../../bench/edge/headwater.ts';
import { classicPlaylist, newestSegment } from '../../bench/edge/live-texts.ts';
import { bytesOf, contents, segmentPath } from '../../bench/edge/objects.ts';
import { versionOf } from '../../bench/edge/processes.ts';
import { Tally } from '../../bench/edge/tally.ts';
import { ViewerConnection } from '../../bench/edge/viewer-connection.ts';
import { watchClassic } from '../../bench/edge/viewers.ts';

const PATH = segmentPath(contents.fixed, 1, 50_000);
const BODY = bytesOf(PATH, 50_000);
const DROP = { body: 'drop', bps: null } as const;

const servers: { close(): unknown }[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function serve(handler: RequestListener): Promise<string> {
  const server: Server = createServer(handler).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A server that writes this answer and leaves. */
async function answering(text: string): Promise<ViewerConnection> {
  const server = createRawServer((socket) => socket.on('error', () => undefined).once('data', () => socket.end(text)));
  servers.push(server.listen(0, '127.0.0.1'));
  await once(server, 'listening');
  return new ViewerConnection(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, 0);
}

/** A right server, but for what `wrong` answers first. */
const rightBut =
  (wrong: RequestListener): RequestListener =>
  (req, res) => {
    wrong(req, res);
    if (res.writableEnded) return;
    if (req.headers['if-none-match'] === '"e"') return void res.writeHead(304, { etag: '"e"' }).end();
    const range = req.headers.range !== undefined;
    const body = range ? BODY.subarray(100, 300) : BODY;
    res.writeHead(range ? 206 : 200, { etag: '"e"', 'content-length': body.length });
    res.end(req.method === 'HEAD' ? undefined : body);
  };

describe('the gate', () => {
  const judge = async (wrong: RequestListener, asked = 0): Promise<string | null> => {
    const client = gateClient(await serve(rightBut(wrong)), 'plain');
    try {
      return await gate(client, { path: PATH, body: BODY }, true, async () => asked);
    } finally {
      client.close();
    }
  };

  it('lets a right server through', async () => {
    expect(await judge(() => undefined)).toBeNull();
  });

  it.each<[string, RequestListener, RegExp]>([
    ['other bytes', (req, res) => req.method === 'GET' && res.end(Buffer.alloc(50_000)), /other bytes/],
    ['a body cut short', (req, res) => req.method === 'GET' && res.end(BODY.subarray(1)), /49999 bytes of 50000/],
    ['a HEAD without a length', (req, res) => req.method === 'HEAD' && res.end(), /HEAD/],
    ['no ranges', (req, res) => req.headers.range && res.end(BODY), /range/],
    ['no validators', (req, res) => req.headers['if-none-match'] && res.end(BODY), /validator/],
  ])('refuses %s', async (_name, wrong, reason) => {
    expect(await judge(wrong)).toMatch(reason);
  });

  it('refuses a server that asks its origin for what it should hold', async () => {
    expect(await judge(() => undefined, 3)).toMatch(/3 requests at the origin/);
  });
});

describe('a simulated viewer', () => {
  it('counts, keeps or hashes, several answers on one connection', async () => {
    const viewer = new ViewerConnection(await serve(rightBut(() => undefined)), 7);
    expect(await viewer.get(PATH, DROP)).toEqual({ status: 200, bytes: 50_000, body: null, sha256: null });
    const kept = await viewer.get(PATH, { body: 'keep', bps: null });
    expect(kept.body?.equals(BODY)).toBe(true);
    expect((await viewer.get(PATH, { body: 'hash', bps: null })).sha256).toMatch(/^[0-9a-f]{64}$/);
    viewer.close();
  });

  it('reads no faster than its line', async () => {
    const viewer = new ViewerConnection(await serve(rightBut(() => undefined)), 7);
    const fromMs = performance.now();
    // 50 KB over 1 Mb/s.
    await viewer.get(PATH, { body: 'drop', bps: 1_000_000 });
    expect(performance.now() - fromMs).toBeGreaterThan(300);
    viewer.close();
  });

  it('asks no more when it has left', async () => {
    const viewer = new ViewerConnection(await serve(rightBut(() => undefined)), 7);
    const asking = viewer.get(PATH, DROP);
    viewer.close();
    await expect(asking).rejects.toThrow('left');
    await expect(viewer.get(PATH, DROP)).rejects.toThrow('left');
  });

  it.each([
    ['a body cut short', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc', /closed/],
    ['more bytes than announced', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc', /more bytes/],
    ['no length', 'HTTP/1.1 200 OK\r\n\r\nabc', /without a length/],
  ])('notices %s', async (_name, text, reason) => {
    const viewer = await answering(text);
    await expect(viewer.get(PATH, DROP)).rejects.toThrow(reason);
    viewer.close();
  });
});

describe('what a viewer met', () => {
  const zeroMs = Date.now() - 60_000;
  const right = () => classicPlaylist('v144', newestSegment(Date.now() - zeroMs));
  const watched = async (playlist: () => string, media = 100_000) => {
    const base = await serve((req, res) => {
      const body = req.url?.endsWith('.m3u8') ? Buffer.from(playlist()) : bytesOf(req.url ?? '', media);
      res.writeHead(body.length === 0 ? 503 : 200, { 'content-length': body.length }).end(body);
    });
    const joinMs = Date.now();
    const tally = new Tally(joinMs);
    const run = {
      base,
      zeroMs,
      endMs: joinMs + 200,
      tally,
      connections: new Set<ViewerConnection>(),
      isOver: false,
      seed: 0,
    };
    await watchClassic(run, 0, 'v144', joinMs, false);
    return tally.figures();
  };

  it('is a playlist and its newest segment', async () => {
    expect(await watched(right)).toMatchObject({ requests: 2, errors: {}, behind: 0, late: 0 });
  });

  it('is noted when a playlist is none of the stream, or is refused', async () => {
    const wrong = await watched(() => right().replace('s1', 's2'));
    expect(wrong).toMatchObject({ requests: 1, errors: { 'playlist: other bytes': 1 } });
    expect(await watched(() => '')).toMatchObject({ requests: 0, errors: { 'playlist: status 503': 1 } });
  });

  it('is noted when a playlist is too old', async () => {
    expect(await watched(() => classicPlaylist('v144', 9))).toMatchObject({ errors: {}, behind: 1 });
  });
});

const isBuilt = headwater.version() !== null;
const hasWrk = versionOf('wrk', ['--version'], /wrk/) !== null;
if (!isBuilt || !hasWrk) process.stderr.write('SKIPPED: the whole bench (wants npm run build, apt-get install wrk)\n');

it.skipIf(!isBuilt || !hasWrk)(
  'the whole command times our own edge and shows it to viewers',
  async () => {
    const options = '--cells playlist-plain --workloads ll --peers headwater --viewers 4 --seconds 2 --rounds 1 --json';
    // Support files take hold of a test's end where they believe to be in one.
    const { VITEST: _, ...env } = process.env;
    const args = ['ops/scripts/bench.mjs', 'edge', ...options.split(' ')];
    const { stdout } = await promisify(execFile)(process.execPath, args, { env });
    const result = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as {
      refused: unknown[];
      cells: {
        cell: string;
        requestsPerBusyS: { median: number };
        timings: { errors: number; originRequests: number }[];
      }[];
      workloads: { errors: number; runs: { coalescing: number; requests: number }[] }[];
    };
    expect(result.refused).toEqual([]);
    expect(result.cells).toMatchObject([{ cell: 'playlist-plain', timings: [{ errors: 0, originRequests: 0 }] }]);
    expect(result.cells[0]?.requestsPerBusyS.median).toBeGreaterThan(100);
    expect(result.workloads).toMatchObject([{ errors: 0, runs: [{ coalescing: 1 }] }]);
    // A playlist and a part each half second for four viewers.
    expect(result.workloads[0]?.runs[0]?.requests).toBeGreaterThan(4 * 2 * 2);
  },
  60_000,
);
