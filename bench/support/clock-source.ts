// A camera with a clock: real pictures with the present time burnt in at the moment of "capture", encoded and pushed over RTMP.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import type { Writable } from 'node:stream';
import { promisify } from 'node:util';
import { drawClock } from './clock-code.ts';

const run = promisify(execFile);

export type ClockSource = {
  process: ChildProcess;
  /** Pictures that could not be handed over in time, since the encoder was busy. */
  late(): number;
  stop(): Promise<void>;
};
export type ClockSourceOptions = {
  /** Clip whose pictures stand behind the clock. */
  clip: string;
  width: number;
  height: number;
  fps: number;
  /** RTMP addresses that get the same stream. */
  targets: readonly string[];
};

/** Seconds of the clip that are decoded once and shown in a loop. */
const LOOP_S = 6;

/** @throws Error when ffmpeg cannot decode the clip */
export async function startClockSource(options: ClockSourceOptions): Promise<ClockSource> {
  const { width, height, fps } = options;
  const pictures = await decode(options);
  const child = spawn('ffmpeg', encoderArguments(options), { stdio: ['pipe', 'ignore', 'inherit'] });
  const input = child.stdin as Writable;
  input.on('error', () => undefined);
  let late = 0;
  let count = 0;
  const began = performance.now();
  const frame = Buffer.alloc(pictures[0]?.length ?? 0);
  const tick = () => {
    while (performance.now() - began >= (count * 1_000) / fps) {
      const picture = pictures[count % pictures.length];
      count += 1;
      if (picture === undefined) continue;
      if (input.writableLength > 0) late += 1;
      picture.copy(frame);
      drawClock(frame, width, height, Date.now());
      input.write(Buffer.from(frame));
    }
  };
  const timer = setInterval(tick, 2);
  return {
    process: child,
    late: () => late,
    async stop() {
      clearInterval(timer);
      input.end();
      const gone = new Promise((resolve) => child.once('exit', resolve));
      if (child.exitCode !== null) return;
      const kill = setTimeout(() => child.kill('SIGKILL'), 3_000);
      await gone;
      clearTimeout(kill);
    },
  };
}

async function decode({ clip, width, height, fps }: ClockSourceOptions): Promise<Buffer[]> {
  const filter = `fps=${fps},scale=${width}:${height},setsar=1,format=yuv420p`;
  const args = ['-v', 'error', '-t', String(LOOP_S), '-i', clip, '-an', '-vf', filter, '-f', 'rawvideo', 'pipe:1'];
  const { stdout } = await run('ffmpeg', args, { encoding: 'buffer', maxBuffer: 1024 ** 3 });
  const bytes = (width * height * 3) / 2;
  return Array.from({ length: Math.floor(stdout.length / bytes) }, (_, i) =>
    stdout.subarray(i * bytes, (i + 1) * bytes),
  );
}

function encoderArguments({ width, height, fps, targets }: ClockSourceOptions): string[] {
  const picture = [
    '-f',
    'rawvideo',
    '-pix_fmt',
    'yuv420p',
    '-s',
    `${width}x${height}`,
    '-r',
    String(fps),
    '-i',
    'pipe:0',
  ];
  const sound = ['-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000'];
  const video = ['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-bf', '0'];
  const rate = ['-g', String(fps), '-b:v', '1500k', '-maxrate', '1500k', '-bufsize', '1500k'];
  const audio = ['-c:a', 'aac', '-b:a', '96k', '-ac', '2'];
  const outputs = targets.map((target) => `[f=flv:onfail=ignore]${target}`).join('|');
  return [
    ...['-hide_banner', '-loglevel', 'error', '-fflags', 'nobuffer', '-probesize', '32', '-thread_queue_size', '8'],
    ...[...picture, ...sound, '-map', '0:v', '-map', '1:a', ...video, ...rate, ...audio],
    ...['-flags', '+global_header', '-flush_packets', '1', '-f', 'tee', outputs],
  ];
}
