// Must show F, as a suite of any length: malformed and hostile publishers beside a good one. Its bytes are unaffected, the process goes on, its memory stays bounded.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once, setMaxListeners } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { StreamId } from '../../platform/contract/ids.ts';
import { RING_KINDS } from '../../platform/contract/ring.ts';
import { delay } from '../../platform/runtime/waits.ts';
import { buildIngest, type IngestProcess, startIngestProcess } from './ingest-process.ts';
import { type Backstage, eventually, openBackstage, openRing, pictureTag } from './ingest-service.ts';
import { startRedis, type TestRedis } from './redis.ts';
import {
  amf,
  amfBody,
  chunksOf,
  connectRtmp,
  OBS_CONNECT,
  publishLikeObs,
  type RtmpClient,
  readFlv,
} from './rtmp-client.ts';
import { tempDir } from './temp.ts';

const CLIP = 'test/media/rabbit320.mp4';
/** The ring of the good stream, what 320 connections may buffer, and the garbage collector's own pace. Unit: bytes. */
const GROWTH_LIMIT = 160 * 1024 ** 2;

let redis: TestRedis;
let backstage: Backstage;
let ingest: IngestProcess;
let good: { id: StreamId; key: string };

const open: Socket[] = [];
async function socket(): Promise<Socket> {
  const made = connect(ingest.rtmpPort, '127.0.0.1');
  made.on('error', () => undefined);
  made.resume();
  open.push(made);
  await Promise.race([once(made, 'connect'), once(made, 'close')]);
  return made;
}
async function client(): Promise<RtmpClient> {
  const made = await connectRtmp(ingest.rtmpPort);
  open.push(made.socket);
  return made;
}
/** Sends, and waits until the server has had enough. */
async function until(closed: RtmpClient | Socket): Promise<void> {
  if ('closed' in closed && closed.closed instanceof Promise) await closed.closed;
  else if ('destroyed' in closed && !closed.destroyed) await once(closed, 'close');
}
async function connected(): Promise<RtmpClient> {
  const made = await client();
  made.command('connect', 0, { app: 'live', ...OBS_CONNECT, tcUrl: 'rtmp://127.0.0.1/live' });
  await made.answered('NetConnection.Connect.Success');
  return made;
}
const message = (type: number, body: Buffer, streamId = 0) =>
  chunksOf({ chunkStream: 3, type, streamId, timestamp: 0, body }, 128);
const deepCommand = (levels: number): Buffer =>
  Buffer.concat([amf('connect'), amf(1), ...Array.from({ length: levels }, () => Buffer.from([3, 0, 1, 0x61]))]);
let seed = 1;
const random = (): number => {
  seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
  return seed >> 8;
};
const POOL = Buffer.from(Array.from({ length: 65_536 }, () => random() & 0xff));
/** The same in each run, another in each call. */
const garbage = (bytes: number): Buffer => {
  const at = random() % (POOL.length - bytes);
  return POOL.subarray(at, at + bytes);
};
let guesses = 0;
/** Set when the attack begins. */
let guessingSince = 0;

