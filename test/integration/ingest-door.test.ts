// The RTMP door alone, over real sockets: who gets in, what is cut off, and that nobody harms anybody else.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { RefusalReason } from '../../ingest/errors.ts';
import type { FlvTag } from '../../ingest/flv-tag.ts';
import { createRtmpDoor, type RtmpDoor } from '../../ingest/rtmp-door.ts';
import type { EndReason, PublisherConnection, PublisherGate } from '../../ingest/rtmp-protocol.ts';
import { silentLogger } from '../../platform/runtime/log.ts';
import { within } from '../../platform/runtime/waits.ts';
import {
  amf,
  amfBody,
  chunksOf,
  connectRtmp,
  OBS_CONNECT,
  publishLikeObs,
  type RtmpClient,
  readFlv,
  unpublishLikeObs,
} from '../support/rtmp-client.ts';

type Seen = { key: string; tags: FlvTag[]; ended: EndReason | null; connection: PublisherConnection };
const KEYS = ['key-of-alice', 'key-of-bob'];
const CLIP = 'test/media/rabbit320.mp4';

let server: RtmpDoor;
let seen: Seen[];
let turnedAway: string[];
let clients: RtmpClient[];
const waiters = new Set<() => void>();

const gate: PublisherGate = {
  admit(key, connection) {
    if (!KEYS.includes(key)) return 'key' satisfies RefusalReason;
    const entry: Seen = { key, tags: [], ended: null, connection };
    seen.push(entry);
    return {
      onTag(tag) {
        entry.tags.push({ ...tag, body: Buffer.from(tag.body) });
        notify();
      },
      onEnd(reason) {
        entry.ended = reason;
        notify();
      },
    };
  },
  turnedAway(reason) {
    turnedAway.push(reason);
    notify();
  },
};
function notify(): void {
  for (const waiter of [...waiters]) waiter();
}
async function until(what: string, test: () => boolean, ms = 10_000): Promise<void> {
  const wait = async () => {
    while (!test()) {
      await new Promise<void>((resolve) => {
        const done = () => {
          waiters.delete(done);
          resolve();
        };
        waiters.add(done);
      });
    }
  };
  await within(wait(), ms, what);
}

beforeEach(async () => {
  seen = [];
  turnedAway = [];
  clients = [];
  const options = { port: 0, bind: '127.0.0.1', tls: null, silenceMs: 1_000, maxPublishers: 10 };
  server = createRtmpDoor(options, gate, silentLogger);
  await server.start();
});
afterEach(async () => {
  for (const client of clients) client.socket.destroy();
  await server.close();
});

async function client(): Promise<RtmpClient> {
  const made = await connectRtmp(server.port());
  clients.push(made);
  return made;
}

async function publisher(key: string): Promise<RtmpClient> {
  const made = await client();
  await publishLikeObs(made, server.port(), key);
  return made;
}

const video = (timestamp: number, text: string, first = 0x27) => ({
  type: 9,
  timestamp,
  body: Buffer.concat([Buffer.from([first, 1, 0, 0, 0]), Buffer.from(text)]),
});

const push = (args: string[]) =>
  spawn('nice', ['ffmpeg', '-hide_banner', '-loglevel', 'error', ...args], { stdio: ['ignore', 'ignore', 'inherit'] });

