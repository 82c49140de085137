// Pass-through: what is stored decodes to the very frames that the publisher sent, cut by the rules of low-latency playlists.
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { LatencyMode } from '../../platform/contract/latency.ts';
import { copyPlace, planCopy, planCopyResume } from '../../transcoder/live-copy-plan.ts';
import { RABBIT } from '../support/media.ts';
import { tempDir } from '../support/temp.ts';
import {
  type Copied,
  copyAll,
  copyTags,
  entriesOf,
  feedOf,
  frameHashes,
  openBroadcast,
  partsOf,
  startOf,
  writeRendition,
} from './live-copy-rig.ts';
import { type FlvFileTag, makeFlv } from './live-worker-ring.ts';

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

  test('goes on from any segment with the very parts that the first worker made', async () => {
    const tags = await makeFlv(RABBIT, join(folder, 'resume.flv'), { seconds: 9, fps: '30', audio: AAC, gop: 45 });
    const first = await copyTags(tags, 'low');
    const { info } = first.plan;
    const known = entriesOf(first).filter((entry) => entry.msn < 2 || (entry.msn === 2 && entry.part < 2));
    const place = copyPlace(info, known);
    expect(place).toEqual({ msn: 2, ts: 3_000 });
    const isKey = (tag: FlvFileTag) => tag.kind === 9 && (tag.payload[0] ?? 0) >> 4 === 1 && tag.payload[1] === 1;
    const from = tags.findLastIndex((tag) => isKey(tag) && tag.timestamp <= place.ts);
    const held = tags.filter((tag, i) => i >= from || (tag.kind !== 18 && tag.payload[1] === 0 && tag.timestamp === 0));
    const feed = feedOf(held, info.session);
    const plan = await planCopyResume(feed, info, known);
    if (plan === null) throw new Error('no plan');
    const rest = await copyAll(feed, plan);
    expect([...rest.inits]).toEqual([...first.inits]);
    for (const kind of ['v', 'a'] as const) {
      expect(partsOf(rest, kind)).toEqual(partsOf(first, kind).filter((part) => part.msn >= 2));
    }
    expect(await planCopyResume(feedOf(held), info, known)).toBeNull();
  });

  test('keeps its targets in a later epoch, and silence where the source has no sound any more', async () => {
    const tags = await makeFlv(RABBIT, join(folder, 'later.flv'), { seconds: 9, fps: '30', audio: AAC, gop: 90 });
    const { info } = (await copyTags(tags, 'low')).plan;
    const mute = tags.filter((tag) => tag.kind !== 8);
    const feed = feedOf(mute);
    const plan = await planCopy(
      feed,
      startOf(openBroadcast('low', [{ ...info, target_duration: 7, part_target: 0.3 }])),
    );
    if (typeof plan === 'string') throw new Error(plan);
    expect(plan.info).toMatchObject({ epoch: 1, target_duration: 7, part_target: 0.3 });
    const copied = await copyAll(feed, plan);
    expectLengths(copied, 0.3);
  });

  test('is refused when key frames are too far apart, before the second one has come', async () => {
    const tags = await makeFlv(RABBIT, join(folder, 'gop.flv'), { seconds: 13, fps: '15', audio: AAC, gop: 1_000 });
    await expect(copyTags(tags, 'low')).rejects.toThrow(/pass-through takes at most 10 s/);
  });

  test('is refused for sound alone', async () => {
    const tags = await makeFlv(RABBIT, join(folder, 'sound.flv'), { seconds: 12, fps: '15', audio: AAC });
    await expect(
      copyTags(
        tags.filter((tag) => tag.kind !== 9),
        'low',
      ),
    ).rejects.toThrow(/sound alone/);
  });
});
