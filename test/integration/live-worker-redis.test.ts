// Redis goes away under a running broadcast: the encoder goes on, parts wait in memory, and all are named when it is back.
import { join } from 'node:path';
import { afterEach, beforeAll, expect, test } from 'vitest';
import type { RenditionName } from '../../platform/contract/ids.ts';
import { leaseKey, leases, timelineHeadKey, timelineKey } from '../../platform/contract/redis-keys.ts';
import { delay } from '../../platform/runtime/waits.ts';
import { RABBIT } from '../support/media.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { tempDir } from '../support/temp.ts';
import { decode, LiveRig, type RigWorker } from './live-worker-rig.ts';
import { type FlvFileTag, makeFlv } from './live-worker-ring.ts';

const V = 'v180' as RenditionName;
/** Longer than a lease: it has expired when Redis is back. Unit: ms. */
const DOWN_MS = 4_500;

let folder: string;
let redis: TestRedis;
let clip: FlvFileTag[];
let rig: LiveRig;
let worker: RigWorker;

beforeAll(async () => {
  folder = await tempDir('live-redis');
  const audio = ['-c:a', 'aac', '-ar', '48000', '-ac', '2'];
  clip = await makeFlv(RABBIT, join(folder, 'clip.flv'), { seconds: 9, fps: '30', audio });
});
afterEach(async () => {
  await worker.close();
  await rig.close();
  await redis.stop();
});

test('a Redis that knows less than the one before is told the rest: no hole in the timeline', async () => {
  redis = await startRedis();
  rig = new LiveRig(join(folder, 'behind'), redis.url);
  await rig.start('low');
  worker = await rig.worker();
  const job = worker.job(1);
  const publishing = rig.ring.publish(clip, 1);
  await rig.until((entries) => entries.length >= 4);
  const keys = [timelineKey(rig.content), timelineHeadKey(rig.content)];
  for (const key of keys) await redis.command('COPY', key, `replica:${key}`);
  await rig.until((entries) => entries.length >= 12);
  // As a replica that takes the place of its master without the last of it.
  const back = keys.flatMap((key) => [`redis.call('COPY', 'replica:${key}', '${key}', 'REPLACE')`]);
  await redis.command('EVAL', back.join('\n'), '0');
  await publishing;
  rig.ring.end();
  await job;
  const [epoch, ...others] = await rig.published();
  expect(others).toEqual([]);
  const perSegment = Math.max(...(epoch?.entries.map(({ part }) => part) ?? [])) + 1;
  const places = epoch?.entries.map(({ msn, part }) => msn * perSegment + part) ?? [];
  expect(places).toEqual(places.map((_place, i) => i));
  expect((await decode(epoch?.files.get(V) ?? '')).frames).toBe(270);
});

test.each([
  { name: 'with its data', persistence: true },
  { name: 'without', persistence: false },
])('a Redis that is back $name after 4.5 s: the same worker goes on', async ({ name, persistence }) => {
  redis = await startRedis({ persistence });
  rig = new LiveRig(join(folder, name.replaceAll(' ', '-')), redis.url);
  await rig.start('low');
  worker = await rig.worker();
  const job = worker.job(1);
  const publishing = rig.ring.publish(clip, 1);
  const watch = rig.watchNames();
  await rig.until((entries) => entries.length >= 6);
  await redis.kill();
  const downAt = performance.now();
  await delay(DOWN_MS);
  await redis.restart();
  const downMs = performance.now() - downAt;
  await publishing;
  expect(await rig.redis.client.get(leaseKey(leases.live(rig.broadcast)))).not.toBeNull();
  rig.ring.end();
  await job;
  await watch.stop();
  expect(watch.longest(downAt)).toBeLessThan(downMs + 1_000);
  const [epoch, ...others] = await rig.published();
  expect(others).toEqual([]);
  expect(new Set(epoch?.entries.map((entry) => entry.term))).toEqual(new Set([1]));
  expect((await decode(epoch?.files.get(V) ?? '')).frames).toBe(270);
});