/** The clip as ffmpeg writes it into an FLV file: what must arrive. */
async function flvOf(args: string[]): Promise<Buffer> {
  const child = spawn('ffmpeg', ['-hide_banner', '-loglevel', 'error', '-i', CLIP, ...args, '-f', 'flv', 'pipe:1'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const chunks: Buffer[] = [];
  for await (const chunk of child.stdout) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
const hash = (body: Buffer): string => createHash('sha256').update(body).digest('hex');
const media = (tags: { type: number; timestamp: number; body: Buffer }[], type: number) =>
  tags.filter((tag) => tag.type === type).map((tag) => `${tag.timestamp} ${hash(tag.body)}`);

test('ffmpeg -c copy arrives tag for tag, byte for byte', async () => {
  const expected = readFlv(await flvOf(['-t', '4', '-c', 'copy']));
  const child = push([
    '-i',
    CLIP,
    '-t',
    '4',
    '-c',
    'copy',
    '-f',
    'flv',
    `rtmp://127.0.0.1:${server.port()}/live/${KEYS[0]}`,
  ]);
  await once(child, 'exit');
  await until('the end of the push', () => seen[0]?.ended !== null);
  const tags = seen[0]?.tags ?? [];
  for (const type of [8, 9]) {
    const wanted = media(expected, type);
    expect(wanted.length).toBeGreaterThan(50);
    expect(media(tags, type)).toEqual(wanted);
  }
  expect(child.exitCode).toBe(0);
});

test('GStreamer rtmp2sink gets in', async () => {
  const location = `rtmp://127.0.0.1:${server.port()}/live/${KEYS[0]}`;
  const pipeline = `videotestsrc num-buffers=60 ! video/x-raw,width=320,height=180,framerate=30/1 ! x264enc speed-preset=ultrafast tune=zerolatency key-int-max=30 ! h264parse ! flvmux streamable=true ! rtmp2sink location=${location}`;
  const child = spawn('nice', ['gst-launch-1.0', '-q', ...pipeline.split(' ')], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  await once(child, 'exit');
  await until('the end of the push', () => seen[0]?.ended !== null);
  const frames = (seen[0]?.tags ?? []).filter((tag) => tag.type === 9);
  expect(frames.length).toBeGreaterThanOrEqual(60);
  expect(child.exitCode).toBe(0);
});

test("OBS's order of commands: in, media, out", async () => {
  const obs = await publisher('key-of-alice');
  obs.metadata({ width: 320, height: 180, encoder: 'obs-output module' });
  obs.tag(video(0, 'sequence', 0x17));
  obs.tag(video(33, 'x'.repeat(20_000)));
  await until('the tags', () => seen[0]?.tags.length === 3);
  expect(seen[0]?.tags[2]?.body.length).toBe(20_005);
  unpublishLikeObs(obs, 'key-of-alice');
  await obs.closed;
  expect(seen[0]?.ended).toBe('finished');
});

test('a wrong key is destroyed before any media is taken', async () => {
  const stranger = await client();
  await expect(publishLikeObs(stranger, server.port(), 'key-of-nobody')).rejects.toThrow();
  const askedAt = performance.now();
  stranger.tag(video(0, 'injected'));
  await within(stranger.closed, 1_000, 'cut off');
  expect(performance.now() - askedAt).toBeLessThan(500);
  expect(seen).toEqual([]);
  expect(turnedAway).toEqual(['key']);
});

test('a stranger cannot put a packet into a running stream', async () => {
  const alice = await publisher('key-of-alice');
  alice.tag(video(0, 'hers'));
  const attacker = await client();
  await expect(publishLikeObs(attacker, server.port(), 'key-of-nobody')).rejects.toThrow();
  const early = await client();
  early.command('connect', 0, { app: 'live', ...OBS_CONNECT, tcUrl: 'rtmp://127.0.0.1/live' });
  early.tag(video(0, 'not hers'));
  await within(early.closed, 1_000, 'media before publish is cut off');
  alice.tag(video(33, 'hers too'));
  await until('both tags', () => seen[0]?.tags.length === 2);
  expect(seen.length).toBe(1);
  expect(seen[0]?.tags.map((tag) => tag.body.subarray(5).toString())).toEqual(['hers', 'hers too']);
});

test('play is refused; another application is refused', async () => {
  const player = await client();
  player.command('connect', 0, { app: 'live', ...OBS_CONNECT, tcUrl: 'rtmp://127.0.0.1/live' });
  await player.answered('NetConnection.Connect.Success');
  player.command('play', 1, null, 'key-of-alice');
  await within(player.closed, 1_000, 'play cut off');
  const other = await client();
  await expect(publishLikeObs(other, server.port(), 'key-of-alice', 'admin')).rejects.toThrow();
  await within(other.closed, 1_000, 'other application cut off');
  expect(turnedAway).toEqual(['play', 'app']);
  expect(seen).toEqual([]);
});

test('a silent publisher is dropped, one that sends stays', async () => {
  const alice = await publisher('key-of-alice');
  const bob = await publisher('key-of-bob');
  let at = 0;
  const talking = setInterval(() => {
    at += 40;
    bob.tag(video(at, 'talk'));
  }, 40);
  // Pings and other chatter are no media.
  const chatter = setInterval(
    () => alice.send({ chunkStream: 2, type: 3, streamId: 0, timestamp: 0, body: Buffer.alloc(4) }),
    100,
  );
  await within(alice.closed, 3_000, 'silence ends the publisher');
  clearInterval(talking);
  clearInterval(chatter);
  expect(seen[0]?.ended).toBe('silent');
  expect(seen[1]?.ended).toBeNull();
  expect(bob.isClosed).toBe(false);
});

test('extended timestamps keep their value', async () => {
  const alice = await publisher('key-of-alice');
  alice.tag(video(0x01_00_00_10, 'y'.repeat(9_000)));
  alice.tag(video(0x01_00_00_31, 'z'));
  await until('the tags', () => seen[0]?.tags.length === 2);
  expect(seen[0]?.tags.map((tag) => tag.timestamp)).toEqual([0x01_00_00_10, 0x01_00_00_31]);
});

const deep = (levels: number): Buffer =>
  Buffer.concat([
    amf('connect'),
    amf(1),
    ...Array.from({ length: levels }, () => Buffer.from([3, 0, 1, 0x61])),
    amf(null),
  ]);
const command = (body: Buffer, type = 20) => chunksOf({ chunkStream: 3, type, streamId: 0, timestamp: 0, body }, 128);
const MALFORMED: [name: string, bytes: () => Buffer][] = [
  ['a connect without tcUrl', () => command(amfBody('connect', 1, { app: 'live' }))],
  ['a connect with a tcUrl that is none', () => command(amfBody('connect', 1, { app: 'live', tcUrl: '::' }))],
  ['a connect without an object', () => command(amfBody('connect', 1))],
  ['a connect whose app is a number', () => command(amfBody('connect', 1, { app: 1, tcUrl: 'rtmp://a/live' }))],
  ['a publish before connect', () => command(amfBody('publish', 1, null, 'key-of-alice', 'live'))],
  ['a publish without a name', () => command(amfBody('publish', 1, null))],
  ['an empty command', () => Buffer.concat([command(Buffer.alloc(0)), Buffer.from([3])])],
  ['a nested command', () => command(deep(3_000))],
  ['a command with an unknown AMF kind', () => command(Buffer.concat([amf('connect'), Buffer.from([0x42])]))],
  ['a cut string', () => command(Buffer.from([2, 0xff, 0xff, 0x61]))],
  ['an array of four billion', () => command(Buffer.concat([amf('connect'), Buffer.from([10, 255, 255, 255, 255])]))],
  ['a command of a megabyte', () => command(Buffer.alloc(1_000_000))],
  [
    'a chunk size of zero',
    () => chunksOf({ chunkStream: 2, type: 1, streamId: 0, timestamp: 0, body: Buffer.alloc(4) }, 128),
  ],
  ['a control message without a value', () => Buffer.from([2, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 9])],
  ['a continuation of nothing', () => Buffer.from([0xc3, 1, 2, 3])],
  [
    'a header inside a message',
    () => Buffer.concat([command(Buffer.alloc(200)).subarray(0, 140), command(Buffer.alloc(100))]),
  ],
  [
    'too many chunk streams',
    () =>
      Buffer.concat(
        Array.from({ length: 60 }, (_, i) =>
          chunksOf({ chunkStream: 3 + i, type: 3, streamId: 0, timestamp: 0, body: Buffer.alloc(4) }, 128),
        ),
      ),
  ],
  [
    'media before publish',
    () => chunksOf({ chunkStream: 4, type: 9, streamId: 1, timestamp: 0, body: Buffer.alloc(50) }, 128),
  ],
  [
    'a thousand commands',
    () => Buffer.concat(Array.from({ length: 1_000 }, () => command(amfBody('createStream', 1, null)))),
  ],
  ['0xff without end', () => Buffer.alloc(10_000, 0xff)],
];

test.each(MALFORMED)('%s ends its own connection at most', async (_name, bytes) => {
  const alice = await publisher('key-of-alice');
  alice.tag(video(0, 'before'));
  const attacker = await client();
  attacker.raw(bytes());
  await within(attacker.closed, 2_000, 'the attacker is cut off');
  alice.tag(video(33, 'after'));
  await until('both tags', () => seen[0]?.tags.length === 2);
  expect(seen.length).toBe(1);
  expect(seen[0]?.ended).toBeNull();
});

test('random bytes behind a handshake harm nobody', async () => {
  const alice = await publisher('key-of-alice');
  let state = 7;
  const next = () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state >> 8;
  };
  for (let round = 0; round < 40; round++) {
    const attacker = await client();
    attacker.raw(Buffer.from(Array.from({ length: 400 + (next() % 2_000) }, () => next() & 0xff)));
    attacker.socket.end();
    await within(attacker.closed, 2_000, `round ${round}`);
  }
  alice.tag(video(0, 'still here'));
  await until('the tag', () => seen[0]?.tags.length === 1);
  expect(seen.length).toBe(1);
});

test('without a handshake the connection ends after five seconds, however slowly bytes drip', async () => {
  const socket = connect(server.port(), '127.0.0.1');
  socket.on('error', () => undefined);
  const drip = setInterval(() => socket.write(Buffer.from([3])), 200);
  const startedAt = performance.now();
  await within(once(socket, 'close'), 7_000, 'cut off');
  clearInterval(drip);
  expect(performance.now() - startedAt).toBeGreaterThan(4_500);
  expect(turnedAway).toEqual(['handshake-timeout']);
});

test('a publisher may be cut off from inside; its end is told once', async () => {
  const alice = await publisher('key-of-alice');
  seen[0]?.connection.close('replaced');
  await alice.closed;
  expect(seen[0]?.ended).toBe('replaced');
});
