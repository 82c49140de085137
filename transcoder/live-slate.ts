// The slate: a still picture that stands in for a publisher who is away. It comes as a ring of its own, so that everything behind it is the
// usual encoder: one short loop, encoded once, sent in real time.
import { spawn } from 'node:child_process';
import type { SessionId } from '../platform/contract/ids.ts';
import type { FrameRate } from '../platform/contract/latency.ts';
import { RING_KINDS, type RingFrame } from '../platform/contract/ring.ts';
import { delay } from '../platform/runtime/waits.ts';
import { NICENESS } from './live-encoder.ts';
import { LiveEncoderFailed } from './live-errors.ts';

export type SlatePlan = {
  width: number;
  height: number;
  fps: FrameRate;
  /** Raw yuv420p of exactly this size; null: a plain card. */
  picture: Uint8Array | null;
};
/** Tags of the loop, and its length. */
export type SlateLoop = { header: Uint8Array; frames: { atMs: number; payload: Uint8Array }[]; lengthMs: number };

const LOOP_FRAMES = 30;
const PLAIN = '0x12161c';
const LIMIT_MS = 10_000;
const FLV_START_BYTES = 13;
const TAG_HEADER_BYTES = 11;

/** Arguments of the ffmpeg that makes the loop. */
export function slateArguments({ width, height, fps, picture }: SlatePlan): string[] {
  const rate = `${fps.num}/${fps.den}`;
  const size = `${width}x${height}`;
  const input =
    picture === null
      ? ['-f', 'lavfi', '-i', `color=c=${PLAIN}:s=${size}:r=${rate}`]
      : ['-f', 'rawvideo', '-pixel_format', 'yuv420p', '-video_size', size, '-framerate', rate, '-i', 'pipe:0'];
  return [
    ...['-hide_banner', '-loglevel', 'error', ...input],
    ...(picture === null ? [] : ['-vf', `loop=loop=${LOOP_FRAMES}:size=1`]),
    ...['-frames:v', String(LOOP_FRAMES), '-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '0', '-pix_fmt', 'yuv420p'],
    ...['-g', String(LOOP_FRAMES), '-f', 'flv', '-flvflags', 'no_duration_filesize', 'pipe:1'],
  ];
}

/** Encodes the loop. @throws LiveEncoderFailed */
export async function makeSlate(plan: SlatePlan): Promise<SlateLoop> {
  const command = ['-n', String(NICENESS), 'ffmpeg', ...slateArguments(plan)];
  const child = spawn('nice', command, { stdio: ['pipe', 'pipe', 'ignore'] });
  const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS);
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stdin.on('error', () => undefined);
  child.stdin.end(plan.picture ?? undefined);
  const code = await new Promise<number | null>((resolve) => {
    child.on('error', () => resolve(null));
    child.on('close', (ended) => resolve(ended));
  });
  clearTimeout(timer);
  if (code !== 0) throw new LiveEncoderFailed('the slate could not be made');
  return readLoop(Buffer.concat(chunks), (LOOP_FRAMES * 1_000 * plan.fps.den) / plan.fps.num);
}

/** Video tags of an FLV file as a loop. @throws LiveEncoderFailed when it holds none */
function readLoop(flv: Buffer, lengthMs: number): SlateLoop {
  const frames: SlateLoop['frames'] = [];
  let header: Uint8Array | null = null;
  for (let at = FLV_START_BYTES; at + TAG_HEADER_BYTES <= flv.length; ) {
    const bytes = flv.readUIntBE(at + 1, 3);
    const payload = flv.subarray(at + TAG_HEADER_BYTES, at + TAG_HEADER_BYTES + bytes);
    if (flv[at] === RING_KINDS.video && payload[1] === 0) header = payload;
    if (flv[at] === RING_KINDS.video && payload[1] === 1) frames.push({ atMs: flv.readUIntBE(at + 4, 3), payload });
    at += TAG_HEADER_BYTES + bytes + 4;
  }
  if (header === null || frames.length === 0) throw new LiveEncoderFailed('the slate is empty');
  return { header, frames, lengthMs };
}

/**
 * Ring frames of the loop, over and over, each when its time has come; ends when `signal` aborts.
 * @param fromMs wall clock of the first frame, ms since the epoch
 */
export async function* slateRing(
  loop: SlateLoop,
  session: SessionId,
  fromMs: number,
  signal: AbortSignal,
): AsyncGenerator<RingFrame, void, undefined> {
  const base = { flags: 0, timestamp: 0, arrival: fromMs, tag: 0 };
  yield { ...base, kind: RING_KINDS.session, payload: Buffer.from(session) };
  yield { ...base, kind: RING_KINDS.video, payload: loop.header };
  for (let round = 0; !signal.aborted; round += 1) {
    for (const { atMs, payload } of loop.frames) {
      const timestamp = Math.round(round * loop.lengthMs + atMs);
      const arrival = fromMs + timestamp;
      await delay(Math.max(0, arrival - Date.now()), signal);
      if (signal.aborted) return;
      yield { kind: RING_KINDS.video, flags: 0, timestamp, arrival, tag: 0, payload };
    }
  }
}
