// One ffmpeg process of a live epoch: FLV into its stdin, one single-track CMAF stream out of a pipe per rendition.
// fluent-ffmpeg drives one output pipe only, so this file spawns ffmpeg itself. Measured with ffmpeg 5.1.
import { type ChildProcess, spawn } from 'node:child_process';
import type { Writable } from 'node:stream';
import { AUDIO_BITRATE_BPS, AUDIO_SAMPLE_RATE, type Rung } from '../platform/contract/ladder.ts';
import type { FrameRate } from '../platform/contract/latency.ts';
import { LiveEncoderFailed } from './live-errors.ts';
import { secondsOfFrame, VIDEO_TIMESCALE } from './live-grid.ts';

export type EncoderPlan = {
  fps: FrameRate;
  /** Output frame with which the encoder begins; it stands at the start of a segment. */
  startFrame: number;
  /** Taken from the source's timestamps: it puts its frames on the grid. Unit: ms. */
  phaseMs: number;
  partFrames: number;
  gopFrames: number;
  /** None: sound alone. */
  rungs: readonly Rung[];
  preset: string;
  /** Null: no audio comes out of this process. */
  audio: { isCopied: boolean } | null;
};

/** First descriptor of the outputs: video rungs in order, then audio. */
const FIRST_PIPE = 3;
const MOVFLAGS = '+cmaf+frag_discont+skip_trailer';

function filterGraph(plan: EncoderPlan): string {
  const rate = `${plan.fps.num}/${plan.fps.den}`;
  // start_time drops what comes before the segment and repeats the first picture where it comes late: the process begins exactly on the
  // grid, and counting its frames from 0 puts key frames where every other worker has them.
  const start = secondsOfFrame(plan.startFrame, plan.fps).toFixed(6);
  const names = plan.rungs.map((_, i) => `[s${i}]`).join('');
  const shift = `setpts=PTS-(${plan.phaseMs.toFixed(3)})/(1000*TB)`;
  const source = `[0:v:0]${shift},fps=fps=${rate}:start_time=${start}:round=near,split=${plan.rungs.length}${names}`;
  const scaled = plan.rungs.map(
    (rung, i) => `[s${i}]scale=${rung.width}:${rung.height},setsar=1,format=yuv420p[v${i}]`,
  );
  return [source, ...scaled].join(';');
}

function videoOutput(plan: EncoderPlan, rung: Rung, index: number): string[] {
  const { gopFrames, partFrames, fps } = plan;
  // A fragment is flushed by the first frame at or after this length: half a frame less than a part, so that rounding cannot add one.
  const fragmentUs = Math.round(((partFrames - 0.5) * fps.den * 1_000_000) / fps.num);
  return [
    ...['-map', `[v${index}]`, '-fps_mode', 'passthrough', '-c:v', 'libx264', '-preset', plan.preset],
    ...['-tune', 'zerolatency', '-profile:v', 'high', '-bf', '0'],
    ...['-b:v', `${rung.bitrateBps}`, '-maxrate', `${rung.maxrateBps}`, '-bufsize', `${rung.bitrateBps}`],
    ...['-x264-params', `keyint=${gopFrames}:min-keyint=${gopFrames}:scenecut=0:open-gop=0`],
    ...['-force_key_frames', `expr:eq(mod(n,${gopFrames}),0)`, '-video_track_timescale', `${VIDEO_TIMESCALE}`],
    ...['-f', 'mp4', '-movflags', `${MOVFLAGS}+frag_keyframe`, '-frag_duration', `${fragmentUs}`],
    ...['-flush_packets', '1', `pipe:${FIRST_PIPE + index}`],
  ];
}

function audioOutput(plan: EncoderPlan): string[] {
  if (plan.audio === null) return [];
  const encoded = [
    ...['-c:a', 'aac', '-b:a', `${AUDIO_BITRATE_BPS}`, '-ar', `${AUDIO_SAMPLE_RATE}`, '-ac', '2'],
    ...['-af', 'aresample=async=1'],
  ];
  return [
    ...['-map', '0:a:0', ...(plan.audio.isCopied ? ['-c:a', 'copy'] : encoded)],
    ...['-f', 'mp4', '-movflags', MOVFLAGS, '-frag_duration', '1', '-flush_packets', '1'],
    `pipe:${FIRST_PIPE + plan.rungs.length}`,
  ];
}

