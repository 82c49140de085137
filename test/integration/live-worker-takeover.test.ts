// Workers in processes of their own that are killed and frozen: how long viewers wait, and that nothing is lost or written twice.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { RenditionName } from '../../platform/contract/ids.ts';
import type { TimelineEntry } from '../../platform/contract/timeline.ts';
import { buildScript } from '../support/build-script.ts';
import { RABBIT } from '../support/media.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { tempDir } from '../support/temp.ts';
import { decode, LiveRig, type RigWorker, type WorkerProcess } from './live-worker-rig.ts';
import { type FlvFileTag, makeFlv } from './live-worker-ring.ts';

const run = promisify(execFile);
const V = 'v180' as RenditionName;
const A = 'a0' as RenditionName;
const PART_MS = 1_000 / 3;

let folder: string;
let script: string;
let redis: TestRedis;
let clip: FlvFileTag[];
let rig: LiveRig;
let workers: RigWorker[] = [];
let processes: WorkerProcess[] = [];

const open = async (name: string, redundancy: 'standby' | 'hot'): Promise<void> => {
  rig = new LiveRig(join(folder, name), redis.url);
  await rig.start('low', { redundancy });
};
const hire = async (): Promise<RigWorker> => {
  const worker = await rig.worker();
  workers.push(worker);
  return worker;
};
const spawned = async (term: number, place: 'leader' | 'hot' = 'leader'): Promise<WorkerProcess> => {
  const worker = await rig.process(script, term, place);
  processes.push(worker);
  return worker;
};
/** All of the clip, once, in one epoch. */
const expectWhole = async (): Promise<TimelineEntry[]> => {
  const epochs = await rig.published();
  expect(epochs).toHaveLength(1);
  const [epoch] = epochs;
  const video = await decode(epoch?.files.get(V) ?? '');
  expect(video.frames).toBe(clip.filter((tag) => tag.kind === 9 && tag.payload[1] === 1).length);
  expect((await decode(epoch?.files.get(A) ?? '')).largestStep).toBeLessThan(0.0233);
  return epoch?.entries ?? [];
};
const childrenOf = async (pid: number): Promise<string> => {
  try {
    return (await run('ps', ['--ppid', `${pid}`, '-o', 'comm='])).stdout.trim();
  } catch {
    return '';
  }
};

beforeAll(async () => {
  folder = await tempDir('live-takeover');
  redis = await startRedis();
  script = await buildScript('test/integration/live-worker-process.ts');
  const audio = ['-c:a', 'aac', '-ar', '48000', '-ac', '2'];
  clip = await makeFlv(RABBIT, join(folder, 'clip.flv'), { seconds: 12, fps: '30', audio });
});
afterAll(() => redis.stop());
afterEach(async () => {
  for (const worker of processes) await worker.stop();
  for (const worker of workers) await worker.close();
  processes = [];
  workers = [];
  await rig.close();
});

describe('standby', () => {
  test('kill -9: another goes on within 5 s and nothing is lost', async () => {
    await open('kill', 'standby');
    const first = await spawned(1);
    const publishing = rig.ring.publish(clip, 1);
    const watch = rig.watchNames();
    await rig.until((entries) => entries.length >= 10);
    first.signal('SIGKILL');
    // The ingest sees the lease lapse and enqueues the next term; the job is there at once here, and waits for the lease.
    const second = await hire();
    const job = second.job(2);
    await publishing;
    rig.ring.end();
    await job;
    await watch.stop();
    expect(watch.longest()).toBeLessThan(5_000);
    expect(new Set((await expectWhole()).map((entry) => entry.term))).toEqual(new Set([1, 2]));
  });

  test('SIGSTOP: another goes on; the frozen one wakes, writes nothing, and ends its ffmpeg', async () => {
    await open('stop', 'standby');
    const first = await spawned(1);
    const publishing = rig.ring.publish(clip, 1);
    const watch = rig.watchNames();
    await rig.until((entries) => entries.length >= 10);
    expect(await childrenOf(first.pid)).toContain('ffmpeg');
    first.signal('SIGSTOP');
    const second = await hire();
    const job = second.job(2);
    await rig.until((entries) => entries.some((entry) => entry.term === 2));
    first.signal('SIGCONT');
    await first.ended;
    expect(await childrenOf(first.pid)).toBe('');
    await publishing;
    rig.ring.end();
    await job;
    await watch.stop();
    expect(watch.longest()).toBeLessThan(5_000);
    const terms = (await expectWhole()).map((entry) => entry.term);
    expect(terms).toEqual([...terms].sort());
  });
});

describe('hot', () => {
  test('kill -9 of the first: the second names what is missing, then goes on in its place', async () => {
    await open('hot', 'hot');
    const first = await spawned(1);
    const publishing = rig.ring.publish(clip, 1);
    const watch = rig.watchNames();
    await rig.until((entries) => entries.length >= 1);
    const second = await hire();
    const job = second.hotJob();
    await rig.until((entries) => entries.length >= 15);
    const status = second.worker.encodes()[rig.broadcast];
    expect(status).toMatchObject({ place: 'hot', renditions: [V, A] });
    expect(status?.lag_s).toBeLessThan(2);
    const killedAt = performance.now();
    first.signal('SIGKILL');
    await publishing;
    rig.ring.end();
    await job;
    await watch.stop();
    expect(watch.longest(killedAt)).toBeLessThan(2 * PART_MS);
    expect(new Set((await expectWhole()).map((entry) => entry.term))).toEqual(new Set([1, 2]));
    expect(await rig.record()).toMatchObject({ status: 'ended', term: 2 });
  });

  test('the first drains: the second goes on; a second one that drains leaves at once', async () => {
    await open('drain', 'hot');
    const first = await hire();
    const leading = first.job(1);
    const publishing = rig.ring.publish(clip, 1);
    await rig.until((entries) => entries.length >= 1);
    const leaver = await hire();
    const left = leaver.hotJob();
    await rig.until((entries) => entries.length >= 6);
    const began = performance.now();
    await leaver.worker.drain();
    await left;
    expect(performance.now() - began).toBeLessThan(1_000);
    const second = await hire();
    const job = second.hotJob();
    await rig.until((entries) => entries.length >= 14);
    await first.worker.drain();
    await leading;
    await publishing;
    rig.ring.end();
    await job;
    expect(new Set((await expectWhole()).map((entry) => entry.term))).toEqual(new Set([1, 2]));
    expect(await rig.record()).toMatchObject({ status: 'ended', term: 2 });
  });
});
