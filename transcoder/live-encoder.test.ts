// The live encoder's arguments: the grid, the source's clock, one pipe a rendition.
import { expect, test } from 'vitest';
import { type EncoderPlan, encoderArguments } from './live-encoder.ts';

const rung = (height: number) => ({ width: 2 * height, height, bitrateBps: 500_000, maxrateBps: 550_000 });
const plan: EncoderPlan = {
  fps: { num: 30_000, den: 1_001 },
  startFrame: 3_000,
  phaseMs: -12.3333,
  partFrames: 10,
  gopFrames: 30,
  rungs: [rung(360), rung(240)],
  preset: 'veryfast',
  audio: { isCopied: true },
};
const after = (args: string[], name: string): string[] =>
  args.flatMap((arg, i) => (arg === name ? [args[i + 1] ?? ''] : []));

test('begins on the grid, cuts by frame number and keeps the clock', () => {
  const args = encoderArguments(plan);
  expect(after(args, '-filter_complex')[0]).toContain(
    '[0:v:0]setpts=PTS-(-12.333)/(1000*TB),fps=fps=30000/1001:start_time=100.100000:round=near,split=2[s0][s1];',
  );
  expect(after(args, '-x264-params')).toEqual(Array(2).fill('keyint=30:min-keyint=30:scenecut=0:open-gop=0'));
  expect(after(args, '-force_key_frames')).toEqual(Array(2).fill('expr:eq(mod(n,30),0)'));
  expect(after(args, '-frag_duration')).toEqual(['316983', '316983', '1']);
  expect(args).toContain('-copyts');
});

test('one pipe a rendition, audio last', () => {
  expect(encoderArguments(plan).filter((arg) => /^pipe:[3-9]$/.test(arg))).toEqual(['pipe:3', 'pipe:4', 'pipe:5']);
  expect(encoderArguments({ ...plan, audio: null }).filter((arg) => arg === '0:a:0')).toEqual([]);
});

test('audio is copied or encoded', () => {
  expect(after(encoderArguments(plan), '-c:a')).toEqual(['copy']);
  const encoded = encoderArguments({ ...plan, audio: { isCopied: false } });
  expect([after(encoded, '-c:a'), after(encoded, '-ar'), after(encoded, '-af')]).toEqual([
    ['aac'],
    ['48000'],
    ['aresample=async=1'],
  ]);
});

test('sound alone: no picture is asked for, one pipe', () => {
  const args = encoderArguments({ ...plan, rungs: [] });
  expect(args).not.toContain('-filter_complex');
  expect(args.filter((arg) => /^pipe:[3-9]$/.test(arg))).toEqual(['pipe:3']);
});

test('decodes without holding frames back', () => {
  const args = encoderArguments(plan);
  expect(args.indexOf('-thread_type')).toBeLessThan(args.indexOf('-i'));
  expect(after(args, '-thread_type')).toEqual(['slice']);
});
