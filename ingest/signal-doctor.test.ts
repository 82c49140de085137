import { beforeEach, describe, expect, test } from 'vitest';
import type { LatencyMode } from '../platform/contract/latency.ts';
import { classifyTag } from './flv-tag.ts';
import { SignalDoctor } from './signal-doctor.ts';

const SPS_320 = Buffer.from(
  '17000000000142c00bffe1001c6742c00bda05067e7ffc000c00104000000300400000030283c50aa801000468ce0fc8',
  'hex',
);

let now: number;
let doctor: SignalDoctor;
beforeEach(() => {
  now = 50_000;
  doctor = new SignalDoctor(now);
});

function sends(type: number, timestamp: number, body: Buffer): void {
  const tag = classifyTag({ type, timestamp, body });
  if (tag === null) throw new Error('not a tag');
  doctor.add(tag, now);
}
const picture = (timestamp: number, isKey: boolean, composition = 0) =>
  sends(9, timestamp, Buffer.from([isKey ? 0x17 : 0x27, 1, 0, 0, composition, 1]));
const sound = (timestamp: number) => sends(8, timestamp, Buffer.from([0xaf, 1, 2]));
const headers = () => {
  sends(9, 0, SPS_320);
  sends(8, 0, Buffer.from([0xaf, 0, 0x12, 0x10]));
};
function metadata(framerate: number): void {
  const value = Buffer.alloc(8);
  value.writeDoubleBE(framerate);
  const field = Buffer.concat([Buffer.from([0, 9]), Buffer.from('framerate'), Buffer.from([0]), value]);
  const name = Buffer.concat([Buffer.from([2, 0, 10]), Buffer.from('onMetaData')]);
  sends(18, 0, Buffer.concat([name, Buffer.from([8, 0, 0, 0, 1]), field, Buffer.from([0, 0, 9])]));
}
type Show = { seconds: number; fps?: number; gopFrames?: number; speed?: number; from?: number; hasSound?: boolean };
/** A stream as it comes: `speed` seconds of media in each second. */
function show({ seconds, fps = 30, gopFrames = 30, speed = 1, from = 0, hasSound = true }: Show): void {
  for (let i = 0; i < seconds * fps; i++) {
    const timestamp = Math.round(from + (i * 1_000) / fps);
    picture(timestamp, i % gopFrames === 0);
    if (hasSound) sound(timestamp);
    now += 1_000 / fps / speed;
  }
}
const report = (mode: LatencyMode = 'default') => doctor.report(now, mode);

describe('a signal as it should be', () => {
  test('is healthy, and measured', () => {
    headers();
    metadata(30);
    show({ seconds: 12 });
    expect(report()).toEqual({
      health: 'healthy',
      advice: [],
      frame_rate: 30,
      gop_s: 1,
      width: 320,
      height: 180,
      video_codec: 'h264',
      audio_codec: 'aac',
      speed: 1,
    });
  });

  test('of sound alone is healthy too', () => {
    for (let i = 0; i < 600; i++) {
      sound(Math.round(i * 23.2));
      now += 23.2;
    }
    expect(report()).toMatchObject({ health: 'healthy', advice: [], frame_rate: 0, video_codec: null, gop_s: null });
  });

  test('is not judged before ten seconds', () => {
    expect(report().health).toBe('unknown');
    headers();
    show({ seconds: 5 });
    expect(report()).toMatchObject({ health: 'unknown', speed: 1 });
  });

  test('may arrive in bursts', () => {
    headers();
    for (let second = 0; second < 12; second++) {
      for (let i = 0; i < 30; i++) picture(second * 1_000 + Math.round((i * 1_000) / 30), i === 0);
      sound(second * 1_000);
      now += 1_000;
    }
    const found = report();
    expect(found.health).toBe('healthy');
    expect(found.speed).toBeGreaterThan(0.97);
  });
});

