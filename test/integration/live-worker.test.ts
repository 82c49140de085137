// The live worker on real ffmpeg, Redis and store: what it publishes is complete, on the grid, and decodes without a seam.
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { RenditionName } from '../../platform/contract/ids.ts';
import type { LatencyMode } from '../../platform/contract/latency.ts';
import { leaseKey, leases } from '../../platform/contract/redis-keys.ts';
import { RABBIT } from '../support/media.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { tempDir } from '../support/temp.ts';
import { decode, LiveRig, type RigWorker } from './live-worker-rig.ts';
import { type FlvFileTag, makeFlv } from './live-worker-ring.ts';

const AAC = ['-c:a', 'aac', '-ar', '44100', '-ac', '2'];
const V = 'v180' as RenditionName;
const A = 'a0' as RenditionName;

let folder: string;
let redis: TestRedis;
let clip: FlvFileTag[];
let rig: LiveRig;
let workers: RigWorker[] = [];

const hire = async (): Promise<RigWorker> => {
  const worker = await rig.worker();
  workers.push(worker);
  return worker;
};
const openRig = async (name: string, mode: LatencyMode): Promise<void> => {
  rig = new LiveRig(join(folder, name), redis.url);
  await rig.start(mode);
};
/** The one epoch of a broadcast that must have only one. */
const onlyEpoch = async () => {
  const epochs = await rig.published();
  expect(epochs).toHaveLength(1);
  const [epoch] = epochs;
  if (epoch === undefined) throw new Error('nothing is published');
  return epoch;
};
const wholeClip = async (files: Map<RenditionName, string>): Promise<void> => {
  const video = await decode(files.get(V) ?? '');
  expect(video.frames).toBe(240);
  expect(video.largestStep).toBeLessThan(0.034);
  const audio = await decode(files.get(A) ?? '');
  expect(audio.largestStep).toBeLessThan(0.0233);
  expect(Math.abs(audio.start - video.start)).toBeLessThan(0.025);
  expect(Math.abs(audio.end - video.end)).toBeLessThan(0.025);
};

beforeAll(async () => {
  folder = await tempDir('live-worker');
  redis = await startRedis();
  clip = await makeFlv(RABBIT, join(folder, 'clip.flv'), { seconds: 8, fps: '30', audio: AAC });
});
afterAll(() => redis.stop());
afterEach(async () => {
  for (const worker of workers) await worker.close();
  workers = [];
  await rig.close();
});

describe('a whole broadcast', () => {
  test('is published on the grid, every object stored, and ends', async () => {
    await openRig('whole', 'default');
    const worker = await hire();
    const job = worker.job(1);
    await rig.ring.publish(clip, 4);
    rig.ring.end();
    await job;
    expect(await rig.record()).toMatchObject({ status: 'ended', term: 1, worker: null });
    const { epoch, entries, files } = await onlyEpoch();
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
    expect((await decode(files.get(V) ?? '')).start).toBeCloseTo(epoch.ts0 / 1_000, 1);
    await wholeClip(files);
    expect(await rig.blocks()).toEqual([[0, 0, 3, 4]]);
  });

  test.each([
    { mode: 'ultra', fps: '25', part: 5, gop: 25, audio: ['-c:a', 'aac', '-ar', '22050', '-ac', '1'], rate: 48_000 },
    {
      mode: 'low',
      fps: '30000/1001',
      part: 10,
      gop: 30,
      audio: ['-c:a', 'aac', '-ar', '48000', '-ac', '1'],
      rate: 48_000,
    },
    { mode: 'standard', fps: '50', part: 24, gop: 48, audio: ['-an'], rate: null },
  ] as const)('in $mode at $fps frames a second', async ({ mode, fps, part, gop, audio, rate }) => {
    await openRig(`mode-${mode}`, mode);
    const tags = await makeFlv(RABBIT, join(folder, `${mode}.flv`), { seconds: 5, fps, audio: [...audio], gop: 47 });
    const worker = await hire();
    const job = worker.job(1);
    await rig.ring.publish(tags, 4);
    rig.ring.end();
    await job;
    const { epoch, entries, files } = await onlyEpoch();
    expect(epoch).toMatchObject({ part_frames: part, gop_frames: gop, segment_frames: 2 * gop });
    expect(epoch.fps.num / epoch.fps.den).toBeCloseTo(Number(fps.split('/')[0]) / Number(fps.split('/')[1] ?? 1), 3);
    expect(epoch.renditions.find((rendition) => rendition.kind === 'audio')?.timescale ?? null).toBe(rate);
    const frames = tags.filter((tag) => tag.kind === 9 && tag.payload[1] === 1).length;
    expect((await decode(files.get(V) ?? '')).frames).toBe(frames);
    expect(entries.filter((entry) => entry.part === 0).every((entry) => entry.renditions[V]?.independent)).toBe(true);
    if (rate !== null) {
      const ends = await Promise.all([V, A].map((name) => decode(files.get(name) ?? '')));
      expect(Math.abs((ends[0]?.end ?? 0) - (ends[1]?.end ?? 0))).toBeLessThan(0.05);
    }
  });
});

