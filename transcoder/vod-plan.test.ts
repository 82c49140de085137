// Renditions, rates and grids of uploads, and the arguments they become.
import { describe, expect, it } from 'vitest';
import {
  audioArgs,
  inputArgs,
  pictureArgs,
  pictureSize,
  probeArgs,
  transcodeInputArgs,
  videoArgs,
} from './ffmpeg-args.ts';
import type { SourceInfo } from './probe.ts';
import { planRenditions, vodFrameRate } from './vod-plan.ts';

const video = { index: 0, codec: 'h264', fps: 25, isInterlaced: false, startS: 0, durationS: 60 };
const audio = { index: 1, codec: 'aac', sampleRate: 44_100, channels: 6, startS: 0, durationS: 60 };
const source = (width: number, height: number, fps = 25): SourceInfo => ({
  durationS: 60,
  video: { ...video, width, height, fps },
  audio,
});
const namesOf = (info: SourceInfo) => planRenditions(info).map((plan) => plan.name);

describe('vodFrameRate', () => {
  it.each([
    [23.976, 24_000, 1001],
    [24, 24, 1],
    [25, 25, 1],
    [29.97, 30_000, 1001],
    [30, 30, 1],
    [50, 50, 1],
    [59.94, 60_000, 1001],
    [60, 60, 1],
    [120, 60, 1],
    [240, 60, 1],
    [15, 15, 1],
    [12.5, 25, 2],
    [1, 10, 1],
    [29.5, 30_000, 1001],
  ])('%d frames a second become %d/%d', (fps, num, den) => {
    expect(vodFrameRate(fps)).toEqual({ num, den });
  });
  it('takes 30 for an unknown rate', () => {
    expect(vodFrameRate(null)).toEqual({ num: 30, den: 1 });
  });
});

describe('planRenditions', () => {
  it.each([
    ['1080p', source(1920, 1080), ['a0', 'v240', 'v360', 'v480', 'v720', 'v1080']],
    ['4K', source(3840, 2160), ['a0', 'v240', 'v360', 'v480', 'v720', 'v1080']],
    ['a portrait phone clip', source(1080, 1920), ['a0', 'v426', 'v640', 'v854', 'v1280', 'v1920']],
    ['an odd size', source(321, 241), ['a0', 'v240']],
    ['a tiny picture', source(100, 60), ['a0', 'v60']],
    ['no sound', { ...source(640, 360), audio: null }, ['v240', 'v360']],
    ['sound alone', { ...source(0, 0), video: null }, ['a0']],
  ])('of %s: sound first, then the lowest rung upwards', (_name, info, names) => {
    expect(namesOf(info)).toEqual(names);
  });

  it.each([24, 25, 29.97, 30, 50, 59.94, 12.5])('cuts whole frames at %d frames a second', (fps) => {
    const plan = planRenditions(source(640, 360, fps)).find((one) => one.kind === 'video');
    if (plan?.kind !== 'video') throw new Error('no video');
    const frames = (plan.grid.num / plan.grid.den) * (plan.rate.num / plan.rate.den);
    expect(frames).toBeCloseTo(Math.round(frames), 9);
    expect(Math.round(frames)).toBe(3 * plan.gopFrames);
    expect(Math.abs(plan.grid.num / plan.grid.den - 6)).toBeLessThan(0.02);
  });

  it('gives sound and picture the same grid', () => {
    const grids = planRenditions(source(1280, 720, 29.97)).map((plan) => plan.grid);
    for (const grid of grids) expect(grid).toEqual(grids[0]);
  });
});

describe('arguments', () => {
  const container = { name: 'mp4', demuxer: 'mov' };
  const plans = planRenditions({
    ...source(1280, 720, 29.97),
    video: { ...video, width: 1280, height: 720, isInterlaced: true },
  });
  const rung = plans.find((plan) => plan.kind === 'video');
  const sound = plans.find((plan) => plan.kind === 'audio');
  if (rung?.kind !== 'video' || sound?.kind !== 'audio') throw new Error('plans are missing');
  const valueAfter = (args: string[], option: string) => args[args.indexOf(option) + 1];

  it.each([
    ['input', inputArgs(container)],
    ['probe', probeArgs(container)],
    ['transcode', transcodeInputArgs(container, 2, true)],
  ])('of every %s whitelist protocols and force the demuxer', (_name, args) => {
    expect(valueAfter(args, '-protocol_whitelist')).toBe('file,pipe');
    expect(valueAfter(args, '-format_whitelist')).toBe('mov');
    expect(valueAfter(args, '-f')).toBe('mov');
  });

  it('of a rung fix profile, pixels, ceiling and key frames', () => {
    const args = videoArgs(rung, 'veryfast', 2);
    expect(valueAfter(args, '-profile:v')).toBe('high');
    expect(valueAfter(args, '-preset')).toBe('veryfast');
    expect(valueAfter(args, '-maxrate')).toBe(String(rung.rung.maxrateBps));
    expect(valueAfter(args, '-g')).toBe(String(rung.gopFrames));
    expect(valueAfter(args, '-keyint_min')).toBe(String(rung.gopFrames));
    expect(valueAfter(args, '-sc_threshold')).toBe('0');
    expect(valueAfter(args, '-vf')).toBe(
      'bwdif=mode=send_frame:deint=interlaced,fps=25/1,scale=426:240:flags=bicubic,setsar=1,format=yuv420p',
    );
    expect(args).toContain('-sn');
    expect(args).toContain('-dn');
  });

  it('of the sound fix codec, rate and channels', () => {
    const args = audioArgs(sound);
    expect(valueAfter(args, '-map')).toBe('0:1');
    expect(valueAfter(args, '-ar')).toBe('48000');
    expect(valueAfter(args, '-ac')).toBe('2');
    expect(valueAfter(args, '-b:a')).toBe('128000');
  });

  it('of a picture name one stream and one frame', () => {
    expect(valueAfter(pictureArgs(3, 320, 180), '-map')).toBe('0:3');
    expect(valueAfter(pictureArgs(3, 320, 180), '-frames:v')).toBe('1');
  });

  it.each([
    [1920, 1080, 180, 320, 180],
    [1080, 1920, 180, 180, 320],
    [160, 91, 720, 160, 92],
  ])('a picture of %dx%d with short side %d is %dx%d', (width, height, short, w, h) => {
    expect(pictureSize(width, height, short)).toEqual({ width: w, height: h });
  });
});
