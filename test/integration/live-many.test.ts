// Many small broadcasts on one worker: pass-through costs next to nothing, and no part comes late.
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTimelineFollower } from '../../platform/adapters/timeline-store.ts';
import { newId } from '../../platform/contract/ids.ts';
import { silentLogger } from '../../platform/runtime/log.ts';
import { BUNNY } from '../support/media.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { tempDir } from '../support/temp.ts';
import { LiveRig } from './live-worker-rig.ts';
import { type FlvFileTag, makeFlv } from './live-worker-ring.ts';

const STREAMS = 6;
const SECONDS = 10;
const PART_TARGET_S = 0.35;

let folder: string;
let redis: TestRedis;
let clip: FlvFileTag[];

beforeAll(async () => {
  folder = await tempDir('live-many');
  redis = await startRedis();
  const audio = ['-b:v', '900k', '-maxrate', '900k', '-bufsize', '900k', '-c:a', 'aac', '-ar', '48000', '-ac', '2'];
  const filter = 'scale=640:360';
  clip = await makeFlv(BUNNY, join(folder, 'clip.flv'), { seconds: SECONDS, fps: '30', audio, filter });
});
afterAll(() => redis.stop());

test(`${STREAMS} streams of 640x360 for ${SECONDS} s: every part in time`, { retry: 2 }, async () => {
  const rigs = Array.from({ length: STREAMS }, () => new LiveRig(join(folder, newId()), redis.url));
  await Promise.all(rigs.map((rig) => rig.start('low', { transcode: 'passthrough' })));
  const workers = await Promise.all(rigs.map((rig) => rig.worker()));
  const [first] = rigs;
  if (first === undefined) throw new Error('no stream');
  const follower = createTimelineFollower(first.redis, silentLogger);
  await follower.start();
  const arrivals = rigs.map((rig) => {
    const times: number[] = [];
    follower.follow(rig.content, (entries) => times.push(...entries.map(() => performance.now())));
    return times;
  });
  const before = process.cpuUsage();
  const jobs = workers.map((worker) => worker.job(1));
  await Promise.all(rigs.map((rig) => rig.ring.publish(clip, 1)));
  for (const rig of rigs) rig.ring.end();
  await Promise.all(jobs);
  const { user, system } = process.cpuUsage(before);
  await follower.close();
  const used = (user + system) / 1e6 / SECONDS / STREAMS;
  process.stderr.write(`cpu per stream, ring and reader included: ${(100 * used).toFixed(1)} % of a core\n`);
  for (const [i, times] of arrivals.entries()) {
    const steps = times.slice(1).map((time, at) => time - (times[at] ?? time));
    expect(times.length, `parts of stream ${i}`).toBeGreaterThan((SECONDS - 1) * 3);
    expect(Math.max(...steps), `stream ${i}`).toBeLessThanOrEqual(1_500 * PART_TARGET_S);
  }
  for (const [i, rig] of rigs.entries()) {
    const [epoch, ...others] = await rig.published();
    expect(others).toEqual([]);
    expect(epoch?.epoch.grid).toBe('copy');
    await workers[i]?.close();
    await rig.close();
  }
});