/** Arguments of the live encoder. The source's clock is kept: a frame's decode time is its FLV timestamp. */
export function encoderArguments(plan: EncoderPlan): string[] {
  return [
    ...['-hide_banner', '-loglevel', 'level+warning', '-nostats', '-copyts'],
    // Threads that decode a frame each would hold back as many frames as there are threads; slices hold back none.
    ...['-thread_type', 'slice', '-fpsprobesize', '0', '-analyzeduration', '1000000'],
    ...['-protocol_whitelist', 'pipe', '-f', 'flv', '-i', 'pipe:0'],
    ...(plan.rungs.length > 0 ? ['-filter_complex', filterGraph(plan)] : []),
    ...plan.rungs.flatMap((rung, i) => videoOutput(plan, rung, i)),
    ...audioOutput(plan),
  ];
}

export type EncoderEnd = { code: number | null; signal: string | null; lastWords: string };
export interface Encoder {
  readonly pid: number | undefined;
  /** Resolves when ffmpeg takes more. @throws LiveEncoderFailed when it is gone */
  write(bytes: Uint8Array): Promise<void>;
  /** No more input: ffmpeg flushes and ends. */
  end(): void;
  kill(): void;
  /** After the last byte of every output. Never rejects. */
  readonly done: Promise<EncoderEnd>;
}

const KEPT_LINES = 12;
/** Behind what answers viewers, before on-demand work (10): a busy machine must still serve, and restart what died. */
export const NICENESS = 5;

/**
 * Starts ffmpeg. Its outputs are always read: one that is not would stop all of them.
 * @param onOutput called with each chunk of output `index`
 */
export function startEncoder(plan: EncoderPlan, onOutput: (index: number, chunk: Buffer) => void): Encoder {
  const outputs = plan.rungs.length + (plan.audio === null ? 0 : 1);
  // Its own process group: a Ctrl-C for the whole terminal must not cut the last segment short. It ends with its stdin, so also when
  // this process is killed.
  const child = spawn('nice', ['-n', String(NICENESS), 'ffmpeg', ...encoderArguments(plan)], {
    detached: true,
    stdio: ['pipe', 'ignore', 'pipe', ...Array.from({ length: outputs }, () => 'pipe' as const)],
  });
  for (let i = 0; i < outputs; i += 1) {
    const pipe = child.stdio[FIRST_PIPE + i];
    if (pipe && 'on' in pipe) {
      pipe.on('data', (chunk: Buffer) => onOutput(i, chunk));
      pipe.on('error', () => undefined);
    }
  }
  return encoderOver(child, child.stdio[0] as Writable, watchEnd(child));
}

function watchEnd(child: ChildProcess): Promise<EncoderEnd> {
  let lines: string[] = [];
  child.stderr?.on('data', (chunk: Buffer) => {
    lines = [...lines, ...chunk.toString('utf8').split('\n')].filter((line) => line !== '').slice(-KEPT_LINES);
  });
  return new Promise((resolve) => {
    child.on('error', (thrown) => resolve({ code: null, signal: null, lastWords: thrown.message }));
    child.on('close', (code, signal) => resolve({ code, signal, lastWords: lines.join('\n') }));
  });
}

function encoderOver(child: ChildProcess, input: Writable, done: Promise<EncoderEnd>): Encoder {
  let isOver = false;
  void done.then(() => {
    isOver = true;
  });
  input.on('error', () => undefined);
  const drained = () =>
    new Promise<void>((resolve) => {
      const go = () => {
        input.off('drain', go).off('close', go);
        resolve();
      };
      input.on('drain', go).on('close', go);
    });
  return {
    pid: child.pid,
    done,
    async write(bytes) {
      if (isOver || input.destroyed) throw new LiveEncoderFailed('it takes no more input');
      if (!input.write(bytes)) await drained();
    },
    end: () => void input.end(),
    kill() {
      if (isOver || child.pid === undefined) return;
      try {
        process.kill(-child.pid, 'SIGKILL');
      } catch {
        // It ended by itself in between.
      }
    },
  };
}
