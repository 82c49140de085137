// Pictures of a running broadcast: cut in the sandbox while it runs, sheets and storyboard of the recording at its end.
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { type NodeId, newId, type WriterTag } from '../../platform/contract/ids.ts';
import { imageKey, livePictureKey, livePicturePrefix, type ObjectKey } from '../../platform/contract/object-keys.ts';
import { silentLogger } from '../../platform/runtime/log.ts';
import { createStudio, type Studio } from '../../transcoder/live-picture-studio.ts';
import { createLivePictures } from '../../transcoder/live-pictures.ts';
import { openSandbox, type Sandbox } from '../../transcoder/sandbox.ts';
import { createScratch, type Scratch } from '../../transcoder/scratch.ts';
import { RABBIT } from '../support/media.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { storeOnly } from '../support/store-only.ts';
import { tempDir } from '../support/temp.ts';
import { waitUntil } from '../support/wait-until.ts';
import { LiveRig, type RigWorker } from './live-worker-rig.ts';
import { type FlvFileTag, makeFlv } from './live-worker-ring.ts';

const run = promisify(execFile);
const WRITER = 'live' as WriterTag;
let folder: string;
let redis: TestRedis;
let clip: FlvFileTag[];
let sandbox: Sandbox;
let scratch: Scratch;
let studio: Studio;
let rig: LiveRig;
let isBusy = false;
let counts: string[] = [];

const withPictures = (): Promise<RigWorker> =>
  rig.worker(() => {
    const pictures = { add: (labels?: { outcome?: string }) => void counts.push(labels?.outcome ?? '') };
    const deps = { media: storeOnly(rig.storage), storage: rig.storage, studio, isBusy: () => isBusy, pictures };
    return { pictures: (content, log, epochOf) => createLivePictures(deps, { content, log, epochOf }) };
  });
const size = async (key: ObjectKey): Promise<string> => {
  const path = join(rig.folder, 'picture.jpg');
  await writeFile(path, (await rig.storage.read(key)).body);
  const probe = ['-v', 'error', '-show_entries', 'stream=codec_name,width,height', '-of', 'csv=p=0', path];
  return (await run('ffprobe', probe)).stdout.trim();
};
const names = async (): Promise<string[]> => {
  const found: string[] = [];
  const prefix = livePicturePrefix(rig.content);
  for await (const { key } of rig.storage.list(prefix)) found.push(key.slice(prefix.length));
  return found.sort();
};
/** Cutting one takes its time, and a worker that ends waits for it no longer than it may. */
const untilTaken = (msn: number): Promise<boolean> =>
  waitUntil(`the picture of segment ${msn}`, async () =>
    (await names()).includes(`${String(msn).padStart(9, '0')}.jpg`),
  );

beforeAll(async () => {
  folder = await tempDir('live-pictures');
  redis = await startRedis();
  scratch = createScratch(folder, 0, newId<NodeId>(), silentLogger);
  await scratch.start();
  sandbox = await openSandbox('auto', join(scratch.path, 'trial'), silentLogger);
  const audio = ['-c:a', 'aac', '-ar', '48000', '-ac', '2'];
  clip = await makeFlv(RABBIT, join(folder, 'clip.flv'), { seconds: 24, fps: '15', gop: 30, audio });
});
afterAll(async () => {
  await scratch.close();
  await redis.stop();
});
beforeEach(async (context) => {
  studio = createStudio(scratch, () => sandbox);
  isBusy = false;
  counts = [];
  rig = new LiveRig(join(folder, context.task.id), redis.url);
  await rig.start('standard', { transcode: 'passthrough' });
});
afterEach(async () => {
  await studio.close();
  await rig.close();
});

