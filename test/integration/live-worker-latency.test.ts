// How soon a part is named: from the arrival of its last frame at the ingest, over encoder and store, to the timeline.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StorageSettings } from '../../platform/adapters/storage.ts';
import { RABBIT } from '../support/media.ts';
import { hasMinio, startMinio, type TestMinio } from '../support/minio.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { tempDir } from '../support/temp.ts';
import { LiveRig } from './live-worker-rig.ts';
import { type FlvFileTag, makeFlv } from './live-worker-ring.ts';

const isMinioHere = await hasMinio();

let folder: string;
let redis: TestRedis;
let minio: TestMinio | null = null;
let clip: FlvFileTag[];

beforeAll(async () => {
  folder = await tempDir('live-latency');
  redis = await startRedis();
  if (isMinioHere) minio = await startMinio();
  const audio = ['-c:a', 'aac', '-ar', '48000', '-ac', '2'];
  clip = await makeFlv(RABBIT, join(folder, 'clip.flv'), { seconds: 8, fps: '30', audio });
});
afterAll(async () => {
  await redis.stop();
  await minio?.stop();
});

/** Mean of a histogram, ms. */
const meanOf = (text: string, name: string): number => {
  const read = (end: string) => Number(new RegExp(`^${name}_${end}(?:{[^}]*})? (\\S+)$`, 'm').exec(text)?.[1]);
  return Math.round((1_000 * read('sum')) / read('count'));
};
const measure = async (name: string, store?: StorageSettings) => {
  const rig = new LiveRig(join(folder, name), redis.url, store);
  await rig.start('low');
  const worker = await rig.worker();
  try {
    const job = worker.job(1);
    const publishing = rig.ring.publish(clip, 1);
    const lags: number[] = [];
    await rig.until((entries) => entries.length >= 9);
    // From here the encoder has worked off what came before it was there.
    await rig.until((entries) => {
      lags.push(worker.worker.encodes()[rig.broadcast]?.lag_s ?? 0);
      return entries.length >= 22;
    });
    await publishing;
    rig.ring.end();
    await job;
    const text = await worker.metrics.expose();
    const sorted = lags.map((lag) => Math.round(lag * 1_000)).sort((a, b) => a - b);
    return {
      lagMs: sorted[Math.floor(sorted.length / 2)] ?? 0,
      storeMs: meanOf(text, 'headwater_live_part_store_seconds'),
    };
  } finally {
    await worker.close();
    await rig.close();
  }
};

describe('a part is named soon after its last frame arrived', () => {
  test('on a disk', async () => {
    const { lagMs, storeMs } = await measure('fs');
    expect(lagMs).toBeLessThan(500);
    expect(storeMs).toBeLessThan(100);
  });
  test.skipIf(!isMinioHere)('on MinIO', async () => {
    const { lagMs, storeMs } = await measure('minio', minio?.settings);
    expect(lagMs).toBeLessThan(500);
    expect(storeMs).toBeLessThan(100);
  });
});
