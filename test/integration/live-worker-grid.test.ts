// Every latency mode at every frame rate, with audio of several shapes and with audio alone: parts have the lengths of the table
// (docs/architecture.md, 4) and keep the rule that a part lasts at least 85 % of PART-TARGET and never more than it.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FRAME_RATES, gridFor, LATENCY_MODES, type LatencyMode } from '../../platform/contract/latency.ts';
import type { EpochInfo } from '../../platform/contract/records.ts';
import type { TimelineEntry } from '../../platform/contract/timeline.ts';
import { frameNumberFilter, RABBIT, readFrameNumbers } from '../support/media.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { tempDir } from '../support/temp.ts';
import { decode, LiveRig, type RigWorker } from './live-worker-rig.ts';
import { type FlvFileTag, makeFlv } from './live-worker-ring.ts';

/** Copied twice, encoded anew once, none, each for two of the rates. */
const SOUNDS = [
  ['-c:a', 'aac', '-ar', '44100', '-ac', '2'],
  ['-c:a', 'aac', '-ar', '48000', '-ac', '1'],
  ['-c:a', 'aac', '-ar', '22050', '-ac', '1'],
] as const;
const SPEED = 4;
const AT_A_TIME = 3;

let folder: string;
let redis: TestRedis;
const clips = new Map<string, FlvFileTag[]>();

type Published = Awaited<ReturnType<LiveRig['published']>>;
const publish = async (name: string, mode: LatencyMode, tags: FlvFileTag[]): Promise<Published> => {
  const rig = new LiveRig(join(folder, name), redis.url);
  await rig.start(mode);
  let worker: RigWorker | null = null;
  try {
    worker = await rig.worker();
    const job = worker.job(1);
    await rig.ring.publish(tags, SPEED);
    rig.ring.end();
    await job;
    return await rig.published();
  } finally {
    await worker?.close();
    await rig.close();
  }
};
/** Lengths (s) of the parts of each rendition that another part of its segment follows. */
const expectPartRule = (epoch: EpochInfo, entries: readonly TimelineEntry[]): void => {
  const target = epoch.part_target ?? 0.52;
  for (const { name, timescale } of epoch.renditions) {
    for (const entry of entries) {
      const seconds = (entry.renditions[name]?.duration ?? 0) / timescale;
      expect(seconds, `${name} ${entry.msn}.${entry.part}`).toBeLessThanOrEqual(target);
      if (!entry.last) expect(seconds, `${name} ${entry.msn}.${entry.part}`).toBeGreaterThanOrEqual(0.85 * target);
    }
  }
};
const expectTable = (mode: LatencyMode, epoch: EpochInfo, entries: readonly TimelineEntry[]): void => {
  const { partFrames, gopFrames, segmentFrames, partTargetS } = gridFor(mode, epoch.fps);
  expect(epoch).toMatchObject({
    part_frames: partFrames,
    gop_frames: gopFrames,
    segment_frames: segmentFrames,
    part_target: partTargetS,
    target_duration: 2,
  });
  const video = epoch.renditions.find(({ kind }) => kind === 'video');
  for (const entry of entries.slice(0, -1)) {
    expect(entry.last).toBe(entry.part === segmentFrames / partFrames - 1);
    const part = video === undefined ? undefined : entry.renditions[video.name];
    if (part === undefined) continue;
    expect(part.duration).toBe((partFrames * 90_000 * epoch.fps.den) / epoch.fps.num);
    expect(part.independent).toBe((entry.part * partFrames) % gopFrames === 0);
  }
};

beforeAll(async () => {
  folder = await tempDir('live-grid');
  redis = await startRedis();
  for (const [i, { num, den }] of FRAME_RATES.entries()) {
    const audio = [...(SOUNDS[i % SOUNDS.length] ?? [])];
    const options = { seconds: 4.5, fps: `${num}/${den}`, audio, filter: 'scale=160:90', gop: 47 };
    clips.set(`${num}/${den}`, await makeFlv(RABBIT, join(folder, `${num}-${den}.flv`), options));
  }
});
afterAll(() => redis.stop());

