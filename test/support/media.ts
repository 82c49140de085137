// Test media made from the real clips, with a frame number burnt in that a test can read back from a decoded picture.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Page } from 'playwright-core';

const run = promisify(execFile);

export const BUNNY = fileURLToPath(new URL('../media/bigbuckbunny.mp4', import.meta.url));
export const RABBIT = fileURLToPath(new URL('../media/rabbit320.mp4', import.meta.url));

/** Bits of the burnt-in number; squares of 1/20 of the width along the top edge, white for 1, least bit left. */
export const FRAME_BITS = 14;

/** Filter chain that burns the frame number `n` in, as squares. */
export function frameNumberFilter(): string {
  const side = 'iw/20';
  const squares = Array.from({ length: FRAME_BITS }, (_, bit) => {
    const x = `${side}*${bit + 1}`;
    return `drawbox=x=${x}:y=0:w=${side}:h=${side}:color=white:t=fill:enable='mod(floor(n/${2 ** bit})\\,2)'`;
  });
  return [`drawbox=x=0:y=0:w=iw:h=${side}:color=black:t=fill`, ...squares].join(',');
}

/** Expression that reads the number off the picture now shown by the page's video; null when there is no picture. */
const READ_FRAME_NUMBER = `(() => {
  const video = document.querySelector('video');
  if (!video || video.videoWidth === 0) return null;
  const canvas = document.createElement('canvas');
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.drawImage(video, 0, 0);
  const side = video.videoWidth / 20;
  let number = 0;
  for (let bit = 0; bit < ${FRAME_BITS}; bit += 1) {
    const [red] = context.getImageData(Math.floor(side * (bit + 1.5)), Math.floor(side / 2), 1, 1).data;
    if (red > 127) number += 2 ** bit;
  }
  return number;
})()`;

/**
 * Burnt-in numbers of all pictures of a file, in the order of decoding: an independent reader's view of what was stored.
 * @param path anything ffmpeg reads
 */
export async function readFrameNumbers(path: string): Promise<number[]> {
  const strip = 'crop=iw:iw/20:0:0,scale=20:1:flags=area,format=gray';
  const args = [
    '-v',
    'error',
    '-i',
    path,
    '-map',
    '0:v:0',
    '-vf',
    strip,
    '-fps_mode',
    'passthrough',
    '-f',
    'rawvideo',
    '-',
  ];
  const { stdout } = await run('ffmpeg', args, { encoding: 'buffer', maxBuffer: 64 * 1024 * 1024, timeout: 600_000 });
  const numbers: number[] = [];
  for (let at = 0; at + 20 <= stdout.length; at += 20) {
    let number = 0;
    for (let bit = 0; bit < FRAME_BITS; bit += 1) if ((stdout[at + bit + 1] ?? 0) > 127) number += 2 ** bit;
    numbers.push(number);
  }
  return numbers;
}

/** The burnt-in number of the picture that the page shows. */
export const readFrameNumber = (page: Page): Promise<number | null> => page.evaluate(READ_FRAME_NUMBER);

/**
 * A long clip: the bunny in a loop, scaled, with frame numbers.
 * @param fps frames per second of the result
 */
export async function makeLongClip(
  path: string,
  seconds: number,
  size: { width: number; height: number },
  fps = 25,
): Promise<void> {
  const filter = `fps=${fps},scale=${size.width}:${size.height},setsar=1,setpts=N/${fps}/TB,${frameNumberFilter()}`;
  await run(
    'nice',
    [
      ...['-n', '5', 'ffmpeg', '-hide_banner', '-loglevel', 'error', '-y', '-stream_loop', '-1', '-i', BUNNY],
      ...['-vf', filter, '-af', 'aresample=async=1', '-t', String(seconds)],
      ...[
        '-c:v',
        'libx264',
        '-preset',
        'ultrafast',
        '-crf',
        '30',
        '-pix_fmt',
        'yuv420p',
        '-c:a',
        'aac',
        '-ac',
        '2',
        '-ar',
        '48000',
        path,
      ],
    ],
    { timeout: 300_000 },
  );
}

export type ProbedStream = {
  codec_name: string;
  codec_type: string;
  width?: number;
  height?: number;
  duration?: string;
  sample_rate?: string;
  channels?: number;
};
export type Probed = { streams: ProbedStream[]; format: { duration?: string } };

/** ffprobe's view of a file. */
export async function probeFile(path: string): Promise<Probed> {
  const { stdout } = await run('ffprobe', ['-v', 'error', '-show_streams', '-show_format', '-of', 'json', path], {
    maxBuffer: 16 * 1024 * 1024,
    timeout: 60_000,
  });
  return JSON.parse(stdout) as Probed;
}

/** Last packet end minus first packet start of the only stream in a file, by ffprobe's packets. Unit: s. */
export async function packetSpan(path: string): Promise<{ first: number; end: number; packets: number }> {
  const { stdout } = await run(
    'ffprobe',
    ['-v', 'error', '-show_entries', 'packet=pts_time,duration_time', '-of', 'csv=p=0', path],
    {
      maxBuffer: 64 * 1024 * 1024,
      timeout: 120_000,
    },
  );
  let first = Number.POSITIVE_INFINITY;
  let end = Number.NEGATIVE_INFINITY;
  let packets = 0;
  for (const line of stdout.split('\n')) {
    const [pts, duration] = line.split(',').map(Number);
    if (pts === undefined || Number.isNaN(pts) || line.trim() === '') continue;
    packets += 1;
    first = Math.min(first, pts);
    end = Math.max(end, pts + (duration === undefined || Number.isNaN(duration) ? 0 : duration));
  }
  return { first, end, packets };
}

export type Publisher = { process: ChildProcess; stop(): Promise<void>; stderr(): string };

/**
 * Pushes with ffmpeg in real time, for ever.
 * @param kind `copy`: the clip's own streams; `numbered`: re-encoded with frame numbers, 2 s key frames
 */
export function publish(
  address: string,
  kind: 'copy' | 'numbered',
  options: { clip?: string; size?: string; fps?: number } = {},
): Publisher {
  const fps = options.fps ?? 30;
  const input = ['-hide_banner', '-loglevel', 'error', '-re', '-stream_loop', '-1', '-i', options.clip ?? BUNNY];
  const numbered = [
    ...[
      '-vf',
      `fps=${fps},scale=${options.size ?? '640:360'},setsar=1,setpts=N/${fps}/TB,${frameNumberFilter()}`,
      '-af',
      'aresample=async=1',
    ],
    ...[
      '-c:v',
      'libx264',
      '-preset',
      'ultrafast',
      '-tune',
      'zerolatency',
      '-g',
      String(fps * 2),
      '-b:v',
      '1200k',
      '-pix_fmt',
      'yuv420p',
    ],
    ...['-c:a', 'aac', '-ac', '2', '-ar', '48000', '-b:a', '128k'],
  ];
  const child = spawn('ffmpeg', [...input, ...(kind === 'copy' ? ['-c', 'copy'] : numbered), '-f', 'flv', address], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let text = '';
  child.stderr.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  return {
    process: child,
    stderr: () => text,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exit = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 3_000);
      await exit;
      clearTimeout(timer);
    },
  };
}