/** One round of each: it ends when the server has cut the connection. `everyMs`: pause between rounds. */
const HOSTILE: { name: string; everyMs: number; round: (stop: AbortSignal) => Promise<void> }[] = [
  {
    name: 'a handshake that is none',
    everyMs: 50,
    async round() {
      const made = await socket();
      made.write(Buffer.concat([Buffer.from([0xff]), garbage(4_000)]));
      made.end();
      await until(made);
    },
  },
  {
    name: 'a message larger than any',
    everyMs: 50,
    async round() {
      const made = await connected();
      made.raw(Buffer.from([0x03, 0, 0, 0, 0xff, 0xff, 0xff, 20, 0, 0, 0, 0]));
      for (let i = 0; i < 64 && !made.isClosed; i++) made.raw(garbage(16_384));
      await until(made);
    },
  },
  {
    name: 'a deeply nested command',
    everyMs: 50,
    async round() {
      const made = await client();
      made.raw(message(20, deepCommand(3_900)));
      await until(made);
    },
  },
  {
    name: 'a connection without a byte',
    everyMs: 100,
    async round(stop) {
      const made = await socket();
      stop.addEventListener('abort', () => made.destroy());
      await until(made);
    },
  },
  {
    name: 'a crowd that says nothing',
    everyMs: 25,
    async round() {
      // Nobody waits for its end: more of them stay than may wait from one address.
      await socket();
    },
  },
  {
    name: 'wrong keys, a hundred in a second',
    everyMs: 0,
    async round(stop) {
      const guess = async () => publishLikeObs(await client(), ingest.rtmpPort, `guess ${guesses}`);
      for (; guesses * 10 < performance.now() - guessingSince; guesses += 1) guess().catch(() => undefined);
      await delay(10, stop);
    },
  },
  {
    name: 'media after a refusal',
    everyMs: 50,
    async round() {
      const made = await client();
      await publishLikeObs(made, ingest.rtmpPort, 'nobody').catch(() => undefined);
      for (let i = 0; i < 50 && !made.isClosed; i++) made.tag(pictureTag(i * 33, 'x'.repeat(5_000), true));
      await until(made);
    },
  },
  {
    name: 'a byte now and then',
    everyMs: 500,
    async round(stop) {
      const made = await socket();
      while (!stop.aborted && !made.destroyed) {
        made.write(Buffer.from([3]));
        await delay(100, stop);
      }
      made.destroy();
    },
  },
  {
    name: 'garbage after connect',
    everyMs: 50,
    async round() {
      const made = await connected();
      made.raw(garbage(20_000));
      made.socket.end();
      await until(made);
    },
  },
  {
    name: 'a huge chunk size, and media before publish',
    everyMs: 50,
    async round() {
      const made = await connected();
      made.setChunkSize(0x7fff_ffff);
      made.tag(pictureTag(0, 'x'.repeat(50_000), true));
      await until(made);
    },
  },
  {
    name: 'messages begun on every chunk stream and never ended',
    everyMs: 50,
    async round() {
      const made = await connected();
      const begun = (id: number) => Buffer.from([id, 0, 0, 0, 0, 0x3f, 0xff, 20, 0, 0, 0, 0, ...garbage(128)]);
      for (let id = 3; id < 64 && !made.isClosed; id++) made.raw(begun(id));
      await until(made);
    },
  },
  {
    name: 'commands without end, answers never read',
    everyMs: 100,
    async round() {
      const made = await connected();
      made.socket.pause();
      for (let i = 0; i < 2_000 && !made.isClosed; i++) made.raw(message(20, amfBody('createStream', i, null)));
      made.socket.resume();
      await until(made);
    },
  },
  {
    name: 'play instead of publish',
    everyMs: 100,
    async round() {
      const made = await connected();
      made.command('play', 1, null, 'anything');
      await until(made);
    },
  },
];

async function attack(stop: AbortSignal): Promise<Map<string, number>> {
  const rounds = new Map<string, number>();
  guessingSince = performance.now();
  const one = async ({ name, everyMs, round }: (typeof HOSTILE)[number]) => {
    while (!stop.aborted) {
      // A connection that gave way to another one before it could say anything counts as cut off.
      await round(stop).catch(() => undefined);
      rounds.set(name, (rounds.get(name) ?? 0) + 1);
      await delay(everyMs, stop);
    }
  };
  await Promise.race([
    Promise.all(HOSTILE.map(one)),
    new Promise((resolve) => stop.addEventListener('abort', resolve)).then(() => delay(500)),
  ]);
  for (const made of open) made.destroy();
  return rounds;
}

