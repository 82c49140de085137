// While nobody publishes, or nothing is heard of whoever does: gaps part by part in real time, and then all of what the ring still holds.
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { RenditionName, StreamId } from '../../platform/contract/ids.ts';
import type { BroadcastRecord } from '../../platform/contract/records.ts';
import type { TimelineEntry } from '../../platform/contract/timeline.ts';
import { delay } from '../../platform/runtime/waits.ts';
import { RABBIT } from '../support/media.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { tempDir } from '../support/temp.ts';
import { decode, LiveRig, type RigWorker } from './live-worker-rig.ts';
import { type FlvFileTag, makeFlv } from './live-worker-ring.ts';

const V = 'v180' as RenditionName;
const PART_MS = 1_000 / 3;

let folder: string;
let redis: TestRedis;
let clip: FlvFileTag[];
let rig: LiveRig;
let workers: RigWorker[] = [];

const until = (ms: number) => clip.filter((tag) => tag.timestamp < ms);
const gapsOf = (entries: readonly TimelineEntry[]) => entries.filter((entry) => entry.gap);
const hire = async (): Promise<RigWorker> => {
  const worker = await rig.worker();
  workers.push(worker);
  return worker;
};
const start = async (name: string, changes: Partial<BroadcastRecord> = {}): Promise<void> => {
  rig = new LiveRig(join(folder, name), redis.url);
  await rig.start('low', changes);
};
/** Gap entries name nothing, follow one another by the clock, and close their segments; what comes next begins where they end. */
const expectGaps = (
  all: readonly TimelineEntry[],
  isNamedLate: (entry: TimelineEntry) => boolean = () => false,
): void => {
  const gaps = gapsOf(all);
  gaps.forEach((entry, i) => {
    expect(entry).toMatchObject({ renditions: {}, src: 'store' });
    const before = gaps[i - 1];
    if (before !== undefined && !isNamedLate(entry)) expect(entry.pdt - before.pdt).toBeCloseTo(PART_MS, 3);
  });
  expect(gaps.at(-1)?.last).toBe(true);
  expect(gaps.filter((entry) => entry.part === 5).every((entry) => entry.last)).toBe(true);
  const next = all[all.findLastIndex((entry) => entry.gap) + 1];
  const pause = (next?.pdt ?? 0) - ((gaps.at(-1)?.pdt ?? 0) + PART_MS);
  expect(pause).toBeGreaterThanOrEqual(0);
  expect(pause).toBeLessThan(PART_MS + 50);
};
/** A cut inside a group of B-frames leaves the picture before it standing for one more frame. */
const about = (frames: number) => expect.closeTo(frames, -0.7);
const framesOf = async (): Promise<number[]> => {
  const epochs = await rig.published();
  return Promise.all(epochs.map(async ({ files }) => (await decode(files.get(V) ?? '')).frames));
};

beforeAll(async () => {
  folder = await tempDir('live-away');
  redis = await startRedis();
  const audio = ['-c:a', 'aac', '-ar', '48000', '-ac', '2'];
  clip = await makeFlv(RABBIT, join(folder, 'clip.flv'), { seconds: 8, fps: '30', audio });
});
afterAll(() => redis.stop());
afterEach(async () => {
  for (const worker of workers) await worker.close();
  workers = [];
  await rig.close();
});

test('a publisher that leaves and returns: gaps in between, named in real time', async () => {
  await start('return');
  const worker = await hire();
  const job = worker.job(1);
  await rig.ring.publish(until(2_500), 1);
  rig.ring.leave();
  const entries = await rig.until((all) => gapsOf(all).length >= 8);
  expect(Date.now() - (gapsOf(entries)[7]?.pdt ?? 0)).toBeLessThan(3 * PART_MS);
  expect(worker.worker.encodes()[rig.broadcast]).toMatchObject({ lag_s: 0, renditions: [] });
  await rig.ring.publish(until(2_000), 1);
  rig.ring.end();
  await job;
  const all = await rig.entries();
  expectGaps(all);
  const closing = all[all.findIndex((entry) => entry.gap) - 1];
  expect(closing).toMatchObject({ last: true, gap: false });
  const { epochs } = await rig.record();
  expect(epochs.map(({ epoch, msn0 }) => [epoch, msn0])).toEqual([
    [0, 0],
    [1, (gapsOf(all).at(-1)?.msn ?? 0) + 1],
  ]);
  expect(await framesOf()).toEqual([about(75), about(60)]);
  expect((await rig.blocks()).map(([epoch, first]) => [epoch, first])).toEqual([
    [0, 0],
    [1, epochs[1]?.msn0],
  ]);
});

