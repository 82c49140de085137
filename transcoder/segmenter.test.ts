// Cutting on the grid, on bytes that ffmpeg made and on made-up audio.
import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { concatBytes } from '../platform/hls/boxes.ts';
import { FragmentReader, writeFragment } from '../platform/hls/cmaf.ts';
import { type Segment, Segmenter } from './segmenter.ts';

const OFFSET_S = 10;
const encode = (...args: string[]): Uint8Array =>
  execFileSync('ffmpeg', ['-v', 'error', '-nostdin', '-f', 'lavfi', ...args, '-f', 'mp4', 'pipe:1'], {
    maxBuffer: 1 << 26,
  });
const common = ['-output_ts_offset', String(OFFSET_S), '-movflags'];
const video = (seconds: number): Uint8Array =>
  encode(
    ...['-i', `testsrc2=size=64x64:rate=25:duration=${seconds}`, '-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '2'],
    ...['-g', '10', '-keyint_min', '10', '-sc_threshold', '0', '-pix_fmt', 'yuv420p'],
    ...[...common, '+cmaf+frag_discont+frag_keyframe+skip_trailer'],
  );
const audio = (seconds: number): Uint8Array =>
  encode(
    ...['-i', `sine=r=48000:d=${seconds}`, '-c:a', 'aac', ...common, '+cmaf+frag_discont+skip_trailer'],
    ...['-frag_duration', '500000'],
  );

function cut(bytes: Uint8Array, grid: { num: number; den: number; startS?: number }, step = 1_000): Segment[] {
  const segmenter = new Segmenter({ startS: 0, ...grid }, OFFSET_S);
  const segments: Segment[] = [];
  for (let at = 0; at < bytes.length; at += step) segments.push(...segmenter.push(bytes.subarray(at, at + step)));
  return [...segments, ...segmenter.end()];
}

describe('Segmenter', () => {
  it('cuts video at key frames of the grid, from 0, without holes', () => {
    const segments = cut(video(3), { num: 6, den: 5 });
    expect(segments.map((segment) => [segment.msn, segment.tfdt, segment.duration])).toEqual([
      [0, 0, 15_360],
      [1, 15_360, 15_360],
      [2, 30_720, 7_680],
    ]);
    for (const { bytes, tfdt } of segments) {
      const reader = new FragmentReader();
      const [init, first] = [...reader.push(video(0.4)).slice(0, 1), ...reader.push(bytes)];
      expect(init?.kind).toBe('init');
      expect(first).toMatchObject({ kind: 'fragment', tfdt, isKey: true });
    }
  });

  it('cuts the same whatever the chunks', () => {
    const bytes = video(2);
    expect(cut(bytes, { num: 4, den: 5 }, 17)).toEqual(cut(bytes, { num: 4, den: 5 }, bytes.length));
  });

  it('drops the priming of audio and cuts at the nearest frame', () => {
    const segments = cut(audio(3), { num: 1, den: 1 });
    expect(segments[0]?.tfdt).toBe(0);
    expect(segments.reduce((sum, segment) => sum + segment.duration, 0)).toBe(3 * 48_000);
    segments.slice(1).forEach((segment, index) => {
      const boundary = (index + 1) * 48_000;
      expect(Math.abs(segment.tfdt - boundary)).toBeLessThanOrEqual(512);
    });
  });

  it('lets a very short tail join the segment before it', () => {
    const segments = cut(audio(2.1), { num: 1, den: 1 });
    expect(segments).toHaveLength(2);
    expect(segments.reduce((sum, segment) => sum + segment.duration, 0)).toBe(2.1 * 48_000);
  });

  it('passes boundaries that a gap swallows', () => {
    const reader = new FragmentReader();
    const [init] = reader.push(audio(0.1));
    if (init?.kind !== 'init') throw new Error('no init part');
    const frame = (atS: number) =>
      writeFragment({
        sequence: 1,
        trackId: 1,
        tfdt: (OFFSET_S + atS) * 48_000,
        samples: Array.from({ length: 40 }, () => ({ duration: 1_024, size: 1, flags: 0x02000000, cts: 0 })),
        data: new Uint8Array(40),
      });
    const segments = cut(concatBytes([init.bytes, frame(0), frame(5)]), { num: 1, den: 1 });
    expect(segments.map((segment) => segment.msn)).toEqual([0, 1]);
    expect(segments[1]?.tfdt).toBe(5 * 48_000);
  });

  it('yields nothing for a stream without frames', () => {
    expect(cut(new Uint8Array(0), { num: 1, den: 1 })).toEqual([]);
  });
});