async function ffmpeg(args: string[]): Promise<Buffer> {
  const child = spawn('ffmpeg', ['-v', 'error', ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const chunks: Buffer[] = [];
  for await (const chunk of child.stdout) chunks.push(chunk as Buffer);
  if (child.exitCode === null) await once(child, 'exit');
  expect(child.exitCode).toBe(0);
  return Buffer.concat(chunks);
}
/** @returns how many were refused for a reason until now */
async function refusals(): Promise<(reason: string) => number> {
  const metrics = await (await fetch(`${ingest.privateUrl}/metrics`)).text();
  return (reason) =>
    Number(new RegExp(`headwater_ingest_refused_total\\{reason="${reason}"\\} (\\d+)`).exec(metrics)?.[1] ?? 0);
}
const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
export type HostileFigures = { seconds: number; rounds: Record<string, number>; guesses: number; grownMiB: number };

/** Pushes a good stream for `seconds` while every hostile publisher does what it does, again and again. */
async function besideHostile(seconds: number): Promise<HostileFigures> {
  const source = ['-stream_loop', '-1', '-i', CLIP, '-t', String(seconds), '-c', 'copy', '-f', 'flv'];
  const { id, key } = good;
  const file = await ffmpeg([...source, 'pipe:1']);
  const before = await ingest.residentBytes();
  const stop = new AbortController();
  setMaxListeners(0, stop.signal);
  const attacking = attack(stop.signal);
  // The good encoder comes from the same address, when the guessing has gone too far and the places to wait are taken.
  await eventually(
    'a back-off, and a crowd',
    async () => {
      const refused = await refusals();
      return refused('back-off') > 0 && refused('crowded') > 0;
    },
    30_000,
  );
  const pushing = ffmpeg(['-re', ...source, `rtmp://127.0.0.1:${ingest.rtmpPort}/live/${key}`]);
  const record = await eventually('a broadcast', async () => {
    const found = await backstage.broadcastOf(id);
    return found?.ingest ? found : null;
  });
  const ring = await openRing(ingest, record.id);
  let most = 0;
  const watching = setInterval(() => {
    void ingest.residentBytes().then((bytes) => {
      most = Math.max(most, bytes);
    });
  }, 500);
  await pushing;
  clearInterval(watching);
  stop.abort();
  const rounds = await attacking;
  await eventually('the end frame', async () => ring.over === 'end');

  for (const { name } of HOSTILE) expect(rounds.get(name), name).toBeGreaterThan(0);
  expect(ring.of(RING_KINDS.session).length).toBe(1);
  for (const kind of [RING_KINDS.audio, RING_KINDS.video]) {
    const expected = readFlv(file).filter((tag) => tag.type === kind);
    expect(expected.length).toBeGreaterThan(seconds * 20);
    expect(ring.of(kind).map((tag) => `${tag.timestamp} ${sha(tag.payload)}`)).toEqual(
      expected.map((tag) => `${tag.timestamp} ${sha(tag.body)}`),
    );
  }
  expect(ingest.isRunning()).toBe(true);
  expect(most - before).toBeLessThan(GROWTH_LIMIT);
  const refused = await refusals();
  for (const reason of ['key', 'back-off', 'malformed', 'play', 'crowded'])
    expect(refused(reason), reason).toBeGreaterThan(0);
  expect(guesses).toBeGreaterThan(seconds * 90);
  return { seconds, rounds: Object.fromEntries(rounds), guesses, grownMiB: Math.round((most - before) / 1024 ** 2) };
}

/**
 * Registers the test.
 * @param keep is given what was measured
 */
export function hostileSuite(seconds: number, keep: (figures: HostileFigures) => Promise<void>): void {
  beforeAll(async () => {
    const script = await buildIngest();
    redis = await startRedis();
    const dataDir = await tempDir('hostile');
    backstage = await openBackstage(redis.url, dataDir);
    good = await backstage.addStream({ reconnect_window_s: 2 });
    ingest = await startIngestProcess(script, { REDIS_URL: redis.url, HEADWATER_DATA_DIR: dataDir });
  }, 60_000);
  afterAll(async () => {
    await ingest?.kill();
    await backstage?.close();
    await redis?.stop();
  });

  test(
    'thirteen hostile publishers leave a good one alone',
    async () => {
      await keep(await besideHostile(seconds));
    },
    seconds * 1_000 + 90_000,
  );
}
