// A broadcast while its store is away: it goes on from the worker's disk, origins are served from there, and nothing accepted is lost.
import { createHash } from 'node:crypto';
import { rename, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import express from 'express';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { createFsStorage } from '../../platform/adapters/storage-fs.ts';
import { type NodeId, newId, type RenditionName, type SessionId } from '../../platform/contract/ids.ts';
import { initKey, partKey } from '../../platform/contract/object-keys.ts';
import { headers, workerObjectPath } from '../../platform/contract/routes.ts';
import type { TimelineEntry } from '../../platform/contract/timeline.ts';
import { silentLogger } from '../../platform/runtime/log.ts';
import { createMetrics } from '../../platform/runtime/metrics.ts';
import { LiveSpool } from '../../transcoder/live-spool.ts';
import { spoolRoute } from '../../transcoder/routes.ts';
import { RABBIT } from '../support/media.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { tempDir } from '../support/temp.ts';
import { waitUntil } from '../support/wait-until.ts';
import { frameHashes } from './live-copy-rig.ts';
import { LiveRig, type RigWorker } from './live-worker-rig.ts';
import { type FlvFileTag, makeFlv } from './live-worker-ring.ts';

const SECRET = 's'.repeat(32);
const V = 'v180' as RenditionName;
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const isFromWorker = (entry: TimelineEntry): boolean => entry.src.startsWith('worker:');

let folder: string;
let redis: TestRedis;
let source: string;
let clip: FlvFileTag[];
let rig: LiveRig;
let worker: RigWorker | null = null;
let spool: LiveSpool;
let server: Server;

/** The folder of the store is gone, and nothing can be put in its place. */
async function takeStoreAway(): Promise<void> {
  await rename(join(rig.folder, 'store'), join(rig.folder, 'store-away'));
  await writeFile(join(rig.folder, 'store'), '');
}
async function bringStoreBack(): Promise<void> {
  await rm(join(rig.folder, 'store'));
  await rename(join(rig.folder, 'store-away'), join(rig.folder, 'store'));
}

/** A worker with a disk, and the route by which origins ask it. */
async function hire(): Promise<{ worker: RigWorker; url: string }> {
  const storage = createFsStorage(join(rig.folder, 'store'));
  const options = { dataDir: rig.folder, node: newId<NodeId>(), limitBytes: 64 * 1024 ** 2 };
  spool = new LiveSpool(options, storage, { metrics: createMetrics(false), log: silentLogger });
  await spool.start();
  const app = express();
  spoolRoute(app, SECRET, (key) => spool.find(key));
  server = createServer(app);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  worker = await rig.worker(() => ({ media: spool }));
  return { worker, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}
async function dismiss(): Promise<void> {
  await worker?.close();
  worker = null;
  await new Promise((resolve) => server.close(resolve));
  await spool.close();
}

beforeAll(async () => {
  folder = await tempDir('live-spool');
  redis = await startRedis();
  source = join(folder, 'clip.flv');
  const audio = ['-c:a', 'aac', '-ar', '48000', '-ac', '2'];
  clip = await makeFlv(RABBIT, source, { seconds: 16, fps: '30', audio });
});
afterAll(() => redis.stop());
beforeEach(async (context) => {
  rig = new LiveRig(join(folder, context.task.id), redis.url);
  await rig.start('low', { transcode: 'passthrough' });
});
afterEach(async () => {
  if (worker !== null) await dismiss();
  await rig.close();
});

const publishedFrames = async (): Promise<string[]> => {
  const [epoch, ...others] = await rig.published();
  expect(others).toEqual([]);
  return (await frameHashes(epoch?.files.get(V) ?? '', 'v')).map((frame) => frame.hash);
};
const sentFrames = async (): Promise<string[]> => (await frameHashes(source, 'v')).map((frame) => frame.hash);

test('goes on from the disk, and everything is stored before it counts as ended', async () => {
  const { worker: first, url } = await hire();
  const job = first.job(1);
  const session = newId<SessionId>();
  const half = clip.findIndex((tag) => tag.timestamp >= 12_000);
  const publishing = rig.ring.publish(clip.slice(0, half), 2, { session });
  await rig.until((entries) => entries.length >= 9);
  await takeStoreAway();
  const entries = await rig.until((all) => all.filter(isFromWorker).length >= 9);
  const entry = entries.findLast(isFromWorker);
  const part = entry?.renditions[V];
  if (entry === undefined || part === undefined) throw new Error('no such entry');
  const key = partKey({ content: rig.content, rendition: V, ...entry, writer: part.writer });
  const ask = (path: string, secret: string, method = 'GET') =>
    fetch(url + path, { method, headers: { [headers.internal]: secret } });
  const answer = await ask(workerObjectPath(key), SECRET);
  expect([answer.status, answer.headers.get('content-length')]).toEqual([200, String(part.bytes)]);
  expect(sha256(new Uint8Array(await answer.arrayBuffer()))).toBe(part.sha256);
  expect((await ask(workerObjectPath(key), SECRET, 'HEAD')).headers.get('etag')).toBe(answer.headers.get('etag'));
  expect((await ask(workerObjectPath(key), 'wrong')).status).toBe(401);
  const missing = initKey({ content: rig.content, rendition: V, epoch: 7 });
  for (const path of [workerObjectPath(missing), '/spool/records/stream/x', '/spool/media/../../etc/passwd']) {
    expect((await ask(path, SECRET)).status, path).toBe(404);
  }
  await bringStoreBack();
  await publishing;
  // The longer it was away, the longer the next try is put off.
  await waitUntil('the store has caught up', () => spool.waiting(rig.content) === 0);
  await rig.ring.publish(clip.slice(half), 2, { session });
  rig.ring.end();
  await job;
  expect((await rig.record()).status).toBe('ended');
  expect(spool.waiting(rig.content)).toBe(0);
  const all = await rig.entries();
  // The store is used again without being asked to.
  expect(all.findLast((one) => !one.gap)?.src).toBe('store');
  expect(await publishedFrames()).toEqual(await sentFrames());
  expect((await rig.blocks()).map(([epoch, first, last]) => [epoch, first, last])).toEqual([[0, 0, all.at(-1)?.msn]]);
});

test('a worker that comes after stores what the one before left on the disk', async () => {
  const { worker: first } = await hire();
  const job = first.job(1);
  const publishing = rig.ring.publish(clip, 2);
  await rig.until((entries) => entries.length >= 9);
  await takeStoreAway();
  await rig.until((all) => all.filter(isFromWorker).length >= 9);
  first.abort.abort();
  await job;
  await dismiss();
  await bringStoreBack();
  const { worker: second } = await hire();
  const rest = second.job(2);
  await publishing;
  rig.ring.end();
  await rest;
  expect((await rig.record()).status).toBe('ended');
  expect(await publishedFrames()).toEqual(await sentFrames());
  expect((await rig.entries()).map((entry) => entry.term)).toContain(2);
});
