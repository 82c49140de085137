// The live worker on real ffmpeg, Redis and store: what it publishes is complete, on the grid, and decodes without a seam.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { RenditionName } from '../../platform/contract/ids.ts';
import {
  decode,
  LiveRig,
  makeFolder,
  type RigRedis,
  type RigWorker,
  removeFolder,
  startRigRedis,
} from './live-worker-rig.ts';
import { type FlvFileTag, makeFlv } from './live-worker-ring.ts';

const CLIP = fileURLToPath(new URL('../media/rabbit320.mp4', import.meta.url));
const AAC = ['-c:a', 'aac', '-ar', '44100', '-ac', '2'];
const V = 'v180' as RenditionName;
const A = 'a0' as RenditionName;

let folder: string;
let redis: RigRedis;
let clip: FlvFileTag[];
let rig: LiveRig;
let workers: RigWorker[] = [];

const hire = async (): Promise<RigWorker> => {
  const worker = await rig.worker();
  workers.push(worker);
  return worker;
};

beforeAll(async () => {
  folder = await makeFolder();
  redis = await startRigRedis(folder);
  clip = await makeFlv(CLIP, join(folder, 'clip.flv'), { seconds: 8, fps: '30', audio: AAC });
});
afterAll(async () => {
  await redis.stop();
  await removeFolder(folder);
});
afterEach(async () => {
  for (const worker of workers) await worker.close();
  workers = [];
  await rig.close();
});

const openRig = async (name: string, mode: 'ultra' | 'low' | 'default' | 'standard'): Promise<LiveRig> => {
  rig = new LiveRig(join(folder, name), redis.url);
  await rig.start(mode);
  return rig;
};

describe('a whole broadcast', () => {
  test('is published on the grid, every object stored, and ends', async () => {
    await openRig('whole', 'default');
    const worker = await hire();
    const job = worker.job(1);
    await rig.ring.publish(clip, 4);
    rig.ring.end();
    await job;
    const record = await rig.record();
    expect(record.status).toBe('ended');
    expect(record.epochs).toHaveLength(1);
    const [published] = await rig.published();
    if (published === undefined) throw new Error('nothing published');
    const { epoch, entries, files } = published;
    expect(epoch).toMatchObject({ epoch: 0, msn0: 0, fps: { num: 30, den: 1 }, part_frames: 15, gop_frames: 30 });
    expect(epoch.renditions.map(({ name, kind, timescale }) => [name, kind, timescale])).toEqual([
      [V, 'video', 90_000],
      [A, 'audio', 44_100],
    ]);
    for (const entry of entries.slice(0, -1)) {
      expect(entry.renditions[V]?.duration).toBe(45_000);
      expect(entry.renditions[V]?.independent).toBe(entry.part % 2 === 0);
      expect(entry.last).toBe(entry.part === 3);
      const seconds = (entry.renditions[A]?.duration ?? 0) / 44_100;
      expect(seconds).toBeGreaterThan(0.52 * 0.85);
      expect(seconds).toBeLessThanOrEqual(0.52);
    }
    expect(entries.at(-1)?.last).toBe(true);
    const video = await decode(files.get(V) ?? '');
    expect(video.frames).toBe(240);
    expect(video.start).toBeCloseTo(epoch.ts0 / 1_000, 1);
    expect(video.largestStep).toBeLessThan(0.034);
    const audio = await decode(files.get(A) ?? '');
    expect(audio.largestStep).toBeLessThan(0.0233);
    expect(Math.abs(audio.start - video.start)).toBeLessThan(0.025);
    expect(Math.abs(audio.end - video.end)).toBeLessThan(0.025);
  });
});
