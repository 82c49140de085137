// The CMAF reader and writer, on bytes that ffmpeg made.
import { execFileSync } from 'node:child_process';
import { beforeAll, describe, expect, it } from 'vitest';
import { BoxMalformed, concatBytes, peekBox, readBoxes, words, writeBox } from './boxes.ts';
import {
  type Fragment,
  FragmentReader,
  type Init,
  isSyncSample,
  readFragment,
  readInit,
  withDecodeTime,
  writeFragment,
} from './cmaf.ts';

const encode = (...args: string[]): Uint8Array =>
  execFileSync('ffmpeg', ['-v', 'error', '-nostdin', '-f', 'lavfi', ...args, '-f', 'mp4', 'pipe:1'], {
    maxBuffer: 1 << 26,
  });

const CMAF = ['-movflags', '+cmaf+frag_discont+skip_trailer'];
let video: Uint8Array;
let audio: Uint8Array;

beforeAll(() => {
  const x264 = ['-c:v', 'libx264', '-profile:v', 'high', '-preset', 'veryfast', '-bf', '2', '-g', '10'];
  const gop = ['-keyint_min', '10', '-sc_threshold', '0', '-pix_fmt', 'yuv420p', '-output_ts_offset', '10'];
  const source = ['-i', 'testsrc2=size=160x90:rate=25:duration=2'];
  video = encode(...source, ...x264, ...gop, '-movflags', '+cmaf+frag_discont+frag_keyframe+skip_trailer');
  const tone = ['-i', 'sine=frequency=440:sample_rate=48000:duration=1', '-ac', '2', '-c:a', 'aac'];
  audio = encode(...tone, '-output_ts_offset', '10', ...CMAF, '-frag_duration', '1');
});

/** Everything a reader yields for `bytes` cut into pieces of `step`. */
function split(bytes: Uint8Array, step: number): { init: Init; fragments: Fragment[]; reader: FragmentReader } {
  const reader = new FragmentReader();
  const pieces = [];
  for (let at = 0; at < bytes.length; at += step) pieces.push(...reader.push(bytes.subarray(at, at + step)));
  const [init, ...rest] = pieces;
  if (init?.kind !== 'init') throw new Error('the first piece is not the init part');
  return { init, fragments: rest.filter((piece) => piece.kind === 'fragment'), reader };
}

describe('FragmentReader', () => {
  it('yields the same pieces on any chunk borders', () => {
    const whole = split(video, video.length);
    expect(whole.fragments).toHaveLength(5);
    for (const step of [1, 7, 1_000, 65_536]) {
      const cut = split(video, step);
      expect(cut.init.bytes).toEqual(whole.init.bytes);
      expect(cut.fragments.map((fragment) => fragment.bytes.length)).toEqual(
        whole.fragments.map((fragment) => fragment.bytes.length),
      );
      expect(cut.reader.heldBytes).toBe(0);
    }
  });

  it('reads times, frames and key frames of video', () => {
    const { init, fragments } = split(video, 4_096);
    const { timescale } = init.info;
    expect(fragments[0]?.tfdt).toBe(10 * timescale);
    expect(fragments.map((fragment) => fragment.samples.length)).toEqual([10, 10, 10, 10, 10]);
    expect(fragments.every((fragment) => fragment.isKey && fragment.trackId === 1)).toBe(true);
    expect(fragments.reduce((sum, fragment) => sum + fragment.duration, 0)).toBe(2 * timescale);
    const [first] = fragments;
    expect(first?.samples.filter(isSyncSample)).toHaveLength(1);
    expect(first?.samples.some((sample) => sample.cts < 0)).toBe(true);
    fragments.slice(1).forEach((fragment, index) => {
      const before = fragments[index];
      expect(fragment.tfdt).toBe((before?.tfdt ?? 0) + (before?.duration ?? 0));
    });
  });

  it('tells bytes of an unfinished fragment', () => {
    expect(split(video, 1_000).reader.heldBytes).toBe(0);
    expect(split(video.subarray(0, video.length - 1), 1_000).reader.heldBytes).toBeGreaterThan(0);
  });

  it.each([
    ['a fragment before the moov', () => concatBytes([writeBox('moof', words(0)), writeBox('mdat', words(0))])],
    ['two moof in a row', () => concatBytes([writeBox('moof', words(0)), writeBox('moof', words(0))])],
    ['a box smaller than its header', () => words(4, 0x66726565)],
    ['a box larger than the limit', () => concatBytes([words(0x7fffffff), words(0x6d646174)])],
    ['a moov without tracks', () => writeBox('moov', writeBox('mvhd', words(0)))],
  ])('refuses %s', (_name, bytes) => {
    expect(() => new FragmentReader().push(bytes())).toThrow(BoxMalformed);
  });
});