describe.each(LATENCY_MODES)('%s', (mode) => {
  test('at 24, 25, 29.97, 30, 50 and 60 frames a second', async () => {
    const all = [...clips];
    for (let i = 0; i < all.length; i += AT_A_TIME) {
      const some = all.slice(i, i + AT_A_TIME).map(async ([rate, tags]) => {
        const [epoch, ...others] = await publish(`${mode}-${rate.replace('/', '-')}`, mode, tags);
        if (epoch === undefined || others.length > 0) throw new Error(`${rate}: ${others.length + 1} epochs`);
        expect(`${epoch.epoch.fps.num}/${epoch.epoch.fps.den}`).toBe(rate);
        expect(epoch.epoch.renditions.map(({ kind }) => kind)).toEqual(['video', 'audio']);
        expectTable(mode, epoch.epoch, epoch.entries);
        expectPartRule(epoch.epoch, epoch.entries);
      });
      await Promise.all(some);
    }
  });

  test('sound alone', async () => {
    const rates = [44_100, 48_000, 22_050];
    const some = rates.map(async (rate, i) => {
      const whole = clips.get(['24/1', '25/1', '30000/1001'][i] ?? '') ?? [];
      const tags = whole.filter((tag) => tag.kind !== 9);
      const [epoch, ...others] = await publish(`${mode}-sound-${rate}`, mode, tags);
      if (epoch === undefined || others.length > 0) throw new Error(`${rate}: ${others.length + 1} epochs`);
      expect(epoch.epoch.renditions.map(({ name, timescale }) => [name, timescale])).toEqual([
        ['a0', rate === 22_050 ? 48_000 : rate],
      ]);
      expectTable(mode, epoch.epoch, epoch.entries);
      expectPartRule(epoch.epoch, epoch.entries);
      expect(epoch.entries.at(-1)?.last).toBe(true);
      const audio = await decode([...epoch.files.values()][0] ?? '');
      expect(audio.largestStep).toBeLessThan(0.0233);
      expect(audio.end - audio.start).toBeGreaterThan(4.3);
    });
    await Promise.all(some);
  });
});

test('frames between two places of the grid, in whole ms: each is shown once', async () => {
  const filter = `fps=60,scale=640:360,setpts=N/60/TB,${frameNumberFilter()}`;
  const options = { seconds: 3, fps: '60', audio: [...SOUNDS[0]], filter };
  const source = join(folder, 'numbered.flv');
  const tags = await makeFlv(RABBIT, source, options);
  const first = tags.find((tag) => tag.kind === 9 && tag.payload[1] === 1)?.timestamp ?? 0;
  // Half a frame is 8.3 ms.
  const beside = tags.map((tag) => ({ ...tag, timestamp: tag.timestamp - first + 8 }));
  const [epoch, ...others] = await publish('beside', 'low', beside);
  expect(others).toEqual([]);
  const numbers = await readFrameNumbers([...(epoch?.files.values() ?? [])][0] ?? '');
  expect(numbers).toEqual((await readFrameNumbers(source)).slice(0, numbers.length));
  expect(numbers.length).toBeGreaterThanOrEqual(178);
});

test('a picture that comes later does not join a broadcast of sound alone', async () => {
  const tags = clips.get('25/1') ?? [];
  const late = tags.filter((tag) => tag.kind !== 9 || tag.timestamp > 3_000 || tag.payload[1] === 0);
  const header = late.findIndex((tag) => tag.kind === 9);
  const shown = late.findIndex((tag) => tag.timestamp > 3_000);
  const [video] = late.splice(header, 1);
  if (video !== undefined) late.splice(shown - 1, 0, video);
  const [epoch, ...others] = await publish('late-picture', 'low', late);
  expect(others).toEqual([]);
  expect(epoch?.epoch.renditions.map(({ kind }) => kind)).toEqual(['audio']);
});