describe('a signal that starves', () => {
  test('an encoder that is too slow', () => {
    headers();
    show({ seconds: 12, speed: 0.9 });
    const found = report();
    expect(found).toMatchObject({ health: 'starving', advice: [expect.stringContaining('90 % of real time')] });
    expect(found.advice[0]).toContain('Bitrate');
  });

  test('slowness is forgotten ten seconds after it is over', () => {
    headers();
    show({ seconds: 12, speed: 0.9 });
    show({ seconds: 11, from: 12_000 });
    expect(report().health).toBe('healthy');
  });

  test('silence, and its end', () => {
    headers();
    show({ seconds: 12 });
    now += 2_100;
    expect(report()).toMatchObject({ health: 'starving', advice: [expect.stringContaining('sends nothing')] });
  });

  test.each([
    ['HEVC (H.265)', 9, Buffer.concat([Buffer.from([0x91]), Buffer.from('hvc1'), Buffer.alloc(20)])],
    ['AV1', 9, Buffer.concat([Buffer.from([0x91]), Buffer.from('av01'), Buffer.alloc(20)])],
    ['MP3', 8, Buffer.from([0x2f, 1, 2, 3])],
    ['Opus', 8, Buffer.concat([Buffer.from([0x91]), Buffer.from('Opus'), Buffer.alloc(8)])],
  ])('%s is named, with what to choose instead', (name, type, body) => {
    sends(type, 0, body);
    const found = report();
    expect(found.health).toBe('starving');
    expect(found.advice[0]).toContain(name);
    expect(found.advice[0]).toContain('In OBS');
  });
});

describe('advice', () => {
  test('sound that does not come', () => {
    sends(9, 0, SPS_320);
    show({ seconds: 12, hasSound: false });
    expect(report()).toMatchObject({ health: 'healthy', advice: [expect.stringContaining('No sound arrives')] });
  });

  test.each([
    ['ultra', 'Keyframe Interval to 1 s'],
    ['default', 'Keyframe Interval to 2 s'],
  ] as const)('key frames too far apart for %s', (mode, words) => {
    headers();
    show({ seconds: 12, gopFrames: 90 });
    const found = report(mode);
    expect(found.gop_s).toBe(3);
    expect(found.advice).toEqual([expect.stringContaining(words)]);
    expect(report('standard').advice).toEqual([]);
  });

  test('too far for pass-through is said', () => {
    headers();
    show({ seconds: 36, gopFrames: 360 });
    expect(report().advice[0]).toContain('too far for pass-through');
  });

  test('B-frames cost delay, where delay matters', () => {
    headers();
    for (let i = 0; i < 60; i++) {
      picture(i * 33, i % 30 === 0, i % 3);
      sound(i * 33);
      now += 33;
    }
    expect(report('low').advice).toEqual([expect.stringContaining('B-frames')]);
    expect(report('standard').advice).toEqual([]);
  });

  test('a constant offset of the presentation is no B-frame', () => {
    headers();
    for (let i = 0; i < 60; i++) {
      picture(i * 33, i % 30 === 0, 66);
      sound(i * 33);
      now += 33;
    }
    expect(report('low').advice).toEqual([]);
  });

  test('frames that the encoder drops', () => {
    headers();
    metadata(60);
    show({ seconds: 12, fps: 40 });
    expect(report().advice).toEqual([expect.stringContaining('Only 40 of 60 frames per second arrive')]);
  });

  test('timestamps that jump, and until when it is told', () => {
    headers();
    show({ seconds: 5 });
    show({ seconds: 12, from: 60_000 });
    expect(report()).toMatchObject({ health: 'healthy', advice: [expect.stringContaining('irregular')] });
    show({ seconds: 60, from: 72_000 });
    expect(report().advice).toEqual([]);
  });

  test('timestamps that go back', () => {
    headers();
    show({ seconds: 5 });
    show({ seconds: 12, from: 1_000 });
    expect(report().advice).toEqual([expect.stringContaining('irregular')]);
  });

  test('a frame rate that varies', () => {
    headers();
    let at = 0;
    for (let i = 0; i < 400; i++) {
      const step = i % 4 === 0 ? 80 : 20;
      at += step;
      now += step;
      picture(at, i % 30 === 0);
      sound(at);
    }
    expect(report().advice).toEqual([expect.stringContaining('constant frame rate')]);
  });
});
