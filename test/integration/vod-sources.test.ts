// Uploads of every shape through a real transcoder: what becomes ready, with which renditions, how long, and what is refused.
import { mkdir, readdir, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { imageKey, mediaPrefix, uploadPrefix } from '../../platform/contract/object-keys.ts';
import type { AssetRecord } from '../../platform/contract/records.ts';
import { BUNNY, RABBIT } from '../support/media.ts';
import { makeClip, probeJoined, startVodRig, type VodRig } from './vod-rig.ts';

let rig: VodRig;
let clips: string;

beforeAll(async () => {
  rig = await startVodRig();
  clips = join(rig.dir, 'clips');
  await mkdir(clips);
  await rig.startWorker();
}, 60_000);
afterAll(() => rig.stop(), 60_000);

const names = (asset: AssetRecord) => asset.renditions.map((rendition) => rendition.name).sort();
const x264 = ['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p'];

async function bytesBelow(prefix: string): Promise<number> {
  let bytes = 0;
  for await (const entry of rig.storage.list(prefix)) bytes += entry.bytes;
  return bytes;
}

/** Every rendition of a ready asset is what its record says, begins at `startS`, and lasts as long as the source. */
async function checkRenditions(asset: AssetRecord, durations: { video?: number; audio?: number }): Promise<void> {
  const keys: number[][] = [];
  for (const rendition of asset.renditions) {
    const probe = await probeJoined(await rig.join(asset, rendition));
    const index = await rig.index(asset, rendition);
    const wanted = rendition.kind === 'video' ? durations.video : durations.audio;
    expect(probe.endS, `${rendition.name} ends`).toBeGreaterThan((wanted ?? 0) - 0.05);
    expect(probe.endS, `${rendition.name} ends`).toBeLessThan((wanted ?? 0) + 0.05);
    expect(index.segments.map((segment) => segment.msn)).toEqual(index.segments.map((_segment, msn) => msn));
    expect(index.segments).toHaveLength(rendition.segments);
    index.segments.slice(1).forEach((segment, at) => {
      const before = index.segments[at];
      expect(segment.tfdt).toBe((before?.tfdt ?? 0) + (before?.duration ?? 0));
    });
    if (rendition.kind === 'video') {
      expect(probe.streams[0]).toMatchObject({ codec_name: 'h264', width: rendition.width, height: rendition.height });
      expect(probe.streams[0]?.pix_fmt).toBe('yuv420p');
      expect(rendition.codecs).toMatch(/^avc1\.[0-9a-f]{6}$/);
      keys.push(probe.keys.map((time) => Math.round(time * 1_000)));
    } else {
      expect(probe.streams[0]).toMatchObject({ codec_name: 'aac', profile: 'LC' });
      expect(rendition).toMatchObject({ codecs: 'mp4a.40.2', channels: 2, timescale: 48_000 });
    }
  }
  for (const other of keys.slice(1)) expect(other).toEqual(keys[0]);
}

describe('a source with picture and sound', () => {
  it('becomes ready with every rung, pictures, and nothing left over', async () => {
    const id = await rig.upload(BUNNY);
    const asset = await rig.settled(id);
    expect(asset).toMatchObject({ status: 'ready', errors: null, term: 1 });
    expect(asset.planned).toEqual(['a0', 'v240', 'v360', 'v480', 'v720']);
    expect(names(asset)).toEqual(['a0', 'v240', 'v360', 'v480', 'v720']);
    expect(asset.input).toMatchObject({ container: 'mp4', video: { width: 1280, height: 720, frame_rate: 25 } });
    await checkRenditions(asset, { video: 5.28, audio: 5.312 });
    const writer = asset.images_writer;
    if (writer === null) throw new Error('no pictures');
    const poster = (await rig.storage.read(imageKey(asset.content_id, 'poster.jpg', writer))).body;
    expect(poster.subarray(0, 2)).toEqual(Buffer.from([0xff, 0xd8]));
    expect((await rig.storage.head(imageKey(asset.content_id, 'thumbnail.jpg', writer))).contentType).toBe(
      'image/jpeg',
    );
    const { source } = asset;
    if (source.type !== 'upload') throw new Error('not an upload');
    await rig.waitFor('chunks removed', 5_000, async () => (await bytesBelow(uploadPrefix(source.upload_id))) === 0);
    expect(asset.size_bytes).toBe(await bytesBelow(mediaPrefix(asset.content_id)));
    await rig.waitFor('scratch removed', 5_000, async () => {
      const [own = ''] = await readdir(join(rig.dir, 'scratch'));
      return (await readdir(join(rig.dir, 'scratch', own))).every((name) => name === 'trial');
    });
    expect(await rig.client.client.hGetAll(`hw:progress:${id}`)).toMatchObject({ state: 'ready', percent: '100' });
  }, 120_000);
});

const lavfi = (picture: string): string[] => ['-f', 'lavfi', '-i', picture];
const sine = (seconds: number, extra = ''): string[] => ['-f', 'lavfi', '-i', `sine=d=${seconds}:r=44100${extra}`];

type Shape = {
  name: string;
  file: string;
  args: string[];
  renditions: string[];
  /** Picture of the first video rendition. */
  size?: [number, number];
  fps?: number;
  video?: number;
  audio?: number;
  /** Segments of the first rendition. */
  segments?: number;
};

const SHAPES: Shape[] = [
  {
    name: 'a turned phone clip',
    file: 'turned.mp4',
    args: ['-i', RABBIT, '-t', '2', '-c', 'copy', '-metadata:s:v', 'rotate=90'],
    renditions: ['a0', 'v320'],
    size: [240, 320],
    fps: 30,
    video: 2,
    audio: 2,
  },
  {
    name: 'an odd-sized picture without sound',
    file: 'odd.mkv',
    args: [...lavfi('testsrc2=s=321x241:r=25:d=3'), ...x264, '-pix_fmt', 'yuv444p'],
    renditions: ['v240'],
    size: [320, 240],
    fps: 25,
    video: 3,
  },
  {
    name: 'a picture below the lowest rung',
    file: 'tiny.mp4',
    args: [...lavfi('testsrc2=s=160x90:r=15:d=2'), ...x264],
    renditions: ['v90'],
    size: [160, 90],
    fps: 15,
    video: 2,
  },
  {
    name: 'pixels that are not square',
    file: 'anamorphic.mp4',
    args: [...lavfi('testsrc2=s=360x288:r=25:d=2'), '-vf', 'setsar=64/45', ...x264],
    renditions: ['v240'],
    size: [426, 240],
    video: 2,
  },
  {
    name: 'a variable frame rate',
    file: 'vfr.mp4',
    args: [
      ...lavfi('testsrc2=s=320x240:r=30:d=7'),
      ...['-vf', "select='if(lt(t\\,3)\\,not(mod(n\\,3))\\,1)'", '-vsync', 'vfr'],
      ...x264,
    ],
    renditions: ['v240'],
    fps: 30,
    video: 7,
    segments: 2,
  },
  {
    name: 'NTSC film rate over several segments',
    file: 'film.mp4',
    args: [...lavfi('testsrc2=s=320x240:r=24000/1001:d=8'), ...sine(8), ...x264, '-c:a', 'aac', '-shortest'],
    renditions: ['a0', 'v240'],
    fps: 23.976,
    video: 8,
    audio: 8,
    segments: 2,
  },
  {
    name: '60 frames a second',
    file: 'fast.mp4',
    args: [...lavfi('testsrc2=s=320x240:r=60000/1001:d=7'), ...x264],
    renditions: ['v240'],
    fps: 59.94,
    video: 7,
    segments: 2,
  },
  {
    name: 'interlaced fields in a transport stream with surround sound',
    file: 'fields.ts',
    args: [
      ...lavfi('testsrc2=s=320x240:r=50:d=3'),
      ...['-f', 'lavfi', '-i', 'anoisesrc=d=3:r=48000:a=0.1'],
      ...['-vf', 'interlace', '-flags', '+ilme+ildct', '-c:v', 'mpeg2video', '-b:v', '1M'],
      ...['-af', 'pan=5.1|FL=c0|FR=c0|FC=c0|LFE=c0|BL=c0|BR=c0', '-c:a', 'ac3'],
    ],
    renditions: ['a0', 'v240'],
    fps: 25,
    video: 3,
    audio: 3,
  },
  {
    name: 'sound alone in an MP3',
    file: 'sound.mp3',
    args: [...sine(7), '-c:a', 'libmp3lame'],
    renditions: ['a0'],
    audio: 7,
    segments: 2,
  },
  {
    name: 'sound alone in a WAV of one channel',
    file: 'sound.wav',
    args: [...sine(2), '-ac', '1'],
    renditions: ['a0'],
    audio: 2,
  },
  {
    name: 'WebM with VP8 and Vorbis',
    file: 'clip.webm',
    args: [
      ...lavfi('testsrc2=s=320x240:r=25:d=2'),
      ...sine(2),
      ...['-c:v', 'libvpx', '-deadline', 'realtime', '-cpu-used', '8', '-c:a', 'libvorbis'],
    ],
    renditions: ['a0', 'v240'],
    video: 2,
    audio: 2,
  },
];

describe('sources of other shapes', () => {
  it.each(SHAPES)('takes $name', async (shape) => {
    const id = await rig.upload(await makeClip(clips, shape.file, shape.args));
    const asset = await rig.settled(id);
    expect(asset.errors).toBeNull();
    expect(asset.status).toBe('ready');
    expect(names(asset)).toEqual(shape.renditions);
    const picture = asset.renditions.find((rendition) => rendition.kind === 'video');
    if (shape.size) expect([picture?.width, picture?.height]).toEqual(shape.size);
    if (shape.fps) expect(picture?.frame_rate).toBeCloseTo(shape.fps, 2);
    if (shape.segments) expect(asset.renditions[0]?.segments).toBe(shape.segments);
    expect(asset.duration_s).toBeCloseTo(Math.max(shape.video ?? 0, shape.audio ?? 0), 1);
    expect(asset.images_writer === null).toBe(picture === undefined);
    await checkRenditions(asset, {
      ...(shape.video ? { video: shape.video } : {}),
      ...(shape.audio ? { audio: shape.audio } : {}),
    });
  });

  it('keeps a late sound late', async () => {
    const picture = await makeClip(clips, 'early.mp4', [...lavfi('testsrc2=s=320x240:r=25:d=3'), ...x264]);
    const late = ['-itsoffset', '0.5', ...sine(2), '-map', '0:v', '-map', '1:a', '-c:v', 'copy', '-c:a', 'pcm_s16le'];
    const asset = await rig.settled(await rig.upload(await makeClip(clips, 'late.mkv', ['-i', picture, ...late])));
    const sound = asset.renditions.find((rendition) => rendition.kind === 'audio');
    if (sound === undefined) throw new Error('no sound');
    const first = (await rig.index(asset, sound)).segments[0];
    expect(Math.abs((first?.tfdt ?? 0) / sound.timescale - 0.5)).toBeLessThan(0.025);
  });
});

describe('what is refused', () => {
  const refused = async (path: string): Promise<AssetRecord> => {
    const asset = await rig.settled(await rig.upload(path));
    expect(asset.status).toBe('errored');
    expect(asset.renditions).toEqual([]);
    expect(await bytesBelow(mediaPrefix(asset.content_id))).toBe(0);
    return asset;
  };

  it('a text that is named .mp4', async () => {
    const path = join(clips, 'text.mp4');
    await writeFile(path, 'This is a text.\n'.repeat(200));
    const asset = await refused(path);
    expect(asset.errors).toMatchObject({ type: 'NON_VIDEO' });
    expect(asset.errors?.messages[0]).toContain('not a video');
  });

  it.each([
    [
      'an HLS playlist',
      (canary: string) => `#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n${canary}\n#EXT-X-ENDLIST\n`,
    ],
    ['an ffconcat script', (canary: string) => `ffconcat version 1.0\nfile '${canary}'\n`],
  ])('%s that is named .mp4, and the file it points to stays unread', async (_name, text) => {
    const canary = await makeClip(clips, 'canary.ts', [...lavfi('testsrc2=s=64x64:r=5:d=1'), '-c:v', 'mpeg2video']);
    const before = (await stat(canary)).atimeMs;
    const path = join(clips, 'list.mp4');
    await writeFile(path, text(canary));
    expect((await refused(path)).errors).toMatchObject({ type: 'NON_VIDEO' });
    expect((await stat(canary)).atimeMs).toBe(before);
  });

  it('an MP4 that was cut off before its index', async () => {
    const path = await makeClip(clips, 'tail.mp4', ['-i', RABBIT, '-t', '2', '-c', 'copy']);
    await truncate(path, Math.floor((await stat(path)).size / 2));
    expect((await refused(path)).errors).toMatchObject({ type: 'MALFORMED' });
  });

  it('an MP4 with its index first that was cut off in the middle', async () => {
    const path = await makeClip(clips, 'cut.mp4', ['-i', RABBIT, '-c', 'copy', '-movflags', '+faststart']);
    await truncate(path, Math.floor((await stat(path)).size / 2));
    const asset = await rig.settled(await rig.upload(path));
    expect(asset.status).toBe('errored');
    expect(asset.errors).toMatchObject({ type: 'MALFORMED' });
    expect(asset.errors?.messages[0]).toMatch(/cut off/);
  });

  it('a still picture', async () => {
    const path = await makeClip(clips, 'still.png', [...lavfi('testsrc2=s=64x64'), '-frames:v', '1']);
    expect((await refused(path)).errors).toMatchObject({ type: 'NON_VIDEO' });
  });
});