test('a ring that is lost for a second costs nothing', async () => {
  await start('second');
  const worker = await hire();
  const job = worker.job(1);
  const publishing = rig.ring.publish(until(5_000), 1);
  await rig.until((all) => all.length >= 3);
  rig.ring.vanish();
  await delay(1_000);
  rig.ring.back();
  await publishing;
  rig.ring.end();
  await job;
  expect(gapsOf(await rig.entries())).toEqual([]);
  expect(await framesOf()).toEqual([about(150)]);
});

test('a ring that is lost for longer: gaps, then each frame that came meanwhile', async () => {
  await start('longer');
  const worker = await hire();
  const job = worker.job(1);
  const publishing = rig.ring.publish(clip, 1);
  await rig.until((all) => all.length >= 4);
  rig.ring.vanish();
  await rig.until((all) => gapsOf(all).length >= 7);
  rig.ring.back();
  await publishing;
  rig.ring.end();
  await job;
  const all = await rig.entries();
  expectGaps(all);
  const frames = await framesOf();
  expect(frames).toHaveLength(2);
  expect(frames.reduce((sum, count) => sum + count, 0)).toBe(240);
});

test('a worker that takes over while nobody publishes goes on with the gap', async () => {
  await start('takeover');
  const first = await hire();
  const dying = first.job(1);
  await rig.ring.publish(until(2_500), 1);
  rig.ring.leave();
  await rig.until((all) => gapsOf(all).length >= 3);
  first.abort.abort();
  await dying;
  const second = await hire();
  const job = second.job(2);
  const before = gapsOf(await rig.entries()).length;
  await rig.until((all) => gapsOf(all).length >= before + 3);
  await rig.ring.publish(until(1_500), 1);
  rig.ring.end();
  await job;
  const all = await rig.entries();
  expectGaps(all);
  expect(new Set(gapsOf(all).map((entry) => entry.term))).toEqual(new Set([1, 2]));
  expect(await framesOf()).toEqual([about(75), about(45)]);
});

test("with a slate: a picture and silence instead of gaps, in real time, in the broadcast's renditions", async () => {
  await start('slate', { use_slate: true });
  const asked: number[][] = [];
  const slatePicture = async (_stream: StreamId, width: number, height: number) => {
    asked.push([width, height]);
    return new Uint8Array((width * height * 3) / 2).fill(160);
  };
  const worker = await rig.worker(() => ({ slatePicture }));
  workers.push(worker);
  const job = worker.job(1);
  await rig.ring.publish(until(2_500), 1);
  rig.ring.leave();
  const shown = await rig.until((all) => all.filter((entry) => entry.epoch === 1).length >= 9);
  expect(Date.now() - (shown.at(-1)?.pdt ?? 0)).toBeLessThan(1_500);
  await rig.ring.publish(until(2_000), 1);
  rig.ring.end();
  await job;
  const epochs = await rig.published();
  expect(gapsOf(await rig.entries())).toEqual([]);
  expect(epochs.map(({ epoch }) => epoch.source)).toEqual(['publisher', 'slate', 'publisher']);
  for (const { epoch } of epochs) expect(epoch.renditions).toEqual(epochs[0]?.epoch.renditions);
  expect(asked).toEqual([[320, 180]]);
  const slate = epochs[1];
  expect(slate?.entries.at(-1)?.last).toBe(true);
  const video = await decode(slate?.files.get(V) ?? '');
  expect(video.largestStep).toBeLessThan(0.034);
  const audio = await decode(slate?.files.get('a0' as RenditionName) ?? '');
  expect(audio.largestStep).toBeLessThan(0.022);
  expect(Math.abs(audio.end - video.end)).toBeLessThan(0.025);
  expect(await framesOf()).toEqual([about(75), video.frames, about(60)]);
});

test('a worker that takes over during the slate shows it anew', async () => {
  await start('slate-takeover', { use_slate: true });
  const first = await hire();
  const dying = first.job(1);
  await rig.ring.publish(until(2_500), 1);
  rig.ring.leave();
  await rig.until((all) => all.filter((entry) => entry.epoch === 1).length >= 4);
  first.abort.abort();
  await dying;
  const second = await hire();
  const job = second.job(2);
  await rig.until((all) => all.filter((entry) => entry.epoch === 2).length >= 4);
  await rig.ring.publish(until(1_500), 1);
  rig.ring.end();
  await job;
  const epochs = await rig.published();
  expect(epochs.map(({ epoch }) => epoch.source)).toEqual(['publisher', 'slate', 'slate', 'publisher']);
  expect((await framesOf()).at(-1)).toEqual(about(45));
});
