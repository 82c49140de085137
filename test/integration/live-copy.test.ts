// Pass-through: what is stored decodes to the very frames that the publisher sent, cut by the rules of low-latency playlists.
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { LatencyMode } from '../../platform/contract/latency.ts';
import { RABBIT } from '../support/media.ts';
import { tempDir } from '../support/temp.ts';
import { type Copied, copyTags, frameHashes, partsOf, writeRendition } from './live-copy-rig.ts';
import { makeFlv } from './live-worker-ring.ts';

const TICKS = 90_000;
let folder: string;

beforeAll(async () => {
  folder = await tempDir('live-copy');
});

/** Every rule of playlists that lengths of parts and segments can break; seconds. */
function expectLengths(copied: Copied, partTarget: number): void {
  const { info } = copied.plan;
  for (const kind of ['v', 'a'] as const) {
    const parts = partsOf(copied, kind);
    const rate = kind === 'v' ? TICKS : (copied.plan.audio?.sampleRate ?? 1);
    const segments = new Map<number, number>();
    let end = parts[0]?.tfdt ?? 0;
    for (const [i, part] of parts.entries()) {
      const seconds = part.duration / rate;
      const place = `${kind} ${part.msn}.${part.part}`;
      expect(part.tfdt, place).toBe(end);
      end = part.tfdt + part.duration;
      expect(seconds, place).toBeLessThanOrEqual(partTarget + 1e-9);
      if (!part.last) expect(seconds, place).toBeGreaterThanOrEqual(0.85 * partTarget);
      segments.set(part.msn, (segments.get(part.msn) ?? 0) + seconds);
      const next = parts[i + 1];
      if (next) expect([next.msn, next.part], place).toEqual(part.last ? [part.msn + 1, 0] : [part.msn, part.part + 1]);
    }
    for (const [msn, seconds] of segments) {
      expect(Math.round(seconds), `${kind} segment ${msn}`).toBeLessThanOrEqual(info.target_duration);
    }
    expect(parts.at(-1)?.last).toBe(true);
  }
  const places = (kind: 'v' | 'a') => partsOf(copied, kind).map((part) => `${part.msn}.${part.part}.${part.last}`);
  expect(places('a')).toEqual(places('v'));
}

const AAC = ['-c:a', 'aac', '-ar', '48000', '-ac', '2'];
const CASES: [name: string, fps: string, gop: number, mode: LatencyMode, partTarget: number, audio: string[]][] = [
  ['30 fps, GOP of 2 s, low', '30', 60, 'low', 0.35, AAC],
  ['24 fps, GOP of 1 s, ultra', '24', 24, 'ultra', 0.215, AAC],
  [
    '25 fps, GOP of 0.5 s, default, 44.1 kHz mono',
    '25',
    12,
    'default',
    0.52,
    ['-c:a', 'aac', '-ar', '44100', '-ac', '1'],
  ],
  ['29.97 fps, GOP of 3 s, ultra', '30000/1001', 90, 'ultra', 0.215, AAC],
  ['50 fps, low', '50', 100, 'low', 0.35, AAC],
  ['60 fps, default', '60', 120, 'default', 0.52, AAC],
  ['12 fps: the part target follows the frames, ultra', '12', 24, 'ultra', 0.173, AAC],
];

describe('pass-through', () => {
  test.each(CASES)('%s', async (name, fps, gop, mode, partTarget, audio) => {
    const base = join(folder, name.replace(/\W+/g, '-'));
    const filter = 'scale=320:180';
    const tags = await makeFlv(RABBIT, `${base}.flv`, { seconds: 7, fps, audio, gop, filter });
    const copied = await copyTags(tags, mode);
    expect(copied.plan.info.part_target).toBe(partTarget);
    expectLengths(copied, partTarget);
    await writeRendition(copied, 'v', `${base}-v.mp4`);
    await writeRendition(copied, 'a', `${base}-a.mp4`);
    const [sent, shown] = await Promise.all([frameHashes(`${base}.flv`, 'v'), frameHashes(`${base}-v.mp4`, 'v')]);
    expect(shown.map((frame) => frame.hash)).toEqual(sent.map((frame) => frame.hash));
    for (const [i, frame] of shown.entries()) expect(Math.abs(frame.pts - (sent[i]?.pts ?? 0))).toBeLessThan(0.0011);
    // Decoding begins before the first picture is shown, and the sound with the picture: silence stands before it.
    const [heard, all] = await Promise.all([
      frameHashes(`${base}.flv`, 'a', true),
      frameHashes(`${base}-a.mp4`, 'a', true),
    ]);
    const kept = all.slice(all.findIndex((packet) => packet.hash === heard[0]?.hash));
    expect(all.length - kept.length).toBeLessThan(10);
    expect(kept.length).toBeGreaterThan(heard.length - 14);
    expect(kept.map((packet) => packet.hash)).toEqual(heard.slice(0, kept.length).map((packet) => packet.hash));
    for (const [i, packet] of kept.entries()) {
      expect(Math.abs(packet.pts - (heard[i]?.pts ?? 0)), `audio ${i}`).toBeLessThan(0.012);
    }
  });
});