test('one in ten seconds, a sheet of them and a storyboard on the recording clock', async () => {
  const worker = await withPictures();
  const job = worker.job(1);
  await rig.ring.publish(clip, 6);
  await untilTaken(10);
  rig.ring.end();
  await job;
  await worker.close();
  expect(await names()).toEqual([
    '000000000.jpg',
    '000000005.jpg',
    '000000010.jpg',
    'poster.jpg',
    'storyboard-0.jpg',
    'storyboard.vtt',
  ]);
  expect(await size(livePictureKey(rig.content, 5))).toBe('mjpeg,320,180');
  expect(await size(imageKey(rig.content, 'storyboard-0.jpg', WRITER))).toBe('mjpeg,800,450');
  const sheet = join(rig.folder, 'picture.jpg');
  // Pictures in the first three tiles, nothing in the fourth.
  const light = async (tile: number): Promise<number> => {
    const crop = ['-v', 'error', '-i', sheet, '-vf', `crop=160:90:${tile * 160}:0,scale=1:1,format=gray`];
    const { stdout } = await run('ffmpeg', [...crop, '-f', 'rawvideo', '-'], { encoding: 'buffer' });
    return stdout[0] ?? 0;
  };
  expect(Math.min(await light(0), await light(1), await light(2))).toBeGreaterThan(30);
  expect(await light(3)).toBeLessThan(20);
  const text = (await rig.storage.read(imageKey(rig.content, 'storyboard.vtt', WRITER))).body.toString('utf8');
  expect(text).toBe(
    [
      'WEBVTT\n',
      '00:00:00.000 --> 00:00:10.000\nstoryboard-0.jpg#xywh=0,0,160,90\n',
      '00:00:10.000 --> 00:00:20.000\nstoryboard-0.jpg#xywh=160,0,160,90\n',
      '00:00:20.000 --> 00:00:24.000\nstoryboard-0.jpg#xywh=320,0,160,90\n',
    ].join('\n'),
  );
});

test('a worker that takes over goes on with them, and counts from the beginning', async () => {
  const first = await withPictures();
  const job = first.job(1);
  const publishing = rig.ring.publish(clip, 4);
  await rig.until((entries) => (entries.at(-1)?.msn ?? 0) >= 7);
  await untilTaken(5);
  first.abort.abort();
  await job;
  await first.close();
  const second = await withPictures();
  const rest = second.job(2);
  await publishing;
  await untilTaken(10);
  rig.ring.end();
  await rest;
  await second.close();
  const pictures = (await names()).filter((name) => /^\d/.test(name));
  expect(pictures).toContain('000000005.jpg');
  expect(pictures).toContain('000000010.jpg');
  const text = (await rig.storage.read(imageKey(rig.content, 'storyboard.vtt', WRITER))).body.toString('utf8');
  expect(text.split('-->').length - 1).toBe(pictures.length);
  expect(text).toContain('00:00:20.000 --> ');
});

test('none while the live is behind', async () => {
  isBusy = true;
  const worker = await withPictures();
  const job = worker.job(1);
  await rig.ring.publish(clip, 8);
  rig.ring.end();
  await job;
  await worker.close();
  expect(await names()).toEqual([]);
  expect(new Set(counts)).toEqual(new Set(['skipped']));
});

test('bytes that are no video end in an error, not in a picture', async () => {
  await expect(studio.picture(Buffer.from('no video at all'))).rejects.toThrow('ffmpeg failed to make a picture');
});

test.each(['jpg', 'png'])('a %s becomes a raw picture of the size asked for', async (type) => {
  const path = join(folder, `slate.${type}`);
  await run('ffmpeg', ['-v', 'error', '-y', '-f', 'lavfi', '-i', 'color=red:s=200x50', '-frames:v', '1', path]);
  const raw = await studio.still(await readFile(path), 64, 36);
  expect(raw).toHaveLength((64 * 36 * 3) / 2);
  // Black above, the red one in the middle.
  expect(raw[0]).toBeLessThan(20);
  expect(raw[18 * 64 + 32]).toBeGreaterThan(50);
});