describe('readInit', () => {
  it('reads codec, picture and timescale of H.264', () => {
    const { init } = split(video, 999);
    expect(init.info).toMatchObject({ kind: 'video', width: 160, height: 90, sampleRate: null, channels: null });
    expect(init.info.codecs).toMatch(/^avc1\.6400[0-9a-f]{2}$/);
    expect(init.info.timescale % 25).toBe(0);
  });

  it('reads codec, rate and channels of AAC', () => {
    const { init, fragments } = split(audio, 999);
    expect(init.info).toMatchObject({ kind: 'audio', codecs: 'mp4a.40.2', sampleRate: 48_000, channels: 2 });
    expect(init.info.timescale).toBe(48_000);
    expect(fragments[0]?.tfdt).toBe(480_000 - 1_024);
    const whole = fragments.slice(0, -1);
    expect(whole.every((fragment) => fragment.samples.every((sample) => sample.duration === 1_024))).toBe(true);
  });

  it('refuses a codec that the platform does not make', () => {
    const broken = Uint8Array.from(split(video, 999).init.bytes);
    const at = Buffer.from(broken).indexOf('avc1', Buffer.from(broken).indexOf('stsd'));
    broken.set(Buffer.from('hvc1'), at);
    expect(() => readInit(broken)).toThrow('hvc1');
  });
});

describe('writeFragment', () => {
  it('merges single frames into one fragment that reads back the same', () => {
    const { init, fragments } = split(audio, 4_096);
    const run = fragments.slice(3, 18);
    const bytes = writeFragment({
      sequence: 7,
      trackId: 1,
      tfdt: run[0]?.tfdt ?? 0,
      samples: run.flatMap((fragment) => fragment.samples),
      data: concatBytes(run.map((fragment) => fragment.data)),
    });
    const merged = readFragment(bytes, init.info.defaults);
    expect(merged).toMatchObject({ sequence: 7, tfdt: run[0]?.tfdt, duration: 15 * 1_024, isKey: true });
    expect(merged.samples).toEqual(run.flatMap((fragment) => fragment.samples));
    expect(merged.data).toEqual(concatBytes(run.map((fragment) => fragment.data)));
  });

  it('keeps unequal durations, flags and negative composition offsets, and times above 32 bits', () => {
    const samples = [
      { duration: 10, size: 1, flags: 0x02000000, cts: 0 },
      { duration: 11, size: 2, flags: 0x01010000, cts: -20 },
    ];
    const data = Uint8Array.of(1, 2, 3);
    const tfdt = 5 * 2 ** 32 + 3;
    const read = readFragment(writeFragment({ sequence: 1, trackId: 4, tfdt, samples, data }), {
      duration: 0,
      size: 0,
      flags: 0,
    });
    expect(read).toMatchObject({ trackId: 4, tfdt, samples, duration: 21 });
    expect(read.data).toEqual(data);
  });

  it('refuses sizes that do not add up', () => {
    const samples = [{ duration: 1, size: 2, flags: 0, cts: 0 }];
    expect(() => writeFragment({ sequence: 1, trackId: 1, tfdt: 0, samples, data: Uint8Array.of(1) })).toThrow(
      BoxMalformed,
    );
  });

  it('makes files that ffprobe plays', () => {
    const { init, fragments } = split(audio, 4_096);
    const bytes = writeFragment({
      sequence: 1,
      trackId: 1,
      tfdt: 0,
      samples: fragments.flatMap((fragment) => fragment.samples),
      data: concatBytes(fragments.map((fragment) => fragment.data)),
    });
    const count = execFileSync(
      'ffprobe',
      ['-v', 'error', '-count_frames', '-show_entries', 'stream=nb_read_frames', '-of', 'csv=p=0', '-i', 'pipe:0'],
      { input: concatBytes([init.bytes, bytes]) },
    );
    expect(Number(count.toString().trim())).toBe(fragments.length);
  });
});

describe('withDecodeTime', () => {
  it('changes the time and nothing else', () => {
    const { init, fragments } = split(video, 4_096);
    const fragment = fragments[2];
    if (fragment === undefined) throw new Error('too few fragments');
    const moved = readFragment(withDecodeTime(fragment.bytes, 77), init.info.defaults);
    expect(moved.tfdt).toBe(77);
    expect(moved.samples).toEqual(fragment.samples);
    expect(readFragment(fragment.bytes, init.info.defaults).tfdt).toBe(fragment.tfdt);
  });
});

describe('boxes', () => {
  it('reads 64-bit sizes and waits for whole headers', () => {
    const wide = concatBytes([words(1, 0x66726565, 0, 20), words(9)]);
    expect(peekBox(wide, 0)).toEqual({ type: 'free', start: 0, size: 20, headerBytes: 16 });
    expect(peekBox(wide.subarray(0, 12), 0)).toBeNull();
    expect(readBoxes(wide)).toHaveLength(1);
  });

  it('refuses a box that runs over the end', () => {
    expect(() => readBoxes(words(12, 0x66726565))).toThrow(BoxMalformed);
  });
});
