// Real CMAF for the player's tests: two video renditions and audio, cut by ffmpeg into parts of 0.32 s, that can be stamped with any time.
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { BUNNY, frameNumberFilter } from '../support/media.ts';
import { tempDir } from '../support/temp.ts';

const run = promisify(execFile);

/** 8 frames of 25 per second, and 15 AAC frames of 48 kHz: the same length in every rendition. */
export const PART_S = 0.32;
export const PARTS_PER_SEGMENT = 6;
/** A key frame begins every third part. */
export const PARTS_PER_GOP = 3;

export type Track = {
  name: 'v180' | 'v90' | 'a0';
  codecs: string;
  bandwidth: number;
  init: Buffer;
  /** Fragments in order, a whole number of segments; they may be played in a loop. */
  parts: Buffer[];
  timescale: number;
};

type BoxAt = { type: string; start: number; size: number };

function boxes(bytes: Buffer, from: number, to: number): BoxAt[] {
  const found: BoxAt[] = [];
  for (let at = from; at + 8 <= to; ) {
    const size = bytes.readUInt32BE(at);
    if (size < 8) break;
    found.push({ type: bytes.toString('latin1', at + 4, at + 8), start: at, size });
    at += size;
  }
  return found;
}

/** Offset of the box at the end of a path of boxes. @throws Error when there is none */
function offsetOf(bytes: Buffer, path: string[]): number {
  let from = 0;
  let to = bytes.length;
  for (const type of path) {
    const box = boxes(bytes, from, to).find((item) => item.type === type);
    if (box === undefined) throw new Error(`no box ${path.join('/')}`);
    from = box.start + 8;
    to = box.start + box.size;
  }
  return from - 8;
}

/** The fragment with its decode time set. @param ticks in the track's timescale */
export function stamped(part: Buffer, ticks: number): Buffer {
  const copy = Buffer.from(part);
  const at = offsetOf(copy, ['moof', 'traf', 'tfdt']);
  if (copy[at + 8] === 1) copy.writeBigUInt64BE(BigInt(ticks), at + 12);
  else copy.writeUInt32BE(ticks, at + 12);
  return copy;
}

function trackOf(name: Track['name'], codecs: string, bandwidth: number, bytes: Buffer): Track {
  const all = boxes(bytes, 0, bytes.length);
  const firstMoof = all.find((box) => box.type === 'moof')?.start ?? bytes.length;
  const parts: Buffer[] = [];
  for (const [index, box] of all.entries()) {
    const mdat = all[index + 1];
    if (box.type === 'moof' && mdat?.type === 'mdat') parts.push(bytes.subarray(box.start, mdat.start + mdat.size));
  }
  const init = bytes.subarray(0, firstMoof);
  const timescale = init.readUInt32BE(offsetOf(init, ['moov', 'trak', 'mdia', 'mdhd']) + 20);
  return { name, codecs, bandwidth, init, parts, timescale };
}

const output = (map: string, encoder: string[], fragmentUs: number, path: string): string[] => [
  ...['-map', map, ...encoder, '-f', 'mp4', '-movflags', '+cmaf+frag_discont+skip_trailer'],
  ...['-frag_duration', String(fragmentUs), path],
];

/** Makes all tracks once: about `seconds` of the bunny with burnt-in frame numbers, then to be looped. */
export async function makeTracks(seconds = 40): Promise<Track[]> {
  const dir = await tempDir('player-media');
  const video = [
    '-c:v',
    'libx264',
    '-preset',
    'ultrafast',
    '-tune',
    'zerolatency',
    '-bf',
    '0',
    '-crf',
    '32',
    '-pix_fmt',
  ];
  const gop = ['yuv420p', '-x264-params', 'keyint=24:min-keyint=24:scenecut=0:open-gop=0'];
  const filter = `[0:v:0]fps=25,scale=320:180,setsar=1,setpts=N/25/TB,${frameNumberFilter()},split=2[x][b];[x]null[a];[b]scale=160:90[c]`;
  const paths = ['v180', 'v90', 'a0'].map((name) => join(dir, `${name}.mp4`));
  await run(
    'nice',
    [
      ...['-n', '10', 'ffmpeg', '-hide_banner', '-loglevel', 'error', '-stream_loop', '-1', '-i', BUNNY],
      ...['-filter_complex', filter, '-t', String(seconds)],
      ...output('[a]', [...video, ...gop], 300_000, paths[0] ?? ''),
      ...['-t', String(seconds)],
      ...output('[c]', [...video, ...gop], 300_000, paths[1] ?? ''),
      ...['-t', String(seconds)],
      ...output('0:a:0', ['-c:a', 'aac', '-ac', '2', '-ar', '48000', '-b:a', '64k'], 300_000, paths[2] ?? ''),
    ],
    { timeout: 120_000 },
  );
  const files = await Promise.all(paths.map((path) => readFile(path)));
  const none = Buffer.alloc(0);
  const tracks = [
    trackOf('v180', 'avc1.42c00d', 500_000, files[0] ?? none),
    trackOf('v90', 'avc1.42c00b', 150_000, files[1] ?? none),
    trackOf('a0', 'mp4a.40.2', 64_000, files[2] ?? none),
  ];
  // The first audio fragment holds the encoder's priming, the last ones may be short.
  const whole = Math.floor((Math.min(...tracks.map((track) => track.parts.length)) - 4) / PARTS_PER_SEGMENT);
  return tracks.map((track) => ({
    ...track,
    parts: track.parts.slice(PARTS_PER_GOP, PARTS_PER_GOP + whole * PARTS_PER_SEGMENT),
  }));
}

/** A sheet of 5 by 5 pictures, one for each 1.6 s of the tracks' media, and the storyboard that names them. */
export async function makeStoryboard(pictures = 25): Promise<{ sheet: Buffer; vtt: string }> {
  const path = join(await tempDir('player-storyboard'), 'sheet.jpg');
  const filter = 'fps=1/1.6,scale=160:90,tile=5x5';
  await run(
    'nice',
    [
      ...['-n', '10', 'ffmpeg', '-hide_banner', '-loglevel', 'error', '-stream_loop', '-1', '-t', '40', '-i', BUNNY],
      ...['-vf', filter, '-frames:v', '1', '-q:v', '4', path],
    ],
    { timeout: 60_000 },
  );
  const time = (s: number): string =>
    `${String(Math.floor(s / 60)).padStart(2, '0')}:${(s % 60).toFixed(3).padStart(6, '0')}`;
  const cues = Array.from({ length: pictures }, (_, index) => {
    const at = `${(index % 5) * 160},${Math.floor(index / 5) * 90},160,90`;
    return `${time(index * 1.6)} --> ${time((index + 1) * 1.6)}\nstoryboard-0.jpg#xywh=${at}\n`;
  });
  return { sheet: await readFile(path), vtt: `WEBVTT\n\n${cues.join('\n')}` };
}
