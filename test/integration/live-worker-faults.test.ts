// The live worker when something around it breaks: the publisher, ffmpeg, Redis, its own process.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { RenditionName } from '../../platform/contract/ids.ts';
import { delay } from '../../platform/runtime/waits.ts';
import { encoderArguments } from '../../transcoder/live-encoder.ts';
import { RABBIT } from '../support/media.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { tempDir } from '../support/temp.ts';
import { decode, LiveRig, type RigWorker } from './live-worker-rig.ts';
import { type FlvFileTag, makeFlv } from './live-worker-ring.ts';

const run = promisify(execFile);
const V = 'v180' as RenditionName;
const A = 'a0' as RenditionName;

let folder: string;
let redis: TestRedis;
let clip: FlvFileTag[];
let rig: LiveRig;
let worker: RigWorker;

const until = (ms: number) => clip.filter((tag) => tag.timestamp < ms);

beforeAll(async () => {
  folder = await tempDir('live-faults');
  redis = await startRedis();
  const audio = ['-c:a', 'aac', '-ar', '48000', '-ac', '2'];
  clip = await makeFlv(RABBIT, join(folder, 'clip.flv'), { seconds: 8, fps: '30', audio });
});
afterAll(() => redis.stop());

describe('a broadcast', () => {
  afterEach(async () => {
    await worker.close();
    await rig.close();
  });
  const start = async (name: string): Promise<{ job: Promise<void> }> => {
    rig = new LiveRig(join(folder, name), redis.url);
    await rig.start('default');
    worker = await rig.worker();
    return { job: worker.job(1) };
  };

  test('goes on through FLUSHALL', async () => {
    const { job } = await start('flush');
    const publishing = rig.ring.publish(clip, 2);
    await rig.until((entries) => entries.length >= 5);
    await redis.flush();
    await publishing;
    rig.ring.end();
    await job;
    const [epoch, ...others] = await rig.published();
    expect(others).toEqual([]);
    expect(epoch?.entries[0]).toMatchObject({ msn: 0, part: 0 });
    expect((await decode(epoch?.files.get(V) ?? '')).frames).toBe(240);
  });

  test('comes back when Redis and the worker are lost together', async () => {
    const { job } = await start('both');
    const publishing = rig.ring.publish(clip, 2);
    await rig.until((entries) => entries.length >= 5);
    worker.abort.abort();
    await job;
    await redis.flush();
    const second = await rig.worker();
    const rest = second.job(2);
    await publishing;
    rig.ring.end();
    await rest;
    await second.close();
    const [epoch, ...others] = await rig.published();
    expect(others).toEqual([]);
    expect(epoch?.entries[0]).toMatchObject({ msn: 0, part: 0 });
    expect((await decode(epoch?.files.get(V) ?? '')).frames).toBe(240);
  });

  test('is left within its limit while the publisher is silent', async () => {
    const { job } = await start('silent');
    await rig.ring.publish(until(3_000), 4);
    await rig.until((entries) => entries.length >= 4);
    const began = performance.now();
    await worker.worker.drain();
    await job;
    expect(performance.now() - began).toBeLessThan(6_000);
    expect((await rig.record()).status).toBe('live');
  });

  test('gets a new epoch when the publisher connects anew', async () => {
    const { job } = await start('session');
    await rig.ring.publish(until(3_100), 4);
    await rig.ring.publish(until(4_000), 4);
    rig.ring.end();
    await job;
    const epochs = await rig.published();
    expect(epochs.map(({ epoch }) => [epoch.epoch, epoch.msn0, epoch.session])).toEqual([
      [0, 0, rig.ring.session[0]],
      [1, 2, rig.ring.session[1]],
    ]);
    expect(epochs[0]?.entries.at(-1)).toMatchObject({ msn: 1, last: true });
    const frames = await Promise.all(epochs.map(({ files }) => decode(files.get(V) ?? '')));
    // The first one ends inside a group of B-frames: the picture that is missing is shown by the one before it.
    expect(frames.map((video) => video.frames)).toEqual([94, 120]);
  });

  test('gets a new epoch where timestamps jump, and keeps its renditions', async () => {
    const { job } = await start('jump');
    await rig.ring.publish(until(2_500), 4);
    const session = rig.ring.session[0];
    if (session === undefined) throw new Error('no session');
    await rig.ring.publish(until(4_000), 4, { session, shift: 90_000 });
    rig.ring.end();
    await job;
    const epochs = await rig.published();
    expect(epochs.map(({ epoch }) => epoch.epoch)).toEqual([0, 1]);
    expect(epochs[1]?.epoch.ts0).toBeGreaterThan(90_000);
    expect(epochs[1]?.epoch.renditions).toEqual(epochs[0]?.epoch.renditions);
  });

  test('fills audio that stops with silence', async () => {
    const { job } = await start('silence');
    const tags = clip.filter((tag) => tag.kind !== 8 || tag.payload[1] === 0 || tag.timestamp < 3_000);
    await rig.ring.publish(tags, 4);
    rig.ring.end();
    await job;
    const [epoch] = await rig.published();
    const audio = await decode(epoch?.files.get(A) ?? '');
    const video = await decode(epoch?.files.get(V) ?? '');
    expect(audio.largestStep).toBeLessThan(0.022);
    expect(Math.abs(audio.end - video.end)).toBeLessThan(0.025);
  });

  test('survives the death of its ffmpeg', async () => {
    const { job } = await start('crash');
    const publishing = rig.ring.publish(clip, 2);
    await rig.until((entries) => entries.some((entry) => entry.msn === 1 && entry.part === 1));
    const { stdout } = await run('ps', ['--ppid', `${process.pid}`, '-o', 'pid=,comm=']);
    const pid = /(\d+) ffmpeg/.exec(stdout)?.[1];
    process.kill(Number(pid), 'SIGKILL');
    await publishing;
    rig.ring.end();
    await job;
    const [epoch, ...others] = await rig.published();
    expect(others).toEqual([]);
    expect((await decode(epoch?.files.get(V) ?? '')).frames).toBe(240);
    expect((await decode(epoch?.files.get(A) ?? '')).largestStep).toBeLessThan(0.022);
  });

  test('whose codec is not taken is kept until it ends, and nothing is published', async () => {
    const { job } = await start('hevc');
    const tags = clip.map((tag) =>
      tag.kind === 9 ? { ...tag, payload: Uint8Array.from([0x9c, ...tag.payload]) } : tag,
    );
    await rig.ring.publish(tags.slice(0, 60), 4);
    expect(worker.worker.active()).toBe(1);
    rig.ring.end();
    await job;
    expect(await rig.record()).toMatchObject({ status: 'ended', epochs: [] });
  });
});

test('kill -9 of the worker leaves no ffmpeg behind', async () => {
  const rung = { width: 320, height: 180, bitrateBps: 350_000, maxrateBps: 385_000 };
  const fps = { num: 30, den: 1 };
  const shape = { fps, startFrame: 0, phaseMs: 0, partFrames: 15, gopFrames: 30 };
  const plan = { ...shape, rungs: [rung], preset: 'ultrafast', audio: null };
  const script = `
    const { spawn } = require('node:child_process');
    const child = spawn('ffmpeg', ${JSON.stringify(encoderArguments(plan))}, { detached: true, stdio: ['pipe', 'ignore', 'ignore', 'pipe'] });
    child.stdio[3].resume();
    console.log(child.pid);
    setInterval(() => undefined, 1000);`;
  const parent = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(parent.stdout, 'data')) as [Buffer];
  const pid = Number(line.toString());
  expect(process.kill(pid, 0)).toBe(true);
  parent.kill('SIGKILL');
  await once(parent, 'close');
  const isAlive = () => {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  };
  while (isAlive()) await delay(50);
});