test('all rungs are cut at the same places', async () => {
  await openRig('rungs', 'low');
  const options = { seconds: 5, fps: '24', audio: ['-an'], filter: 'scale=854:480' };
  const tags = await makeFlv(RABBIT, join(folder, 'rungs.flv'), options);
  const worker = await hire();
  const job = worker.job(1);
  await rig.ring.publish(tags, 2);
  rig.ring.end();
  await job;
  const { epoch, entries, files } = await onlyEpoch();
  expect(epoch.renditions.map(({ name, width, height }) => [name, width, height])).toEqual([
    ['v480', 854, 480],
    ['v240', 428, 240],
  ]);
  for (const entry of entries) {
    const [top, low] = Object.values(entry.renditions);
    expect([top?.tfdt, top?.duration, top?.independent]).toEqual([low?.tfdt, low?.duration, low?.independent]);
  }
  for (const file of files.values()) expect((await decode(file)).frames).toBe(120);
});

describe('another worker', () => {
  test('goes on in the same epoch when the first one died in the middle of a segment', async () => {
    await openRig('takeover', 'default');
    const first = await hire();
    const dying = first.job(1);
    const publishing = rig.ring.publish(clip, 2);
    await rig.until((entries) => entries.some((entry) => entry.msn === 1 && entry.part === 1));
    first.abort.abort();
    await dying;
    // A worker that was killed leaves its lease until it expires: the next one waits for that.
    await rig.redis.client.set(leaseKey(leases.live(rig.broadcast)), 'dead', { px: 500 });
    const second = await hire();
    const job = second.job(2);
    await publishing;
    rig.ring.end();
    await job;
    const { entries, files } = await onlyEpoch();
    await wholeClip(files);
    const terms = entries.map((entry) => entry.term);
    expect(terms).toEqual([...terms].sort());
    expect(new Set(terms)).toEqual(new Set([1, 2]));
    expect(rig.ring.requests.at(-1)).toContain('&ts=');
  });

  test('finds a later term refused, and a job out of date ends at once', async () => {
    await openRig('stale', 'default');
    const zombie = await hire();
    const job = zombie.job(1);
    const publishing = rig.ring.publish(clip, 4);
    await rig.until((entries) => entries.length >= 2);
    await rig.timeline.seed(rig.content, 2, []);
    const before = (await rig.entries()).length;
    await job;
    await publishing;
    expect((await rig.entries()).length).toBe(before);
    expect((await rig.record()).status).toBe('live');
    await zombie.job(1);
    await zombie.job(7);
    expect((await rig.record()).term).toBe(1);
  });

  test('continues after a drain, which closes the open segment first', async () => {
    await openRig('drain', 'default');
    const first = await hire();
    const job = first.job(1);
    const publishing = rig.ring.publish(clip, 2);
    await rig.until((entries) => entries.length >= 2);
    await first.worker.drain();
    await job;
    expect((await rig.entries()).at(-1)?.last).toBe(true);
    expect(await rig.redis.client.get(leaseKey(leases.live(rig.broadcast)))).toBeNull();
    const second = await hire();
    const rest = second.job(2);
    await publishing;
    rig.ring.end();
    await rest;
    await wholeClip((await onlyEpoch()).files);
  });

  test('begins a new epoch when the ring no longer holds the place, and closes what was left open', async () => {
    await openRig('forgotten', 'default');
    const first = await hire();
    const job = first.job(1);
    await rig.ring.publish(
      clip.filter((tag) => tag.timestamp < 3_500),
      4,
    );
    await rig.until((entries) => entries.some((entry) => entry.msn === 1 && entry.part === 0));
    first.abort.abort();
    await job;
    const [session] = rig.ring.session;
    if (session === undefined) throw new Error('no session');
    const rest = clip.filter((tag) => tag.timestamp >= 3_500);
    await rig.ring.publish(rest, 8, { session });
    rig.ring.forget();
    rig.ring.end();
    const second = await hire();
    await second.job(2);
    const epochs = await rig.published();
    expect(epochs.map(({ epoch }) => [epoch.epoch, epoch.msn0])).toEqual([
      [0, 0],
      [1, 2],
    ]);
    for (const { files } of epochs) expect((await decode(files.get(V) ?? '')).largestStep).toBeLessThan(0.034);
  });
});
