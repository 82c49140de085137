// An encoder that gets too little of the machine: the top rung goes, in a new epoch that begins where the last one ended.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { delay } from '../../platform/runtime/waits.ts';
import { buildScript } from '../support/build-script.ts';
import { RABBIT } from '../support/media.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { tempDir } from '../support/temp.ts';
import { decode, LiveRig, type WorkerProcess } from './live-worker-rig.ts';
import { type FlvFileTag, makeFlv } from './live-worker-ring.ts';

const run = promisify(execFile);

let folder: string;
let redis: TestRedis;
let clip: FlvFileTag[];
let rig: LiveRig;
let worker: WorkerProcess | null = null;

const encoderOf = async (pid: number): Promise<number | null> => {
  const { stdout } = await run('ps', ['--ppid', `${pid}`, '-o', 'pid=,comm=']);
  const found = /(\d+) ffmpeg/.exec(stdout)?.[1];
  return found === undefined ? null : Number(found);
};
/** Lets a process run for a twentieth of the time until `isOver`. */
const starve = async (pid: number, isOver: () => Promise<boolean>): Promise<void> => {
  try {
    while (!(await isOver())) {
      process.kill(pid, 'SIGSTOP');
      await delay(950);
      process.kill(pid, 'SIGCONT');
      await delay(50);
    }
  } catch {
    // It ended in between: a lighter one took its place.
  }
};

beforeAll(async () => {
  folder = await tempDir('live-load');
  redis = await startRedis();
  const options = { seconds: 16, fps: '24', audio: ['-c:a', 'aac', '-ar', '48000'], filter: 'scale=854:480' };
  clip = await makeFlv(RABBIT, join(folder, 'clip.flv'), options);
});
afterAll(async () => {
  await worker?.stop();
  await rig.close();
  await redis.stop();
});

test('behind for 3 s: fewer renditions, no frame lost or shown twice, and the delay goes down again', async () => {
  rig = new LiveRig(join(folder, 'load'), redis.url);
  await rig.start('low');
  worker = await rig.process(await buildScript('test/integration/live-worker-process.ts'), 1);
  const publishing = rig.ring.publish(clip, 1);
  await rig.until((entries) => entries.length >= 3);
  const pid = await encoderOf(worker.pid);
  if (pid === null) throw new Error('no encoder');
  await starve(pid, async () => (await rig.record()).epochs.length > 1);
  await publishing;
  rig.ring.end();
  await worker.ended;
  const epochs = await rig.published();
  expect(epochs.map(({ epoch }) => epoch.renditions.map(({ name }) => name))).toEqual([
    ['v480', 'v240', 'a0'],
    ['v240', 'a0'],
  ]);
  const frames = await Promise.all(
    epochs.map(async ({ files }) => (await decode(files.get('v240' as never) ?? '')).frames),
  );
  expect(frames.reduce((sum, count) => sum + count, 0)).toBe(16 * 24);
  const [first, second] = epochs;
  const last = first?.entries.at(-1)?.renditions['v240' as never];
  const next = second?.entries[0]?.renditions['v240' as never];
  expect(next?.tfdt).toBe((last?.tfdt ?? 0) + (last?.duration ?? 0));
});
