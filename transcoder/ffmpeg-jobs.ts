// Everything that is done with fluent-ffmpeg: probe, one rendition to stdout, one picture. The one file that names the package.
// Traps: setFfmpegPath is global to the process; options given as one text are split on spaces; a closed output stream kills ffmpeg
// 20 ms later; a progress listener starts a second probe. Each is avoided below.
import type { ChildProcess } from 'node:child_process';
import { PassThrough } from 'node:stream';
import ffmpeg from 'fluent-ffmpeg';
import { messageOf } from '../platform/runtime/errors.ts';
import { FfmpegFailed, MediaRefused } from './errors.ts';
import { pictureArgs, probeArgs, seekArgs, sourceUrl, transcodeInputArgs } from './ffmpeg-args.ts';
import { ProbeOutput } from './probe.ts';
import type { ConfinedPrograms } from './sandbox.ts';
import type { Container } from './sniff.ts';

/** A confined source that ffmpeg may work on. */
export type FfmpegJob = { programs: ConfinedPrograms; container: Container; threads: number };

/** After SIGTERM, before SIGKILL. Unit: ms. */
const KILL_AFTER_MS = 2_000;
const STDERR_LINES = 40;

/** Package-private parts, fixed by the pinned version (the package gets no further releases). */
type CommandParts = { ffmpegProc?: ChildProcess };
type PathCallback = (error: null, path: string) => void;

/** A command whose programs are its own: two jobs of one process have different sandboxes. */
function commandFor(programs: ConfinedPrograms): ffmpeg.FfmpegCommand & CommandParts {
  const command = ffmpeg({ stdoutLines: STDERR_LINES });
  return Object.assign(command, {
    _getFfmpegPath: (callback: PathCallback) => callback(null, programs.ffmpeg),
    _getFfprobePath: (callback: PathCallback) => callback(null, programs.ffprobe),
  });
}

/** Phrases by which libav says that the bytes themselves are at fault. */
const MEDIA_PHRASES = [
  'Invalid data found',
  'moov atom not found',
  'could not find codec parameters',
  'Could not find codec parameters',
  'End of file',
  'Error opening input',
  'does not contain any stream',
  'Failed to read RPU',
  'Header missing',
  'matches no streams',
  'not in whitelist',
  'not on whitelist',
];
const DECODER_PHRASES = [
  'Decoder (codec',
  'no decoder found',
  'Unsupported codec',
  'Decoding requested, but no decoder',
];

/** Turns what ffmpeg said into an error of ours. @param what the step, for the message */
export function explainFailure(what: string, message: string): MediaRefused | FfmpegFailed {
  const lines = message.split('\n').map((line) => line.trim());
  if (DECODER_PHRASES.some((phrase) => message.includes(phrase))) {
    return new MediaRefused('UNSUPPORTED_VIDEO', 'the file uses a codec that cannot be decoded here');
  }
  if (MEDIA_PHRASES.some((phrase) => message.includes(phrase))) {
    return new MediaRefused('MALFORMED', 'the file is damaged, cut off, or not what its container says');
  }
  return new FfmpegFailed(
    what,
    lines
      .filter((line) => line !== '')
      .slice(-3)
      .join(' | '),
  );
}

/**
 * What ffprobe finds in the job's source.
 * @throws MediaRefused when it is not readable as its container; FfmpegFailed
 */
export async function probe(job: FfmpegJob): Promise<ProbeOutput> {
  const command = commandFor(job.programs).input(sourceUrl);
  const output = await new Promise<unknown>((resolve, reject) => {
    command.ffprobe(probeArgs(job.container), (error: unknown, data: unknown) => {
      if (error === null || error === undefined) resolve(data);
      else if (messageOf(error).includes('code 124'))
        reject(new MediaRefused('TIME_LIMIT', 'reading the file took too long'));
      else reject(explainFailure('probe the source', messageOf(error)));
    });
  });
  const parsed = ProbeOutput.safeParse(output);
  if (!parsed.success) throw new MediaRefused('MALFORMED', 'the streams of the file cannot be described');
  return parsed.data;
}

export type Transcode = {
  /** Options after the input; more than one word each. */
  outputArgs: string[];
  /** Before the input, after the whitelists. */
  inputExtra?: string[];
  isVideo: boolean;
  /** Wall clock. Unit: ms. */
  limitMs: number;
  /** Stops ffmpeg, first kindly, then with -9. */
  signal: AbortSignal;
};

