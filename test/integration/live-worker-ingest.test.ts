// The live worker on the ingest's own ring and route: both sides of the ring protocol as they are.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { classifyTag } from '../../ingest/flv-tag.ts';
import { Ring } from '../../ingest/ring.ts';
import { createRingApp } from '../../ingest/routes.ts';
import { newId, type RenditionName } from '../../platform/contract/ids.ts';
import { silentLogger } from '../../platform/runtime/log.ts';
import { delay } from '../../platform/runtime/waits.ts';
import { RABBIT } from '../support/media.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { tempDir } from '../support/temp.ts';
import { decode, LiveRig, type RigWorker } from './live-worker-rig.ts';
import { type FlvFileTag, makeFlv } from './live-worker-ring.ts';

const V = 'v180' as RenditionName;
const SPEED = 2;

let folder: string;
let redis: TestRedis;
let clip: FlvFileTag[];
let rig: LiveRig;
let server: Server;
let ring: Ring;
let workers: RigWorker[] = [];

beforeAll(async () => {
  folder = await tempDir('live-ingest');
  redis = await startRedis();
  clip = await makeFlv(RABBIT, join(folder, 'clip.flv'), { seconds: 6, fps: '25', audio: ['-c:a', 'aac'], gop: 50 });
});
afterAll(() => redis.stop());
afterEach(async () => {
  for (const worker of workers) await worker.close();
  workers = [];
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rig.close();
});

const start = async (name: string): Promise<void> => {
  rig = new LiveRig(join(folder, name), redis.url);
  await rig.start('low');
  ring = new Ring({ ms: 30_000, bytes: 64 * 1024 * 1024 });
  const app = createRingApp({
    ring: (id) => (id === rig.broadcast ? ring : null),
    internalSecret: rig.ring.secret,
    readiness: () => [],
    onReader: () => undefined,
    closing: new AbortController().signal,
    log: silentLogger,
  });
  server = createServer(app);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  rig.ringUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
};
const hire = async (): Promise<RigWorker> => {
  const worker = await rig.worker();
  workers.push(worker);
  return worker;
};
const publish = async (tags: FlvFileTag[], speed = SPEED): Promise<void> => {
  ring.beginSession(newId(), Date.now());
  const began = Date.now();
  for (const { kind, timestamp, payload } of tags) {
    const due = began + timestamp / speed;
    if (due > Date.now()) await delay(due - Date.now());
    const tag = classifyTag({ type: kind, timestamp, body: Buffer.from(payload) });
    if (tag !== null) ring.push(tag, Date.now());
  }
};

test('a broadcast with a takeover and a second publisher', async () => {
  await start('ingest');
  const first = await hire();
  const dying = first.job(1);
  const publishing = publish(clip);
  await rig.until((entries) => entries.some((entry) => entry.msn === 1 && entry.part === 1));
  // A cut connection is no event at all: the reader comes back to its place.
  server.closeAllConnections();
  await rig.until((entries) => entries.some((entry) => entry.msn === 1 && entry.part === 2));
  first.abort.abort();
  await dying;
  const second = await hire();
  const job = second.job(2);
  await publishing;
  await publish(clip.filter((tag) => tag.timestamp < 3_000));
  ring.end();
  await job;
  const epochs = await rig.published();
  expect(epochs.map(({ epoch }) => epoch.epoch)).toEqual([0, 1]);
  const frames = await Promise.all(epochs.map(({ files }) => decode(files.get(V) ?? '')));
  expect(frames[0]?.frames).toBe(150);
  expect(frames[1]?.frames).toBeGreaterThanOrEqual(75);
});

test('a publisher that leaves, a worker that comes meanwhile, and a return', async () => {
  await start('away');
  const first = await hire();
  const dying = first.job(1);
  await publish(
    clip.filter((tag) => tag.timestamp < 2_500),
    1,
  );
  ring.leave(Date.now());
  await rig.until((entries) => entries.filter((entry) => entry.gap).length >= 3);
  first.abort.abort();
  await dying;
  const second = await hire();
  const job = second.job(2);
  await rig.until((entries) => entries.some((entry) => entry.gap && entry.term === 2));
  await publish(
    clip.filter((tag) => tag.timestamp < 1_500),
    1,
  );
  ring.end();
  await job;
  const epochs = await rig.published();
  expect(epochs.map(({ epoch }) => epoch.epoch)).toEqual([0, 1]);
  const frames = await Promise.all(epochs.map(({ files }) => decode(files.get(V) ?? '')));
  expect(frames[0]?.frames).toBeGreaterThanOrEqual(62);
  expect(frames[1]?.frames).toBeGreaterThanOrEqual(37);
  expect((await rig.record()).status).toBe('ended');
});