/**
 * Runs ffmpeg on the job's source and yields its stdout. Leaving the loop early stops ffmpeg.
 * @throws MediaRefused FfmpegFailed, or the signal's reason
 */
export async function* transcode(job: FfmpegJob, t: Transcode): AsyncGenerator<Uint8Array> {
  t.signal.throwIfAborted();
  // Without a close event the package never takes a finished output for a broken one.
  const stdout = new PassThrough({ emitClose: false, highWaterMark: 1024 * 1024 });
  const command = commandFor(job.programs);
  command
    .input(sourceUrl)
    .inputOptions(...transcodeInputArgs(job.container, job.threads, t.isVideo), ...(t.inputExtra ?? []))
    .outputOptions(...t.outputArgs);
  const ended = new Promise<unknown>((resolve) => {
    command.on('end', () => resolve(null));
    command.on('error', (error: unknown, _out: unknown, stderr: unknown) =>
      resolve(new Error(`${messageOf(error)}\n${typeof stderr === 'string' ? stderr : ''}`)),
    );
  });
  const stopper = createStopper(command);
  command.on('start', stopper.started);
  const overtime = setTimeout(() => stopper.stop('overtime'), t.limitMs);
  const onAbort = () => stopper.stop('aborted');
  t.signal.addEventListener('abort', onAbort, { once: true });
  const closing = ended.then(() => {
    stopper.close();
    // A failed start never ends the stream by itself.
    stdout.end();
  });
  try {
    command.output(stdout).run();
    for await (const chunk of stdout.iterator({ destroyOnReturn: false })) yield chunk as Uint8Array;
    const failure = await ended;
    t.signal.throwIfAborted();
    if (stopper.reason() === 'overtime') {
      throw new MediaRefused('TIME_LIMIT', `the transcode took longer than ${Math.round(t.limitMs / 1000)} s`);
    }
    if (failure instanceof Error) throw explainFailure('transcode the source', failure.message);
  } finally {
    clearTimeout(overtime);
    t.signal.removeEventListener('abort', onAbort);
    stopper.stop('left');
    stdout.resume();
    await closing;
  }
}

type StopReason = 'overtime' | 'aborted' | 'left';

/** Ends a command's whole process group, also when the wish comes before the process. */
function createStopper(command: CommandParts) {
  let reason: StopReason | null = null;
  let isOver = false;
  let killer: NodeJS.Timeout | undefined;
  // Also when its head is gone: what it had just begun may have outlived it, deaf to SIGTERM and with the output still open.
  const signalGroup = (name: 'SIGTERM' | 'SIGKILL') => {
    const child = command.ffmpegProc;
    if (isOver || child?.pid === undefined) return;
    try {
      process.kill(-child.pid, name);
    } catch {
      // Not yet (or not at all) at the head of a group of its own.
      child.kill(name);
    }
  };
  const end = () => {
    signalGroup('SIGTERM');
    killer ??= setTimeout(() => signalGroup('SIGKILL'), KILL_AFTER_MS);
  };
  return {
    reason: () => reason,
    started: () => {
      if (reason !== null) end();
    },
    stop: (why: StopReason) => {
      if (isOver || reason !== null) return;
      reason = why;
      end();
    },
    close: () => {
      isOver = true;
      clearTimeout(killer);
    },
  };
}

export type Picture = { streamIndex: number; width: number; height: number; atS: number };

/** Most bytes of one picture. */
const MAX_PICTURE_BYTES = 8 * 1024 * 1024;
const PICTURE_LIMIT_MS = 120_000;

/**
 * One frame as JPEG.
 * @returns null when there is no frame at or after that second
 * @throws MediaRefused FfmpegFailed, or the signal's reason
 */
export async function takePicture(job: FfmpegJob, picture: Picture, signal: AbortSignal): Promise<Buffer | null> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const run = transcode(job, {
    inputExtra: seekArgs(picture.atS),
    outputArgs: pictureArgs(picture.streamIndex, picture.width, picture.height),
    isVideo: true,
    limitMs: PICTURE_LIMIT_MS,
    signal,
  });
  for await (const chunk of run) {
    bytes += chunk.length;
    if (bytes > MAX_PICTURE_BYTES) throw new FfmpegFailed('take a picture', 'it is too large');
    chunks.push(chunk);
  }
  return bytes === 0 ? null : Buffer.concat(chunks);
}
